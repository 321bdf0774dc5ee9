/** Durable before visible, and what everybody is told when it can't be made durable (N3). */
import * as encoding from 'lib0/encoding';
import { describe, expect, test, vi } from 'vitest';
import * as Y from 'yjs';
import { SyncError } from '../../../server/errors.js';
import { collectingLog } from '../../../server/log.js';
import { messages } from '../../../server/protocol/yjs.js';
import { MemoryStore } from '../../../server/store/memory/memory-store.js';
import { ObservedStore } from '../../support/observed-store.js';
import { openJson, useJson, useNative, useRaw, useServer } from '../../support/use.js';
import { PATIENCE } from '../../support/wait.js';

const USER = 'anna';

function edit(client: number, key: string): Uint8Array {
  const doc = new Y.Doc();
  doc.clientID = client;
  doc.getMap('notes').set(key, new Y.Map([['text', key]]));
  return messages.update(Y.encodeStateAsUpdate(doc));
}

async function useMemory(options: Readonly<Record<string, string>> = {}) {
  const memory = new MemoryStore();
  const store = new ObservedStore(memory);
  const server = await useServer(options, { store });
  return { memory, store, server };
}

const status = async (url: string): Promise<number> => (await fetch(url)).status;

describe('[N3] while a commit is under way', () => {
  test('nobody sees the update of a native device; then everybody does', async () => {
    const { memory, store, server } = await useMemory();
    const writer = await useRaw(server, USER, 'writer');
    const watcher = await useRaw(server, USER, 'watcher');
    const tablet = await useJson(server, USER, 'tablet');
    memory.hold();
    writer.send(edit(7, 'n1'));
    writer.send(messages.checkpoint(1));
    await store.until(() => store.commits === 1);
    watcher.send(messages.syncStep1(Uint8Array.of(0)));
    tablet.requestSync({ ack: 'synced' });
    const before = { watcher: watcher.messages.length, tablet: tablet.messages.length };
    const late = openJson(server, USER, 'late');
    const got = fetch(`${server.url}/api/sync/${USER}`).then((response) => response.json());
    const exchange = fetch(`${server.url}/api/yjs/${USER}`, {
      method: 'POST',
      body: encoding.encode((encoder) => {
        encoding.writeVarUint8Array(encoder, Uint8Array.of(0));
        encoding.writeVarUint8Array(encoder, new Uint8Array(0));
      }),
    });
    const answered: string[] = [];
    void got.then(() => answered.push('GET'));
    void exchange.then(() => answered.push('POST'));
    await late.until(() => late.ws.readyState === late.ws.OPEN);
    await Promise.all([writer.heard(), watcher.heard(), tablet.heard(), late.heard()]);
    await Promise.all([status(`${server.url}/health`), status(`${server.url}/ready`)]);
    expect(writer.of('checkpoint')).toEqual([]);
    expect(watcher.messages).toHaveLength(before.watcher);
    expect(tablet.messages).toHaveLength(before.tablet);
    expect(late.messages).toEqual([]);
    expect(answered).toEqual([]);
    memory.release();
    await writer.next('checkpoint');
    await watcher.next('update');
    await watcher.next('syncStep2');
    await tablet.next('ACK');
    await late.next('CONNECTION_CONFIRMED');
    expect(late.messages.map(({ type }) => type)).toEqual(['FULL_SYNC', 'CONNECTION_CONFIRMED']);
    const record = { id: 'n1', text: 'n1' };
    expect([tablet.store.notes, late.store.notes]).toEqual([{ n1: record }, { n1: record }]);
    expect(((await got) as { notes: unknown }).notes).toEqual([record]);
    expect((await exchange).status).toBe(200);
  });

  test('nobody sees the write of a JSON device or of a POST, and there is no ACK and no answer', async () => {
    const { memory, store, server } = await useMemory({ JSON_PACE: '0' });
    const tablet = await useJson(server, USER, 'tablet');
    const desk = await useJson(server, USER, 'desk');
    const watcher = await useRaw(server, USER, 'watcher');
    memory.hold();
    tablet.update('notes', { id: 'n1', text: 'x' }, { ack: 'saved' });
    await store.until(() => store.commits === 1);
    let answered = false;
    const change = { type: 'DATA_DELETE', data: { collection: 'notes', documentId: 'n1' } };
    const posted = fetch(`${server.url}/api/sync/${USER}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ changes: [{ ...change, userId: USER, deviceId: 'fetcher' }] }),
    }).then((response) => {
      answered = true;
      return response.status;
    });
    await store.until(() => store.commits === 2);
    await Promise.all([tablet.heard(), desk.heard(), watcher.heard()]);
    expect([tablet.of('ACK'), desk.of('DATA_UPDATE'), watcher.of('update'), answered]).toEqual([
      [],
      [],
      [],
      false,
    ]);
    memory.release();
    await tablet.next('ACK');
    await desk.next('DATA_UPDATE');
    await desk.next('DATA_DELETE');
    await watcher.until(() => watcher.of('update').length === 2);
    expect(await posted).toBe(200);
  });

  test('another user is not kept waiting by an answer, and a document in use is not let go', async () => {
    const { memory, store, server } = await useMemory();
    const writer = await useRaw(server, USER, 'writer');
    memory.hold();
    writer.send(edit(7, 'n1'));
    await store.until(() => store.commits === 1);
    await useJson(server, 'bert', 'tablet');
    await writer.close();
    expect(store.forgotten).toEqual([]);
    memory.release();
  });
});

describe('[N3 S4] when a commit fails', () => {
  test.each([
    ['is lost', false],
    ['is in the store all the same', true],
  ])('writers are told, sockets close with 1011, and what was not saved %s', async (_, kept) => {
    const { memory, store, server } = await useMemory();
    const writer = await useRaw(server, USER, 'writer');
    const watcher = await useRaw(server, USER, 'watcher');
    const tablet = await useJson(server, USER, 'tablet');
    const desk = await useJson(server, USER, 'desk');
    const stranger = await useJson(server, 'bert', 'tablet');
    memory.hold();
    tablet.update('notes', { id: 'n1', text: 'x' }, { ack: 'saved' });
    await store.until(() => store.commits === 1);
    writer.send(edit(7, 'n2'));
    writer.send(messages.checkpoint(1));
    await store.until(() => store.commits === 2);
    await writer.heard();
    memory.failNext({ kept, stayDown: true });
    memory.release();
    const ends = await Promise.all([writer, watcher, tablet, desk].map((device) => device.end()));
    expect(ends.map(({ code }) => code)).toEqual([1011, 1011, 1011, 1011]);
    expect(tablet.of('ERROR').map(({ code }) => code)).toEqual(['NOT_SAVED']);
    expect([desk.of('ERROR'), desk.of('DATA_UPDATE'), tablet.of('ACK')]).toEqual([[], [], []]);
    expect([watcher.of('update'), writer.of('checkpoint')]).toEqual([[], []]);
    expect([stranger.closed, stranger.of('ERROR')]).toEqual([null, []]);
    expect(await status(`${server.url}/ready`), '[H4] not ready').toBe(503);
    expect(await status(`${server.url}/health`)).toBe(200);
    const refused = openJson(server, USER, 'tablet');
    expect((await refused.end()).code).toBe(1011);
    expect(await status(`${server.url}/api/sync/${USER}`)).toBe(503);
    memory.recover();
    expect(await status(`${server.url}/ready`)).toBe(200);
    const again = await useJson(server, USER, 'tablet');
    const saved = Object.keys(again.store.notes ?? {});
    expect(saved).toEqual(kept ? ['n1'] : []);
  });

  test('a request gets 503 NOT_SAVED', async () => {
    const { memory, server } = await useMemory();
    memory.failNext({ kept: false });
    const change = { type: 'DATA_UPDATE', data: { collection: 'notes', document: { id: 'n1' } } };
    const response = await fetch(`${server.url}/api/sync/${USER}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ changes: [{ ...change, userId: USER, deviceId: 'fetcher' }] }),
    });
    expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([503, 'NOT_SAVED']);
  });

  test('[P3] an unmodified provider reconnects and brings its edits again', async () => {
    const { log, events } = collectingLog();
    const memory = new MemoryStore();
    const server = await useServer({}, { store: memory, log });
    const phone = await useNative(server, USER, 'phone');
    phone.record('notes', 'n1').set('text', 'saved');
    await phone.saved();
    memory.failNext({ kept: false });
    phone.record('notes', 'n2').set('text', 'refused at first');
    await phone.until(() => phone.closes.includes(1011));
    await phone.synced();
    await phone.saved();
    const fresh = await useNative(server, USER, 'fresh');
    expect(fresh.json().notes).toEqual({ n1: { text: 'saved' }, n2: { text: 'refused at first' } });
    expect(events.map(({ name }) => name)).toEqual(expect.arrayContaining(['storeFailed', 'storeRecovered']));
  });
});

