/** What attacks on the server found, one test each. */
import * as encoding from 'lib0/encoding';
import { expect, test, vi } from 'vitest';
import * as Y from 'yjs';
import type { Origin } from '../server/documents/changes.js';
import { Unifier } from '../server/documents/union/unifier.js';
import type { UserDocument } from '../server/documents/user-document.js';
import type { SyncError } from '../server/errors.js';
import { YjsSession } from '../server/gateways/yjs/session.js';
import { encodeExchange } from '../server/protocol/exchange.js';
import { decodeMessage, decodeStateVector, messages, type YjsMessage } from '../server/protocol/yjs.js';
import { MemoryStore } from '../server/store/memory/memory-store.js';
import type { CollectionName, DeviceId, RecordId } from '../shared/names.js';
import { sharedValue } from '../shared/records.js';
import { yjsOutbox } from './support/devices/outbox.js';
import { followedOf, openDocument } from './support/document.js';
import { overlapOfCollected } from './support/hostile.js';
import { passUnchecked } from './support/pass-unchecked.js';
import { useServer } from './support/use.js';

const origin: Origin = { via: 'yjs', device: 'phone' as DeviceId, actor: null, subscriber: null };
const appointments = 'appointments' as CollectionName;

function updateOf(fill: (records: Y.Map<unknown>) => void, clientID = 77): Uint8Array {
  const doc = new Y.Doc();
  doc.clientID = clientID;
  doc.transact(() => fill(doc.getMap(appointments)));
  return Y.encodeStateAsUpdate(doc);
}

const recordOf = (document: UserDocument, id: string) =>
  document.record({ collection: appointments, id: id as RecordId });

function session(document: UserDocument) {
  const sent: YjsMessage[] = [];
  const closed: SyncError[] = [];
  const outbox = yjsOutbox({
    send: (bytes: Uint8Array) => sent.push(decodeMessage(bytes)),
    close: (error: SyncError) => closed.push(error),
  });
  const limits = { maxPending: 256 * 1024, pendingTimeout: 30_000 };
  const device = 'tablet' as DeviceId;
  return {
    sent,
    closed,
    session: new YjsSession({ document: followedOf(document), device, outbox, now: () => 0, ...limits }),
  };
}

test('[N3 H2 H3] a write over HTTP while the store is being reopened is refused, not acknowledged', async () => {
  const store = new MemoryStore();
  const server = await useServer({}, { store });
  const post = (user: string, v: number) => {
    const data = { collection: appointments, document: { id: 'x', v }, timestamp: Date.now() + 1 };
    const message = { type: 'DATA_UPDATE', userId: user, deviceId: 'd', data };
    return fetch(`${server.url}/api/sync/${user}`, {
      method: 'POST',
      body: JSON.stringify({ changes: [message] }),
    });
  };
  expect((await post('bert', 1)).status).toBe(200);
  expect((await post('carl', 1)).status).toBe(200);
  store.failNext({ kept: false, stayDown: true });
  expect((await post('anna', 1)).status).toBe(503);
  expect((await post('bert', 2)).status).toBe(503);
  const update = updateOf((records) => records.set('y', new Y.Map()));
  const body = encodeExchange({ stateVector: new Uint8Array(0), update });
  expect(
    (await fetch(`${server.url}/api/yjs/carl`, { method: 'POST', body: Buffer.from(body) })).status,
  ).toBe(503);
  store.recover();
  const after = (await (await fetch(`${server.url}/api/sync/bert`)).json()) as { appointments: unknown };
  expect(after.appointments).toEqual([{ id: 'x', v: 1 }]);
});

test('[P6] nobody writes under a client id of the server', async () => {
  const document = await openDocument(new MemoryStore());
  document.write(origin, (doc) => doc.getMap(appointments).set('x', new Y.Map([['v', 1]])));
  const [[id, clock] = [0, 0]] = decodeStateVector(document.stateVector());
  const forged = encoding.encode((encoder) => {
    for (const number of [1, 1, id, clock]) encoding.writeVarUint(encoder, number);
    encoding.writeUint8(encoder, 0); // GC
    encoding.writeVarUint(encoder, 2 ** 40);
    encoding.writeVarUint(encoder, 0);
  });
  expect(() => document.receive(origin, forged, null)).toThrow(/client id of the server/);
  expect(document.receive(origin, document.diff(new Uint8Array([0])), null)).toEqual({ missing: null });
});

