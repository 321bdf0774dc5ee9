/** The native endpoint over real sockets, with unmodified providers and with bare ones (N1–N6). */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import WebSocket from 'ws';
import * as Y from 'yjs';
import { messages } from '../../../server/protocol/yjs.js';
import { MemoryStore } from '../../../server/store/memory/memory-store.js';
import { ObservedStore } from '../../support/observed-store.js';
import { openRaw, useJson, useNative, useRaw, useServer } from '../../support/use.js';

/** A document in which `fill` was done by a client id of its own. */
function docOf(client: number, fill: (doc: Y.Doc) => void): Y.Doc {
  const doc = new Y.Doc();
  doc.clientID = client;
  doc.transact(() => fill(doc));
  return doc;
}

const note = (client: number, key: string, text = 'a note'): Uint8Array =>
  Y.encodeStateAsUpdate(docOf(client, (doc) => doc.getMap('notes').set(key, new Y.Map([['text', text]]))));

describe('[N1] the y-websocket protocol', () => {
  test('edits and awareness travel between unmodified providers, both ways', async () => {
    const server = await useServer();
    const phone = await useNative(server, 'anna', 'phone');
    const laptop = await useNative(server, 'anna', 'laptop');
    phone.record('notes', 'n1').set('text', 'from the phone');
    laptop.record('notes', 'n2').set('text', 'from the laptop');
    phone.provider.awareness.setLocalState({ name: 'Anna' });
    const both = { notes: { n1: { text: 'from the phone' }, n2: { text: 'from the laptop' } } };
    await phone.until(() => phone.json().notes?.n2?.text);
    await laptop.until(() => laptop.json().notes?.n1?.text);
    await laptop.until(() => laptop.provider.awareness.getStates().get(phone.doc.clientID)?.name === 'Anna');
    expect([phone.json(), laptop.json()]).toEqual([both, both]);
  });

  test.each(['dr.anna@clinic:7_a-b', '0', 'a'.repeat(128)])(
    '[D6] a user %s and a provider without a deviceId',
    async (user) => {
      const server = await useServer();
      const [one, two] = [
        await useNative(server, user, ''),
        await useNative({ url: server.url }, encodeURIComponent(user), 'named'),
      ];
      one.record('notes', 'n1').set('text', 'hello');
      await two.until(() => two.json().notes?.n1?.text === 'hello');
    },
  );

  test.each(['a b', '~a', 'a%2Fb', 'a'.repeat(129), '%E0%A4%A'])(
    '[D6 S4] the user %s is refused with 1008',
    async (user) => {
      const server = await useServer();
      const refused = openRaw(server, user.replace(' ', '%20'), 'phone');
      expect((await refused.end()).code).toBe(1008);
    },
  );

  test('[D6] a deviceId with other characters is refused with 1008', async () => {
    const server = await useServer();
    expect((await openRaw(server, 'anna', 'my/phone').end()).code).toBe(1008);
  });

  test.each(['/yjs', '/yjs/', '/yjs/anna/more', '/', '/other?userId=anna&deviceId=d'])(
    'there is no WebSocket at %s',
    async (path) => {
      const server = await useServer({ DEMO: 'false' });
      const response = await fetch(`${server.url}${path}`);
      expect(response.status).toBe(404);
      const ws = new WebSocket(`${server.url.replace('http', 'ws')}${path}`);
      const status = await new Promise((resolve) => {
        ws.on('unexpected-response', (request, answer) => {
          resolve(answer.statusCode);
          request.destroy();
        });
        ws.on('error', () => {});
      });
      expect(status).toBe(404);
    },
  );

  test('a query of awareness is answered, an auth message of a client is passed over', async () => {
    const server = await useServer();
    const raw = await useRaw(server, 'anna', 'phone');
    raw.send(messages.permissionDenied('nonsense'));
    raw.send(Uint8Array.of(3));
    expect((await raw.next('awareness')).entries).toEqual([]);
  });
});