test('[N3 L5] a write is not saved where the history that it is compared with cannot be read', async () => {
  const memory = new MemoryStore();
  const server = await useServer({ IDLE_TIMEOUT: '1ms', REST_AFTER: '1h' }, { store: memory });
  const phone = await useJson(server, USER, 'phone');
  phone.update('notes', { id: 'n1', text: 'x' });
  await phone.saved();
  await phone.close();
  const desk = await useJson(server, USER, 'desk');
  desk.update('notes', { id: 'n1', text: 'y' });
  await desk.saved();
  await desk.close();
  const metrics = async () => (await fetch(`${server.url}/metrics`)).text();
  await expect.poll(metrics, { timeout: PATIENCE }).toContain('telemed_documents 0\n');
  vi.spyOn(memory, 'history').mockRejectedValue(new SyncError('STORE_UNAVAILABLE'));
  const back = await useJson(server, USER, 'phone');
  back.update('notes', { id: 'n1', text: 'z' }, { ack: 'z' });
  expect((await back.end()).code).toBe(1011);
  expect(back.of('ERROR')).toMatchObject([{ code: 'NOT_SAVED', ack: 'z' }]);
});

test('[P5 S4] a damaged document: 1011 and 500 for its user, nobody else notices', async () => {
  const { log, events } = collectingLog();
  const memory = new MemoryStore();
  const server = await useServer({}, { store: memory, log });
  memory.damage(USER as never);
  const { code, reason } = await openJson(server, USER, 'tablet').end();
  expect([code, reason]).toEqual([1011, expect.stringContaining('damaged')]);
  const response = await fetch(`${server.url}/api/sync/${USER}`);
  expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([
    500,
    'DOCUMENT_CORRUPT',
  ]);
  expect(events.map(({ name }) => name)).toContain('documentQuarantined');
  await useJson(server, 'bert', 'tablet');
  expect(await status(`${server.url}/ready`)).toBe(200);
});

test('[N3 L1 L4] while nothing can be saved, a JSON device that only reads comes in, and nobody is sent away for it', async () => {
  const { memory, server } = await useMemory();
  const tablet = await useJson(server, USER, 'tablet');
  tablet.update('notes', { id: 'n1', text: 'x' });
  await tablet.saved();
  const writer = await useJson(server, 'bert', 'writer');
  memory.failNext({ kept: false, stayDown: true });
  writer.update('notes', { id: 'n1' });
  await writer.end();
  expect(await status(`${server.url}/ready`)).toBe(503);
  const desk = await useJson(server, USER, 'desk');
  expect(desk.store.notes).toEqual({ n1: { id: 'n1', text: 'x' } });
  const tag = (await fetch(`${server.url}/api/sync/${USER}`)).headers.get('etag') ?? '';
  const headers = { 'Device-ID': 'fetcher', 'If-None-Match': tag };
  expect((await fetch(`${server.url}/api/sync/${USER}`, { headers })).status).toBe(304);
  await desk.close();
  expect(tablet.closed).toBeNull();
  memory.recover();
});
