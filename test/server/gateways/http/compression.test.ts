/** Compressed answers where the client asks for them (L12, H1). */
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import type { Collections } from '../../../../shared/json.js';
import { ask } from '../../../support/http-ask.js';
import type { TestServer } from '../../../support/server.js';
import { useServer } from '../../../support/use.js';

const who = { userId: 'anna', deviceId: 'desk' };
const WORDS = Array.from({ length: 400 }, (_, n) => (n * 7_919 + 1_234_567).toString(36));

/** Consultations as a practice has them: much is alike, nothing is the same. */
function consultations(count: number): object[] {
  let seed = 42;
  const next = (below: number) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return seed % below;
  };
  return Array.from({ length: count }, (_, n) => ({
    id: `consultation-${n}-${next(1e9).toString(36)}`,
    patientId: `user_${next(40)}`,
    status: ['open', 'closed', 'cancelled'][next(3)],
    notes: Array.from({ length: 30 }, () => WORDS[next(WORDS.length)]).join(' '),
    startedAt: 1_700_000_000_000 + next(1e9),
  }));
}

async function write(server: TestServer, documents: readonly object[]): Promise<void> {
  const changes = documents.map((document) => ({
    type: 'DATA_UPDATE',
    ...who,
    data: { collection: 'consultations', document, timestamp: Date.now() },
  }));
  const { status } = await ask(`${server.url}/api/sync/anna`, {
    method: 'POST',
    headers: { 'Device-ID': 'desk' },
    body: JSON.stringify({ changes }),
  });
  expect(status).toBe(200);
}

async function practice(count = 500): Promise<TestServer> {
  const server = await useServer();
  await write(server, consultations(count));
  return server;
}

const accepting = (encoding: string, more: Record<string, string> = {}) => ({
  headers: { 'Accept-Encoding': encoding, ...more },
});