describe('[N2] the first message', () => {
  test('is SyncStep1 with what the document has, however early the client speaks', async () => {
    const store = new ObservedStore(new MemoryStore());
    const server = await useServer({}, { store });
    const writer = await useRaw(server, 'anna', 'writer');
    writer.send(messages.update(note(7, 'n1')));
    writer.send(messages.checkpoint(1));
    await writer.next('checkpoint');
    const release = store.holdLoads();
    const early = openRaw(server, 'anna', 'early');
    await early.until(() => early.ws.readyState === early.ws.OPEN);
    early.send(messages.syncStep1(Uint8Array.of(0)));
    early.send(Uint8Array.of(3));
    release();
    const answer = await early.next('syncStep2');
    expect(early.messages[0]).toEqual({ type: 'syncStep1', stateVector: expect.anything() });
    const [first] = early.of('syncStep1');
    expect(Y.decodeStateVector(first?.stateVector as Uint8Array)).toEqual(new Map([[7, 2]]));
    const doc = new Y.Doc();
    Y.applyUpdate(doc, answer.update);
    expect(doc.getMap('notes').toJSON()).toEqual({ n1: { text: 'a note' } });
  });

  test('waits for a load that is under way, and so does what the client sent meanwhile', async () => {
    const memory = new MemoryStore();
    const store = new ObservedStore(memory);
    const server = await useServer({}, { store });
    const release = store.holdLoads();
    const early = openRaw(server, 'anna', 'early');
    await early.until(() => early.ws.readyState === early.ws.OPEN);
    early.send(messages.update(note(7, 'n1')));
    early.send(messages.checkpoint(5));
    await store.until(() => store.loads.length === 1);
    expect(early.messages).toEqual([]);
    release();
    await early.next('checkpoint');
    expect(early.messages.map(({ type }) => type)).toEqual(['syncStep1', 'checkpoint']);
    expect(memory.contents.get('anna' as never)?.updates).toHaveLength(1);
  });

  test('[N3] claims only what is durable: it waits for a commit that is under way', async () => {
    const memory = new MemoryStore();
    const store = new ObservedStore(memory);
    const server = await useServer({}, { store });
    const writer = await useRaw(server, 'anna', 'writer');
    memory.hold();
    writer.send(messages.update(note(7, 'n1')));
    await store.until(() => store.commits === 1);
    const late = openRaw(server, 'anna', 'late');
    await late.until(() => late.ws.readyState === late.ws.OPEN);
    late.send(messages.syncStep1(Uint8Array.of(0)));
    await late.heard();
    writer.send(messages.awareness([{ id: 7, clock: 1, state: '{}' }]));
    await Promise.all([writer.heard(), late.heard()]);
    expect(late.messages).toEqual([]);
    memory.release();
    await late.next('syncStep2');
    expect(late.messages.map(({ type }) => type)).toEqual(['syncStep1', 'awareness', 'syncStep2']);
  });

  test('a provider that edited offline is synced with everything, and gives what it has', async () => {
    const server = await useServer();
    const doc = docOf(9, (mine) => mine.getMap('notes').set('offline', new Y.Map([['text', 'mine']])));
    const first = await useNative(server, 'anna', 'first');
    for (let i = 0; i < 50; i++) first.record('notes', `n${i}`).set('text', `${i}`);
    await first.saved();
    const phone = await useNative(server, 'anna', 'phone', { doc });
    expect(Object.keys(phone.json().notes ?? {})).toHaveLength(51);
    await first.until(() => first.json().notes?.offline?.text === 'mine');
  });
});

describe('[N4] checkpoints', () => {
  test('are answered once what came before is durable, in order, and no earlier', async () => {
    const memory = new MemoryStore();
    const store = new ObservedStore(memory);
    const server = await useServer({}, { store });
    const raw = await useRaw(server, 'anna', 'phone');
    raw.send(messages.checkpoint(0));
    await raw.next('checkpoint');
    memory.hold();
    raw.send(messages.update(note(7, 'n1')));
    for (const n of [300, 2, 2 ** 40]) raw.send(messages.checkpoint(n));
    await raw.heard();
    expect(raw.of('checkpoint')).toHaveLength(1);
    memory.release();
    await raw.until(() => raw.of('checkpoint').length === 4);
    expect(raw.of('checkpoint').map(({ n }) => n)).toEqual([0, 300, 2, 2 ** 40]);
    expect(memory.contents.get('anna' as never)?.updates).toHaveLength(1);
  });

  test('are never answered after a refused message', async () => {
    const server = await useServer();
    const raw = await useRaw(server, 'anna', 'phone');
    raw.send(messages.update(Uint8Array.of(9, 9, 9)));
    raw.send(messages.checkpoint(1));
    expect((await raw.end()).code).toBe(1007);
    expect(raw.of('checkpoint')).toEqual([]);
  });

  test('wait while an update misses dependencies; SyncStep1 asks for them', async () => {
    const server = await useServer();
    const author = new Y.Doc();
    author.getMap('notes').set('n1', new Y.Map([['text', 'one']]));
    const first = Y.encodeStateAsUpdate(author);
    const before = Y.encodeStateVector(author);
    author.getMap('notes').set('n2', new Y.Map([['text', 'two']]));
    const second = Y.encodeStateAsUpdate(author, before);
    const watcher = await useNative(server, 'anna', 'watcher');
    const raw = await useRaw(server, 'anna', 'phone');
    raw.send(messages.syncStep2(Y.encodeStateAsUpdate(new Y.Doc())));
    raw.send(messages.update(second));
    raw.send(messages.checkpoint(1));
    await raw.until(() => raw.of('syncStep1').length === 2);
    await raw.heard();
    expect(raw.of('checkpoint')).toEqual([]);
    raw.send(messages.update(first));
    await raw.next('checkpoint');
    await watcher.until(() => watcher.json().notes?.n2?.text);
    expect(watcher.json()).toEqual({ notes: { n1: { text: 'one' }, n2: { text: 'two' } } });
  });

  test('come to nobody who did not ask', async () => {
    const server = await useServer();
    const silent = await useRaw(server, 'anna', 'silent');
    const phone = await useNative(server, 'anna', 'phone');
    phone.record('notes', 'n1').set('text', 'x');
    await phone.saved();
    await silent.until(() => silent.of('update').length === 2);
    await silent.heard();
    expect(silent.of('checkpoint')).toEqual([]);
    expect(phone.checkpoints).toEqual([1]);
  });
});

