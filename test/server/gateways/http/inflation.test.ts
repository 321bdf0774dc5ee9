/** Compressed bodies of requests (L12, S4). */
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import { encodeExchange } from '../../../../shared/exchange.js';
import type { Collections } from '../../../../shared/json.js';
import { ask } from '../../../support/http-ask.js';
import type { TestServer } from '../../../support/server.js';
import { useServer } from '../../../support/use.js';

const WAYS = [
  ['gzip', gzipSync],
  ['x-gzip', gzipSync],
  ['deflate', deflateSync],
  ['br', brotliCompressSync],
  ['GZIP', gzipSync],
] as const;

const batch = (document: object): string =>
  JSON.stringify({
    changes: [
      { type: 'DATA_UPDATE', userId: 'anna', deviceId: 'phone', data: { collection: 'notes', document } },
    ],
  });

async function send(server: TestServer, encoding: string, body: Uint8Array, path = '/api/sync/anna') {
  const headers = { 'Content-Encoding': encoding, 'Device-ID': 'phone' };
  const answer = await ask(`${server.url}${path}`, { method: 'POST', headers, body });
  const type = answer.headers['content-type'] ?? '';
  return { ...answer, json: type.includes('json') ? JSON.parse(answer.body.toString()) : null };
}

/** A batch of exactly so many bytes. */
const sized = (bytes: number): string =>
  batch({ id: 'n', text: 'x'.repeat(bytes - Buffer.byteLength(batch({ id: 'n', text: '' }))) });

describe('[L12] compressed bodies', () => {
  test.each(WAYS)('%s is taken', async (encoding, pack) => {
    const server = await useServer();
    const { status, json } = await send(server, encoding, pack(batch({ id: 'n', text: 'ä'.repeat(5_000) })));
    expect(status).toBe(200);
    expect((json as Collections).notes).toEqual([{ id: 'n', text: 'ä'.repeat(5_000) }]);
  });

  test('[H3 H6] so it is of an exchange and of a restore', async () => {
    const server = await useServer();
    const doc = new Y.Doc();
    doc.getMap('notes').set('n', new Y.Map([['text', 'x']]));
    const update = Y.encodeStateAsUpdate(doc);
    const exchange = encodeExchange({ stateVector: new Uint8Array(0), update });
    expect((await send(server, 'gzip', gzipSync(exchange), '/api/yjs/anna')).status).toBe(200);
    const wanted = gzipSync('{"collection":"notes","id":"n","revision":1}');
    const restored = await send(server, 'gzip', wanted, '/api/history/anna/restore');
    expect([restored.status, restored.json]).toMatchObject([200, { document: { id: 'n', text: 'x' } }]);
  });

  test.each(WAYS)(
    'MAX_HTTP_BODY holds for what %s becomes: at it, and one byte past it',
    async (encoding, pack) => {
      const server = await useServer({ MAX_HTTP_BODY: '50 KB' });
      expect((await send(server, encoding, pack(sized(50_000)))).status).toBe(200);
      const past = await send(server, encoding, pack(sized(50_001)));
      expect([past.status, past.json.code]).toEqual([413, 'MESSAGE_TOO_LARGE']);
      expect(past.json.message).toContain('MAX_HTTP_BODY');
    },
  );

  test('a bomb of 2 GiB in 2 MB is refused with 413, and never held in memory', async () => {
    const server = await useServer();
    const member = gzipSync(Buffer.alloc(64 * 2 ** 20));
    const bomb = Buffer.concat(Array.from({ length: 32 }, () => member));
    const before = process.resourceUsage().maxRSS;
    const [first, second] = await Promise.all([send(server, 'gzip', bomb), send(server, 'gzip', bomb)]);
    expect([first.status, second.status]).toEqual([413, 413]);
    expect((process.resourceUsage().maxRSS - before) * 1_024).toBeLessThan(256 * 2 ** 20);
    expect((await send(server, 'gzip', gzipSync('{"changes":[]}'))).status).toBe(200);
  });

  test('brackets that would become many times as large in memory are found inside, too', async () => {
    const server = await useServer();
    const nested = gzipSync(`{"changes":[${'['.repeat(100_000) + ']'.repeat(100_000)}]}`);
    expect((await send(server, 'gzip', nested)).json.code).toBe('TOO_DEEP');
  });

  test.each([
    ['what is not compressed as it says', 'gzip', Buffer.from('{"changes":[]}')],
    ['what ends too early', 'gzip', gzipSync(batch({ id: 'n', text: 'x'.repeat(5_000) })).subarray(0, 40)],
    ['brotli that is none', 'br', Buffer.from([1, 2, 3, 4, 5, 6, 7, 8])],
    ['a way that nobody knows', 'snappy', gzipSync('{"changes":[]}')],
    ['two at once', 'gzip, br', gzipSync('{"changes":[]}')],
  ])('%s is refused with 400 and the cause', async (_, encoding, body) => {
    const server = await useServer();
    const { status, json } = await send(server, encoding, body);
    expect([status, json.code]).toEqual([400, 'INVALID_MESSAGE']);
    expect(json.message).toContain('Content-Encoding');
  });

  test('what is no JSON inside is refused as such', async () => {
    const server = await useServer();
    const packed = await send(server, 'gzip', gzipSync('{"changes":'));
    expect([packed.status, packed.json.code]).toEqual([400, 'INVALID_JSON']);
  });

  test('[S4] they count by what they become', async () => {
    const server = await useServer({ BYTE_BURST: '250 KB', BYTE_RATE: '1 KB' });
    const statuses = [];
    for (let n = 0; n < 4; n++) {
      const { status } = await send(
        server,
        'gzip',
        gzipSync(batch({ id: `n${n}`, text: 'x'.repeat(60_000) })),
      );
      statuses.push(status);
    }
    expect(statuses).toContain(429);
  });
});
