/** What native devices must not send, and what becomes of the connection that sends it (N8, S1–S4). */
import { describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import { collectingLog } from '../../../server/log.js';
import { messages } from '../../../server/protocol/yjs.js';
import type { NativeDevice } from '../../support/devices/native-device.js';
import { overlapOfCollected, rawUpdate, refusedUpdates, v2Of } from '../../support/hostile.js';
import { passUnchecked } from '../../support/pass-unchecked.js';
import type { TestServer } from '../../support/server.js';
import { openNative, openRaw, useJson, useNative, useRaw, useServer } from '../../support/use.js';

const ONE = { notes: { n1: { text: 'good' } } };

/** A device that goes on editing, whatever the other one sends. */
async function bystander(server: TestServer): Promise<NativeDevice> {
  const device = await useNative(server, 'anna', 'bystander');
  device.record('notes', 'n1').set('text', 'good');
  await device.saved();
  return device;
}

async function expectUntouched(server: TestServer, device: NativeDevice): Promise<void> {
  expect(device.json()).toEqual(ONE);
  device.record('notes', 'n2').set('text', 'afterwards');
  await device.saved();
  expect(device.connections).toBe(1);
  const fresh = await useNative(server, 'anna', 'fresh');
  expect(fresh.json()).toEqual({ notes: { ...ONE.notes, n2: { text: 'afterwards' } } });
}

const message = (update: Uint8Array): Uint8Array => messages.update(update);

const malformed: Record<string, Uint8Array | string> = {
  'an unknown message type': Uint8Array.of(77),
  'nothing at all': new Uint8Array(0),
  'a message that ends early': message(rawUpdate([])).slice(0, -1),
  'a message with bytes after its end': Uint8Array.of(...message(rawUpdate([])), 0),
  'a text message': 'hello',
  'a state vector that lies': Uint8Array.of(0, 0, 1, 5),
  'awareness that is no JSON': messages.awareness([{ id: 1, clock: 1, state: '{' }]),
  '[S2] an update in encoding V2': message(v2Of(docWith((doc) => doc.getMap('notes').set('x', 1)))),
  ...Object.fromEntries(Object.entries(refusedUpdates()).map(([name, update]) => [name, message(update)])),
};

function docWith(fill: (doc: Y.Doc) => void, client?: number): Y.Doc {
  const doc = new Y.Doc();
  if (client !== undefined) doc.clientID = client;
  doc.transact(() => fill(doc));
  return doc;
}

describe('[N8 S1 S4] malformed messages close with 1007, change nothing, and nobody else notices', () => {
  test.each(Object.entries(malformed))('%s', async (_, bytes) => {
    const server = await useServer();
    const device = await bystander(server);
    const raw = await useRaw(server, 'anna', 'hostile');
    raw.send(bytes);
    expect((await raw.end()).code).toBe(1007);
    await expectUntouched(server, device);
  });

  test('every truncation of an update that was good', async () => {
    const server = await useServer();
    const device = await bystander(server);
    const update = Y.encodeStateAsUpdate(
      docWith((doc) => doc.getMap('notes').set('bad', new Y.Map([['a', 1]]))),
    );
    for (let length = 0; length < update.length; length++) {
      const raw = await useRaw(server, 'anna', `hostile-${length}`);
      raw.send(message(update.slice(0, length)));
      expect((await raw.end()).code).toBe(1007);
    }
    await expectUntouched(server, device);
  });
});

test('[N8] after 3 such closes in a minute upgrades get 429, for this user, device and address only', async () => {
  const server = await useServer();
  for (let i = 0; i < 3; i++) {
    const raw = await useRaw(server, 'anna', 'hostile');
    raw.send(Uint8Array.of(77));
    await raw.end();
  }
  const refused = openRaw(server, 'anna', 'hostile');
  await refused.until(() => refused.status);
  expect(refused.status).toBe(429);
  await useRaw(server, 'anna', 'another');
  await useRaw(server, 'bert', 'hostile');
});

test('[N8] an unmodified provider with a bad document is stopped by it', async () => {
  const { log, events } = collectingLog();
  const server = await useServer({}, { log });
  const device = await bystander(server);
  const doc = docWith((bad) => bad.getArray('notes').push([1]));
  const hostile = openNative(server, 'anna', 'hostile', { doc });
  await hostile.until(() => hostile.closes.filter((code) => code === 1006).length >= 2);
  expect(hostile.closes.filter((code) => code === 1007)).toHaveLength(3);
  expect(events.filter(({ name }) => name === 'upgradeRefused').length).toBeGreaterThan(0);
  await expectUntouched(server, device);
});

test('[S1] a throw while applying: 1007, the document is loaded again, nobody else notices', async () => {
  passUnchecked();
  const { log, events } = collectingLog();
  const server = await useServer({}, { log });
  const device = await bystander(server);
  const json = await useJson(server, 'anna', 'tablet');
  const [first, second] = overlapOfCollected();
  const raw = await useRaw(server, 'anna', 'hostile');
  raw.send(message(first));
  raw.send(message(second));
  device.record('notes', 'n3').set('text', 'meanwhile');
  json.update('notes', { id: 'n4', text: 'meanwhile' });
  expect((await raw.end()).code).toBe(1007);
  await Promise.all([device.saved(), json.saved()]);
  expect(events.filter(({ name }) => name === 'documentRebuilt')).toHaveLength(1);
  const wanted = { ...ONE.notes, n3: { text: 'meanwhile' }, n4: { id: 'n4', text: 'meanwhile' } };
  await device.until(() => device.json().notes?.n4);
  expect(device.json()).toEqual({ notes: wanted });
  expect(json.closed).toBeNull();
  expect(device.connections).toBe(1);
  expect((await useNative(server, 'anna', 'fresh')).json()).toEqual({ notes: wanted });
});

describe('[S3] roots and values of another kind', () => {
  test('an update with a root that is no map is refused, and the reason names it', async () => {
    const server = await useServer();
    const raw = await useRaw(server, 'anna', 'hostile');
    raw.send(message(Y.encodeStateAsUpdate(docWith((doc) => doc.getArray('drawings').push([1])))));
    const { code, reason } = await raw.end();
    expect(code).toBe(1007);
    expect(reason).toContain('"drawings"');
  });

  test('a long name is cut in the reason, never inside a character', async () => {
    const server = await useServer();
    const raw = await useRaw(server, 'anna', 'hostile');
    raw.send(message(Y.encodeStateAsUpdate(docWith((doc) => doc.getText('€'.repeat(100)).insert(0, 'x')))));
    const { code, reason } = await raw.end();
    expect(code).toBe(1007);
    expect(reason).toContain('€€€');
    expect(Buffer.byteLength(reason)).toBeLessThanOrEqual(123);
  });

  test('[D6] a root with a name that is not allowed is refused', async () => {
    const server = await useServer();
    const raw = await useRaw(server, 'anna', 'hostile');
    raw.send(message(Y.encodeStateAsUpdate(docWith((doc) => doc.getMap('a\nb').set('x', 1)))));
    expect((await raw.end()).code).toBe(1007);
  });

  test('a value in a collection that is no map is left alone, and not shown to JSON devices', async () => {
    const server = await useServer();
    const phone = await useNative(server, 'anna', 'phone');
    const json = await useJson(server, 'anna', 'tablet');
    phone.collection('notes').set('version', 3);
    phone.collection('notes').set('plain', { text: 'stored as one value' });
    phone.record('notes', 'n1').set('text', 'x');
    await phone.saved();
    await json.until(() => json.store.notes?.n1?.text);
    json.requestSync();
    expect((await json.next('FULL_SYNC')) && json.store.notes).toEqual({ n1: { id: 'n1', text: 'x' } });
    const other = await useNative(server, 'anna', 'other');
    expect(other.collection('notes').get('version')).toBe(3);
    expect(other.collection('notes').get('plain')).toEqual({ text: 'stored as one value' });
  });
});

describe('[S4] limits of the native endpoint, at the limit and one past it', () => {
  /** A message of that many bytes; the client id has its part in them. */
  const sized = (bytes: number, client: number): Uint8Array => {
    const build = (length: number) => {
      const doc = docWith((one) => one.getMap('notes').set(`n${client}`, 'x'.repeat(length)), client);
      return message(Y.encodeStateAsUpdate(doc));
    };
    return build(bytes - (build(bytes).length - bytes));
  };

  test('MAX_NATIVE_MESSAGE: one past it closes with 1009', async () => {
    const server = await useServer({ MAX_NATIVE_MESSAGE: '5000', MAX_DOCUMENT: '5000' });
    const atLimit = sized(5000, 7);
    expect(atLimit).toHaveLength(5000);
    const raw = await useRaw(server, 'anna', 'phone');
    raw.send(atLimit);
    raw.send(messages.checkpoint(1));
    await raw.next('checkpoint');
    const pastIt = sized(5001, 8);
    expect(pastIt).toHaveLength(5001);
    raw.send(pastIt);
    expect((await raw.end()).code).toBe(1009);
  });

  const nested = (depth: number): Uint8Array => {
    const doc = docWith((one) => {
      let map = one.getMap<unknown>('notes');
      for (let i = 0; i < depth; i++) map = map.set('a', new Y.Map<unknown>()) as Y.Map<unknown>;
    });
    return message(Y.encodeStateAsUpdate(doc));
  };

  test('MAX_DEPTH: one past it closes with 1007, in one update', async () => {
    const server = await useServer({ MAX_DEPTH: '8' });
    const raw = await useRaw(server, 'anna', 'phone');
    raw.send(nested(8));
    raw.send(messages.checkpoint(1));
    await raw.next('checkpoint');
    raw.send(nested(9));
    expect((await raw.end()).code).toBe(1007);
    expect((await useNative(server, 'anna', 'fresh')).json()).toEqual({ notes: { a: expect.anything() } });
  });

  test('MAX_DEPTH: and level by level', async () => {
    const server = await useServer({ MAX_DEPTH: '8' });
    const phone = await useNative(server, 'anna', 'phone');
    let map = phone.collection('notes');
    for (let i = 0; i < 8; i++) map = map.set('a', new Y.Map<unknown>());
    await phone.saved();
    map.set('a', new Y.Map<unknown>());
    await phone.until(() => phone.closes.includes(1007));
  });

  /** An update of that many bytes, which builds on one that never comes. */
  const orphan = (bytes: number): Uint8Array => {
    const build = (length: number) => {
      const doc = docWith((one) => one.getMap('notes').set('n1', 'first'), 7);
      const before = Y.encodeStateVector(doc);
      doc.getMap('notes').set('n2', 'x'.repeat(length));
      return Y.encodeStateAsUpdate(doc, before);
    };
    return build(bytes - (build(bytes).length - bytes));
  };

  test('MAX_PENDING: one past it closes with 1008', async () => {
    const server = await useServer({ MAX_PENDING: '2000' });
    const atLimit = orphan(2000);
    expect(atLimit).toHaveLength(2000);
    const raw = await useRaw(server, 'anna', 'phone');
    raw.send(message(atLimit));
    await raw.heard();
    expect(raw.closed).toBeNull();
    raw.send(message(orphan(200)));
    expect((await raw.end()).code).toBe(1008);
    const alone = await useRaw(server, 'anna', 'phone');
    expect(orphan(2001)).toHaveLength(2001);
    alone.send(message(orphan(2001)));
    expect((await alone.end()).code).toBe(1008);
  });
});

test('[S2] what waits is a copy of its own: traffic that follows does not reach into it', async () => {
  const server = await useServer();
  const author = docWith((doc) => doc.getMap('notes').set('n1', new Y.Map([['text', 'one']])));
  const first = Y.encodeStateAsUpdate(author);
  const before = Y.encodeStateVector(author);
  author.getMap('notes').set('n2', new Y.Map([['text', 'two '.repeat(100)]]));
  const raw = await useRaw(server, 'anna', 'phone');
  raw.send(message(Y.encodeStateAsUpdate(author, before)));
  const filler = docWith((doc) => doc.getMap('filler').set('f', 'z'.repeat(100_000)));
  for (let i = 0; i < 20; i++) raw.send(message(Y.encodeStateAsUpdate(filler)));
  raw.send(message(first));
  raw.send(messages.checkpoint(1));
  await raw.next('checkpoint');
  const fresh = await useNative(server, 'anna', 'fresh');
  expect(fresh.json().notes).toEqual({ n1: { text: 'one' }, n2: { text: 'two '.repeat(100) } });
});