test('[N5] an update goes to every other connection, the same device included, and not back', async () => {
  const server = await useServer();
  const raw = await useRaw(server, 'anna', 'phone');
  const twin = await useRaw(server, 'anna', 'phone');
  const json = await useJson(server, 'anna', 'phone');
  const stranger = await useRaw(server, 'bert', 'phone');
  raw.send(messages.update(note(7, 'n1')));
  raw.send(messages.checkpoint(1));
  expect((await twin.next('update')).update).toEqual(note(7, 'n1'));
  expect((await json.next('DATA_UPDATE')).data).toEqual({
    collection: 'notes',
    document: { id: 'n1', text: 'a note' },
  });
  await raw.next('checkpoint');
  await stranger.heard();
  expect(raw.of('update')).toEqual([]);
  expect(stranger.of('update'), '[D1] another user sees nothing').toEqual([]);
});

test('[N5 L3] a write of a JSON device reaches native ones as a Yjs update', async () => {
  const server = await useServer();
  const phone = await useNative(server, 'anna', 'phone');
  const json = await useJson(server, 'anna', 'tablet');
  json.update('prescriptions', { id: 'p1', doses: [{ id: 'a', mg: 20 }] });
  await phone.until(() => phone.json().prescriptions?.p1);
  const doses = phone.record('prescriptions', 'p1').get('doses');
  expect(doses).toBeInstanceOf(Y.Array);
  expect((doses as Y.Array<unknown>).get(0)).toBeInstanceOf(Y.Map);
  json.delete('prescriptions', 'p1');
  await phone.until(() => !phone.collection('prescriptions').has('p1'));
});

describe('[N6] awareness', () => {
  test('a state is removed for all when its connection ends, with or without a goodbye', async () => {
    const server = await useServer();
    const watcher = await useNative(server, 'anna', 'watcher');
    const phone = await useNative(server, 'anna', 'phone');
    phone.provider.awareness.setLocalState({ at: 'n1' });
    const seen = () => watcher.provider.awareness.getStates().get(phone.doc.clientID)?.at;
    await watcher.until(() => seen() === 'n1');
    phone.offline();
    await watcher.until(() => !watcher.provider.awareness.getStates().has(phone.doc.clientID));
    phone.provider.awareness.setLocalState({ at: 'n2' });
    await phone.online();
    await watcher.until(() => seen() === 'n2');
    (phone.provider.ws as unknown as { terminate(): void }).terminate();
    await watcher.until(() => !watcher.provider.awareness.getStates().has(phone.doc.clientID));
    await phone.until(() => phone.connections === 3 && phone.provider.synced); // it reconnects by itself
    phone.provider.awareness.setLocalState({ at: 'n3' });
    await watcher.until(() => seen() === 'n3');
  });

  test('a newcomer hears of those who are there', async () => {
    const server = await useServer();
    const phone = await useNative(server, 'anna', 'phone');
    phone.provider.awareness.setLocalState({ at: 'n1' });
    await phone.saved();
    const raw = await useRaw(server, 'anna', 'late');
    const { entries } = await raw.next('awareness');
    expect(entries.map(({ id, state }) => [id, JSON.parse(state)])).toEqual([
      [phone.doc.clientID, { at: 'n1' }],
    ]);
  });

  test('states of others that are re-sent change nothing, and 4 KB is the limit', async () => {
    const server = await useServer();
    const owner = await useRaw(server, 'anna', 'owner');
    const watcher = await useRaw(server, 'anna', 'watcher');
    const echo = await useRaw(server, 'anna', 'echo');
    const state = (length: number) => JSON.stringify('x'.repeat(length - 2));
    owner.send(messages.awareness([{ id: 1, clock: 1, state: state(4096) }]));
    expect((await watcher.next('awareness')).entries[0]?.state).toHaveLength(4096);
    echo.send(messages.awareness([{ id: 2, clock: 1, state: '{}' }]));
    await watcher.next('awareness');
    echo.send(
      messages.awareness([
        { id: 1, clock: 9, state: 'null' },
        { id: 1, clock: 10, state: '{}' },
      ]),
    );
    owner.send(messages.awareness([{ id: 1, clock: 2, state: state(4097) }]));
    await Promise.all([echo.heard(), owner.heard(), watcher.heard()]);
    expect(watcher.of('awareness')).toHaveLength(2);
  });
});

test('[S2] there is one lib0, and it is 0.2.118 or newer', () => {
  const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
    packages: Record<string, { version: string }>;
  };
  const found = Object.entries(packages).filter(([path]) => path.endsWith('node_modules/lib0'));
  const [major, minor, patch] = (found[0]?.[1].version ?? '').split('.').map(Number);
  expect(found).toHaveLength(1);
  expect([major, minor]).toEqual([0, 2]);
  expect(patch).toBeGreaterThanOrEqual(118);
});