describe('[L12 H1] answers are compressed for who asks for it', () => {
  test('500 consultations, by gzip and by brotli, in less than a third', async () => {
    const { url } = await practice();
    const plain = await ask(`${url}/api/sync/anna`);
    expect(plain.headers).toMatchObject({
      vary: 'Origin, Accept-Encoding',
      etag: expect.stringMatching(/^"/),
    });
    expect(plain.headers['content-encoding']).toBeUndefined();
    const all = JSON.parse(plain.body.toString()) as Collections;
    expect(all.consultations).toHaveLength(500);
    for (const [encoding, unpack] of [
      ['gzip', gunzipSync],
      ['br', brotliDecompressSync],
    ] as const) {
      const packed = await ask(`${url}/api/sync/anna`, accepting(encoding));
      expect(packed.headers).toMatchObject({
        'content-encoding': encoding,
        'content-type': 'application/json; charset=utf-8',
        'content-length': String(packed.body.length),
        vary: 'Origin, Accept-Encoding',
        etag: `W/${plain.headers.etag}`,
      });
      expect(packed.body.length).toBeLessThan(plain.body.length / 3);
      expect(unpack(packed.body).equals(plain.body)).toBe(true);
    }
  });

  test.each([
    ['gzip, deflate, br', 'gzip'],
    ['br;q=1, gzip;q=0.2', 'br'],
    ['GZIP', 'gzip'],
    ['*', 'gzip'],
    ['gzip;q=0', undefined],
    ['*;q=0, identity', undefined],
    ['identity, gzip;q=0.5', undefined],
    ['deflate', undefined],
    ['', undefined],
    ['nonsense;;', undefined],
  ])('Accept-Encoding: %s gets %s', async (accepted, encoding) => {
    const { url } = await practice(20);
    const { status, headers } = await ask(`${url}/api/sync/anna`, accepting(accepted));
    expect([status, headers['content-encoding']]).toEqual([200, encoding]);
  });

  test('a small answer stays as it is, and still says what it depends on', async () => {
    const { url } = await practice(3);
    const { body, headers } = await ask(`${url}/api/sync/anna`, accepting('gzip'));
    expect(body.length).toBeLessThan(1_400);
    expect(headers).toMatchObject({ vary: 'Origin, Accept-Encoding', etag: expect.stringMatching(/^"/) });
    expect(headers['content-encoding']).toBeUndefined();
  });

  test('either tag gets 304, by the tag that the client named, whatever it accepts now', async () => {
    const { url } = await practice(20);
    const strong = (await ask(`${url}/api/sync/anna`)).headers.etag ?? '';
    const weak = (await ask(`${url}/api/sync/anna`, accepting('br'))).headers.etag ?? '';
    expect(weak).toBe(`W/${strong}`);
    for (const tag of [strong, weak]) {
      for (const encoding of ['gzip', 'identity']) {
        const known = await ask(`${url}/api/sync/anna`, accepting(encoding, { 'If-None-Match': tag }));
        expect([known.status, known.body.length]).toEqual([304, 0]);
        expect(known.headers).toMatchObject({ etag: tag, vary: 'Origin, Accept-Encoding' });
        expect(known.headers['content-encoding']).toBeUndefined();
      }
    }
  });

  test('HEAD has the headers of GET, and no body', async () => {
    const { url } = await practice(20);
    const got = await ask(`${url}/api/sync/anna`, accepting('gzip'));
    const head = await ask(`${url}/api/sync/anna`, { method: 'HEAD', ...accepting('gzip') });
    expect(head.body).toHaveLength(0);
    for (const name of [
      'content-encoding',
      'content-length',
      'content-type',
      'etag',
      'vary',
      'cache-control',
    ]) {
      expect([name, head.headers[name]]).toEqual([name, got.headers[name]]);
    }
  });

  test('[H2 H3 H6 P7] so are those of a batch, an exchange, the history and an export', async () => {
    const { url } = await practice(40);
    const post = (path: string, body: string | Uint8Array) =>
      ask(`${url}${path}`, { method: 'POST', body, ...accepting('gzip') });
    const all = [
      await post('/api/sync/anna', '{"changes":[]}'),
      await post('/api/yjs/anna', Uint8Array.of(1, 0, 0)),
      await ask(`${url}/api/history/anna`, accepting('gzip')),
      await ask(`${url}/api/users/anna/export`, accepting('gzip')),
    ];
    for (const { status, headers, body } of all) {
      expect([status, headers['content-encoding']]).toEqual([200, 'gzip']);
      expect(gunzipSync(body).includes('consultation-39-')).toBe(true);
    }
    const exported = await ask(`${url}/api/users/anna/export`);
    expect(exported.headers['content-encoding']).toBeUndefined();
    expect(JSON.parse(exported.body.toString()).collections.consultations).toHaveLength(40);
  });

  test.each([
    ['with the tag of a compressed answer', true, 'open'],
    ['without it', false, 'closed'],
  ])('[H1 L4] %s, what a device writes is built on what it says that it has', async (_, isTagged, status) => {
    const server = await practice(20);
    const visit = { id: 'v', text: 'x'.repeat(2_000) };
    const url = `${server.url}/api/sync/anna`;
    const headers = { 'Device-ID': 'phone', 'Accept-Encoding': 'gzip' };
    const post = (document: object, tag: Record<string, string> = {}) => {
      const timestamp = Date.now();
      const data = { collection: 'consultations', document, timestamp };
      const change = { type: 'DATA_UPDATE', userId: 'anna', deviceId: 'phone', data, timestamp };
      const body = JSON.stringify({ changes: [change] });
      return ask(url, { method: 'POST', headers: { ...headers, ...tag }, body });
    };
    await write(server, [{ ...visit, status: 'open' }]);
    await post({ id: 'other' }); // from here on the phone's clock is known
    const first = await ask(url, { headers });
    const known = { 'If-None-Match': first.headers.etag ?? '' };
    await ask(url, { headers: { ...headers, ...known } });
    await write(server, [{ ...visit, status: 'closed' }]);
    const { etag = '' } = (await ask(url, { headers: { ...headers, ...known } })).headers;
    expect(etag).toMatch(/^W\//);
    const answer = await post({ ...visit, status: 'open' }, isTagged ? { 'If-None-Match': etag } : {});
    const { consultations: rows } = JSON.parse(gunzipSync(answer.body).toString()) as Collections;
    expect(rows?.find(({ id }) => id === 'v')?.status).toBe(status);
  });

  test('[S4] a compressed answer counts by its full size: it made as much work', async () => {
    const server = await useServer({ BYTE_BURST: '400 KB', BYTE_RATE: '1 KB' });
    await write(server, [{ id: 'long', text: 'x'.repeat(100_000) }]);
    const statuses = [];
    for (let n = 0; n < 4; n++) {
      statuses.push((await ask(`${server.url}/api/sync/anna`, accepting('gzip'))).status);
    }
    expect(statuses).toEqual([200, 200, 200, 429]);
  });
});
