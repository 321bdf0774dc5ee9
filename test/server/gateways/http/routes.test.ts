/** Sync over HTTP, for devices without a socket, and health (H1–H4). */
import * as encoding from 'lib0/encoding';
import { describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import { decodeExchange } from '../../../../server/protocol/exchange.js';
import { MemoryStore } from '../../../../server/store/memory/memory-store.js';
import type { Collections } from '../../../../shared/json.js';
import { rootOfAnotherKind } from '../../../support/hostile.js';
import { ObservedStore } from '../../../support/observed-store.js';
import type { TestServer } from '../../../support/server.js';
import { useJson, useNative, useServer } from '../../../support/use.js';

const STANDARD = { appointments: [], consultations: [], prescriptions: [], medicalRecords: [] };
const envelope = { userId: 'anna', deviceId: 'fetcher' };
const update = (document: object, collection = 'notes') => ({
  type: 'DATA_UPDATE',
  ...envelope,
  data: { collection, document },
});
const remove = (documentId: string, collection = 'notes') => ({
  type: 'DATA_DELETE',
  ...envelope,
  data: { collection, documentId },
});

const get = (server: TestServer, headers: Record<string, string> = {}, user = 'anna') =>
  fetch(`${server.url}/api/sync/${user}`, { headers });

const post = (server: TestServer, body: unknown, headers: Record<string, string> = {}) =>
  fetch(`${server.url}/api/sync/anna`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'Device-ID': 'fetcher', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });

const collections = async (response: Response): Promise<Collections> =>
  (await response.json()) as Collections;

/** An error is its code and its sentence, and where it happened in a batch; never a stack. */
async function expectError(response: Response, status: number, code: string, index?: number): Promise<void> {
  const text = await response.text();
  expect([response.status, JSON.parse(text)]).toEqual([
    status,
    { code, message: expect.stringMatching(/^\S.+/), ...(index !== undefined && { index }) },
  ]);
  expect(text).not.toMatch(/node_modules|\.ts|\.js|\\n/);
}