test('[S1] a value that Yjs stores but can not print hides nothing else', async () => {
  const document = await openDocument(new MemoryStore());
  const update = updateOf((records) => {
    const fragment = new Y.XmlFragment();
    records.set('bad', new Y.Map([['notes', fragment]]));
    records.set('good', new Y.Map([['v', 1]]));
    Y.transact(fragment.doc as Y.Doc, () => fragment.insert(0, [null as unknown as Y.XmlText]));
  });
  document.receive(origin, update, null);
  expect(document.collections().appointments).toEqual(
    expect.arrayContaining([
      { id: 'good', v: 1 },
      { id: 'bad', notes: null },
    ]),
  );
});

test('[N2 N4 S1] who connects while a document is rebuilt is told nothing of what was refused', async () => {
  const store = new MemoryStore();
  const document = await openDocument(store);
  const [collected, overlap] = overlapOfCollected();
  passUnchecked();
  document.receive(origin, collected as Uint8Array, null);
  await document.durable();
  store.hold();
  document.receive(
    origin,
    updateOf((records) => records.set('held', new Y.Map())),
    null,
  );
  expect(() => document.receive(origin, overlap as Uint8Array, null)).toThrow();
  const late = session(document);
  late.session.start();
  const durable = document.durable();
  expect(late.sent).toEqual([]);
  store.release();
  await durable;
  await expect.poll(() => late.sent).toHaveLength(1);
  expect(late.sent[0]).toEqual({ type: 'syncStep1', stateVector: document.stateVector() });
  expect(recordOf(document, 'held')).toEqual({ id: 'held' });
});

test('[S1] updates that arrive last one first are applied at once, and only so many may wait', async () => {
  const document = await openDocument(new MemoryStore());
  const doc = new Y.Doc();
  const updates: Uint8Array[] = [];
  doc.on('update', (update: Uint8Array) => updates.push(update));
  for (let i = 0; i <= 1_001; i++) doc.getMap(appointments).set('x', i);
  const tablet = session(document);
  for (const update of updates.slice(1, 1_001).reverse()) tablet.session.receive(messages.update(update));
  const began = performance.now();
  tablet.session.receive(messages.update(updates[0] as Uint8Array));
  expect(performance.now() - began).toBeLessThan(5_000);
  expect(Y.decodeStateVector(document.stateVector()).get(doc.clientID)).toBe(1_001);

  const other = session(await openDocument(new MemoryStore()));
  for (const update of updates.slice(1)) other.session.receive(messages.update(update));
  expect(other.closed.map(({ code }) => code)).toEqual(['MISSING_DEPENDENCIES']);
});

// No input is known any more that makes a union throw, so the fault is put in by hand.
test('[D4 S1] a union that fails is not the fault of who wrote: its update is taken all the same', async () => {
  const document = await openDocument(new MemoryStore());
  document.receive(
    origin,
    updateOf((records) => records.set('x', sharedValue({ a: 1 })), 5),
    null,
  );
  const run = vi.spyOn(Unifier.prototype, 'run').mockImplementationOnce(() => {
    throw new Error('a union that fails');
  });
  const result = document.receive(
    origin,
    updateOf((records) => {
      records.set('x', sharedValue({ b: 2 }));
      records.set('mine', sharedValue({ c: 3 }));
    }, 6),
    null,
  );
  expect(result).toEqual({ missing: null });
  await document.durable();
  expect(recordOf(document, 'mine')).toEqual({ id: 'mine', c: 3 });
  expect(recordOf(document, 'x')).toEqual({ id: 'x', b: 2 });
  run.mockRestore();
});