describe('[H1] GET /api/sync/:userId', () => {
  test('answers the collections themselves, with an ETag of the revision', async () => {
    const server = await useServer();
    const empty = await get(server, { 'Device-ID': 'fetcher' });
    expect(empty.headers.get('etag')).toMatch(/^"0\.[0-9a-z]+"$/);
    expect(empty.headers.get('cache-control')).toBe('private, no-cache');
    expect(empty.headers.get('content-type')).toMatch(/^application\/json/);
    expect(await collections(empty), '[D7]').toEqual(STANDARD);
    const tablet = await useJson(server, 'anna', 'tablet');
    tablet.update('notes', { id: 'n1', a: [{ id: 1, x: null }] });
    tablet.update('appointments', { id: 'a1' });
    await tablet.saved();
    const full = await get(server);
    expect(full.headers.get('etag')).toMatch(/^"2\./);
    expect(await collections(full)).toEqual({
      ...STANDARD,
      appointments: [{ id: 'a1' }],
      notes: [{ id: 'n1', a: [{ id: 1, x: null }] }],
    });
  });

  test('If-None-Match with the revision gets 304, until something changes', async () => {
    const server = await useServer();
    await post(server, { changes: [update({ id: 'n1' })] });
    const etag = (await get(server)).headers.get('etag') ?? '';
    for (const header of [etag, `W/${etag}`, `"x", ${etag}`, '*']) {
      const known = await get(server, { 'If-None-Match': header });
      const tag = header.startsWith('W/') ? header : etag; // the one that the client knows
      expect([known.status, await known.text(), known.headers.get('etag')]).toEqual([304, '', tag]);
    }
    expect((await get(server, { 'If-None-Match': '"0"' })).status).toBe(200);
    await post(server, { changes: [update({ id: 'n1', text: 'x' })] });
    const changed = await get(server, { 'If-None-Match': etag });
    expect(changed.status).toBe(200);
    expect(changed.headers.get('etag')).not.toBe(etag);
  });

  test.each(['a b', '%E0%A4%A', 'a%2Fb', 'a'.repeat(129)])('[D6] the user %s is refused', async (user) => {
    const server = await useServer();
    await expectError(await get(server, {}, user), 400, 'INVALID_IDENTITY');
  });

  test('[D6] and so is a device with other characters', async () => {
    const server = await useServer();
    await expectError(await get(server, { 'Device-ID': 'a/b' }), 400, 'INVALID_IDENTITY');
  });
});

describe('[H2] POST /api/sync/:userId', () => {
  test('applies the changes in order and answers like GET', async () => {
    const server = await useServer();
    const desk = await useJson(server, 'anna', 'desk');
    const response = await post(server, {
      changes: [
        update({ id: 'n1', text: 'x' }),
        update({ id: 'n1', text: 'x', by: 'me' }),
        update({ id: 'n2' }),
        remove('n2'),
        update({ id: 7 }, 'appointments'),
      ],
    });
    expect(response.status).toBe(200);
    const all = { ...STANDARD, appointments: [{ id: 7 }], notes: [{ id: 'n1', text: 'x', by: 'me' }] };
    expect(await collections(response)).toEqual(all);
    expect(response.headers.get('etag')).toBe((await get(server)).headers.get('etag'));
    expect(await collections(await get(server))).toEqual(all);
    await desk.until(() => desk.store.appointments?.['7'] && desk.store.notes?.n1);
    expect(desk.of('DATA_UPDATE').map(({ fromDevice }) => fromDevice)).toEqual(['fetcher', 'fetcher']);
  });

  test('in one atomic batch: one commit, and before it nothing', async () => {
    const memory = new MemoryStore();
    const store = new ObservedStore(memory);
    const server = await useServer({}, { store });
    await post(server, { changes: Array.from({ length: 100 }, (_, i) => update({ id: `n${i}` })) });
    expect(memory.batches).toBe(1); // with what is known of the device
    expect(memory.contents.get('anna' as never)?.updates).toHaveLength(1);
  });

  test('an empty list is no change', async () => {
    const store = new ObservedStore(new MemoryStore());
    const server = await useServer({}, { store });
    expect((await post(server, { changes: [] })).status).toBe(200);
    expect(store.commits).toBe(0);
  });

  test.each([
    ['no type', { ...envelope }, 'UNKNOWN_TYPE', 400],
    ['REQUEST_SYNC', { type: 'REQUEST_SYNC', ...envelope }, 'UNKNOWN_TYPE', 400],
    ['a wrong user', { ...update({ id: 'x' }), userId: 'bert' }, 'WRONG_USER', 403],
    ['a record without an id', update({}), 'INVALID_NAME', 400],
    ['a bad collection', update({ id: 'x' }, '__proto__'), 'INVALID_NAME', 400],
    ['null', null, 'UNKNOWN_TYPE', 400],
  ])(
    'an invalid item (%s) refuses the whole batch with its index and code',
    async (_, item, code, status) => {
      const store = new ObservedStore(new MemoryStore());
      const server = await useServer({}, { store });
      const changes = [update({ id: 'n1' }), update({ id: 'n2' }), item, update({ id: 'n3' })];
      await expectError(await post(server, { changes }), status, code, 2);
      expect(store.commits).toBe(0);
      expect(await collections(await get(server))).toEqual(STANDARD);
      changes.splice(2, 1);
      expect((await collections(await post(server, { changes }))).notes).toHaveLength(3);
    },
  );

  test('takes 1,000 changes, and refuses 1,001 as a whole', async () => {
    const server = await useServer();
    const changes = Array.from({ length: 1_001 }, (_, i) => update({ id: `n${i}`, i }));
    await expectError(await post(server, { changes }), 400, 'INVALID_MESSAGE');
    const response = await post(server, { changes: changes.slice(1) });
    expect((await collections(response)).notes).toHaveLength(1_000);
  });

  test.each([
    ['no JSON', '{"changes":[', 'INVALID_JSON'],
    ['no list', '{"changes":{}}', 'INVALID_MESSAGE'],
    ['a list alone', '[]', 'INVALID_MESSAGE'],
    ['null', 'null', 'INVALID_JSON'],
  ])('a body that is %s is refused', async (_, body, code) => {
    const server = await useServer();
    await expectError(await post(server, body), 400, code);
  });

  test('a body is read as JSON whatever its Content-Type says; without one the request is refused', async () => {
    const server = await useServer();
    const body = JSON.stringify({ changes: [] });
    expect((await post(server, body, { 'Content-Type': 'text/plain' })).status).toBe(200);
    const nothing = await fetch(`${server.url}/api/sync/anna`, { method: 'POST' });
    await expectError(nothing, 400, 'INVALID_MESSAGE');
  });

  test('MAX_HTTP_BODY: at the limit it is taken, one byte past it gets 413', async () => {
    const server = await useServer({ MAX_HTTP_BODY: '1000' });
    const body = JSON.stringify({ changes: [update({ id: 'n1' })] });
    expect((await post(server, body.padEnd(1000))).status).toBe(200);
    await expectError(await post(server, body.padEnd(1001)), 413, 'MESSAGE_TOO_LARGE');
  });
});

/** A body of POST /api/yjs: state vector and update, each with its length in front. */
const exchangeBody = (stateVector: Uint8Array, given: Uint8Array): Uint8Array =>
  encoding.encode((encoder) => {
    encoding.writeVarUint8Array(encoder, stateVector);
    encoding.writeVarUint8Array(encoder, given);
  });

const NOTHING = new Uint8Array(0);

const postYjs = (server: TestServer, body: Uint8Array) =>
  fetch(`${server.url}/api/yjs/anna`, {
    method: 'POST',
    headers: { 'Device-ID': 'phone' },
    body: Buffer.from(body),
  });

const answerOf = async (response: Response) => {
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toBe('application/octet-stream');
  return decodeExchange(new Uint8Array(await response.arrayBuffer()));
};

describe('[H3] POST /api/yjs/:userId', () => {
  test('gives and takes in one exchange', async () => {
    const server = await useServer();
    const desk = await useJson(server, 'anna', 'desk');
    desk.update('notes', { id: 'n1', text: 'from the desk' });
    await desk.saved();
    const doc = new Y.Doc();
    doc.getMap('notes').set('n2', new Y.Map([['text', 'from the phone']]));
    const body = exchangeBody(Y.encodeStateVector(doc), Y.encodeStateAsUpdate(doc));
    const { stateVector, update: diff } = await answerOf(await postYjs(server, body));
    Y.applyUpdate(doc, diff);
    expect(doc.getMap('notes').toJSON()).toEqual({
      n1: { id: 'n1', text: 'from the desk' },
      n2: { text: 'from the phone' },
    });
    expect(Y.decodeStateVector(stateVector)).toEqual(Y.decodeStateVector(Y.encodeStateVector(doc)));
    await desk.until(() => desk.store.notes?.n2?.text === 'from the phone');
    // Where the desk's own write was in doubt, it is sent once more (L4).
    const told = desk.of('DATA_UPDATE').filter(({ data }) => data.document.text === 'from the phone');
    expect(told[0]?.fromDevice).toBe('phone');
  });

  test('an empty state vector wants no diff, an empty update gives nothing', async () => {
    const store = new ObservedStore(new MemoryStore());
    const server = await useServer({}, { store });
    const doc = new Y.Doc();
    doc.getMap('notes').set('n1', new Y.Map());
    const given = await answerOf(await postYjs(server, exchangeBody(NOTHING, Y.encodeStateAsUpdate(doc))));
    expect(given.update).toHaveLength(0);
    expect(given.stateVector).toEqual(Y.encodeStateVector(doc));
    const taken = await answerOf(await postYjs(server, exchangeBody(Uint8Array.of(0), NOTHING)));
    const copy = new Y.Doc();
    Y.applyUpdate(copy, taken.update);
    expect(copy.getMap('notes').toJSON()).toEqual({ n1: {} });
    const neither = await answerOf(await postYjs(server, exchangeBody(NOTHING, NOTHING)));
    expect([neither.update.length, neither.stateVector]).toEqual([0, Y.encodeStateVector(doc)]);
    expect(store.commits).toBe(1);
  });

  test('[D4] what it creates apart is united with what is there', async () => {
    const server = await useServer();
    const phone = await useNative(server, 'anna', 'phone');
    phone.record('notes', 'n1').set('a', 1);
    await phone.saved();
    const doc = new Y.Doc();
    doc.getMap('notes').set('n1', new Y.Map([['b', 2]]));
    const body = exchangeBody(Y.encodeStateVector(doc), Y.encodeStateAsUpdate(doc));
    const { update: diff } = await answerOf(await postYjs(server, body));
    Y.applyUpdate(doc, diff);
    expect(doc.getMap('notes').toJSON()).toEqual({ n1: { a: 1, b: 2 } });
    await phone.until(() => phone.json().notes?.n1?.b);
    expect(phone.json()).toEqual({ notes: { n1: { a: 1, b: 2 } } });
  });

  test('an update that misses dependencies gets 409, and nothing of it is applied', async () => {
    const store = new ObservedStore(new MemoryStore());
    const server = await useServer({}, { store });
    const doc = new Y.Doc();
    doc.getMap('notes').set('n1', new Y.Map());
    const before = Y.encodeStateVector(doc);
    doc.getMap('notes').set('n2', new Y.Map());
    const orphan = Y.encodeStateAsUpdate(doc, before);
    await expectError(await postYjs(server, exchangeBody(NOTHING, orphan)), 409, 'MISSING_DEPENDENCIES');
    expect(store.commits).toBe(0);
    await answerOf(await postYjs(server, exchangeBody(NOTHING, Y.encodeStateAsUpdate(doc))));
    const native = await useNative(server, 'anna', 'native');
    expect(native.json()).toEqual({ notes: { n1: {}, n2: {} } });
  });

  test.each([
    ['nothing', NOTHING],
    ['a length that lies', Uint8Array.of(5, 1)],
    ['bytes after the end', Uint8Array.of(0, 0, 0)],
    ['a state vector that lies', exchangeBody(Uint8Array.of(3), NOTHING)],
    ['an update that is none', exchangeBody(NOTHING, Uint8Array.of(1, 2, 3))],
    ['a root of another kind', exchangeBody(NOTHING, rootOfAnotherKind())],
  ])('[S1 S3] a body that is %s gets 400', async (_, body) => {
    const server = await useServer();
    await expectError(await postYjs(server, body), 400, 'MALFORMED_UPDATE');
  });

  test('MAX_HTTP_BODY holds here as well', async () => {
    const server = await useServer({ MAX_HTTP_BODY: '100' });
    await expectError(await postYjs(server, new Uint8Array(101)), 413, 'MESSAGE_TOO_LARGE');
  });
});

test('[H4] /health says that the process is up, /ready that it takes traffic', async () => {
  const server = await useServer();
  for (const path of ['/health', '/ready']) {
    const response = await fetch(`${server.url}${path}`);
    expect([response.status, response.headers.get('x-powered-by')]).toEqual([200, null]);
  }
});

test.each(['/nothing', '/api', '/api/sync', '/api/sync/a/b', '/api/yjs/anna', '/%'])(
  'there is nothing at %s: 404 and a code',
  async (path) => {
    const server = await useServer();
    await expectError(await fetch(`${server.url}${path}`), 404, 'NOT_FOUND');
  },
);

test('a fault of the server is 500 without its cause', async () => {
  const store = new MemoryStore();
  store.load = () => Promise.reject(new TypeError('secret detail of the inside'));
  const server = await useServer({}, { store });
  await expectError(await get(server), 500, 'INTERNAL');
});
