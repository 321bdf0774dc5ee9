/** A tab comes back after another one took a document that was written anew, and compacted it (C9, C11, P10). */
import { describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import { StorageError } from '../../../client/errors.js';
import type { DeviceStorage } from '../../../client/local-store/store.js';
import { seal, sealSnapshot, unseal } from '../../../client/replica/stored-bytes.js';
import type { CollectionName, RecordId } from '../../../shared/names.js';
import { recordMap, writeRecord } from '../../../shared/records.js';
import { BreakableStorage } from '../../support/breakable-storage.js';
import { ManualClock } from '../../support/manual-clock.js';
import { asleep, Tab } from '../../support/tab.js';

const NOTES = 'notes' as CollectionName;
const clock = new ManualClock();

const put = (tab: Tab, id: string) =>
  tab.replica.write((doc) => writeRecord(doc, NOTES, id as RecordId, { id, n: 1 }));
const edit = (tab: Tab, id: string, n: number) =>
  tab.replica.write((doc) => void recordMap(doc, NOTES, id as RecordId)?.set('n', n));

function remote(change: (doc: Y.Doc) => void, clientID?: number): Uint8Array {
  const doc = new Y.Doc();
  if (clientID !== undefined) doc.clientID = clientID;
  change(doc);
  return Y.encodeStateAsUpdate(doc);
}

async function applyLarge(tab: Tab, count: number): Promise<void> {
  for (let n = 0; n < count; n++)
    await tab.replica.applyRemote(
      remote((doc) => doc.getMap('other').set(`k${doc.clientID}`, 'x'.repeat(800_000))),
    );
}

/** What another tab puts in the place of all, with a field of theirs, and so much behind it that it is compacted. */
async function replaceAndCompact(storage: DeviceStorage, tab: Tab, clientID: number): Promise<Tab> {
  const state = remote((doc) => {
    writeRecord(doc, NOTES, 'r' as RecordId, { id: 'r', n: 1, theirs: 7 });
  }, clientID);
  await tab.replica.refused.moveTo({ state, epoch: null });
  const again = await Tab.open(storage, clock);
  await applyLarge(again, 2);
  return again;
}

async function kinds(storage: DeviceStorage): Promise<unknown[]> {
  const store = await storage.open('anna', { onNews() {}, onGone() {}, onError() {} });
  let found: unknown[] = [];
  await store.append(({ changes }) => {
    found = changes.map(({ bytes }) => unseal(bytes)?.kind);
    return [];
  });
  await store.close();
  return [...new Set(found)];
}

describe.each([1, 2 ** 32 - 1])('a document by the id %i', (id) => {
  test('[C7 C9 P10] what was made in memory meanwhile, where storage failed, is made on it', async () => {
    const storage = new BreakableStorage();
    const one = await Tab.open(storage, clock);
    await put(one, 'r');
    one.replica.confirm(one.last());
    const two = await Tab.open(storage, clock);
    storage.failure = new StorageError('QUOTA', 'There is no room.');
    await edit(one, 'r', 5);
    await put(one, 's');
    storage.failure = null; // and is tried again when time passes
    await replaceAndCompact(storage, two, id);
    expect(await kinds(storage)).not.toContain('replacement');
    await clock.live(60_000);
    expect(one.said).toContain('broken');
    const again = await Tab.open(storage, clock);
    // Yjs shows that of the higher id until the server has compared their times.
    const n = id === 1 ? 5 : 1;
    expect(again.notes()).toEqual({ r: { id: 'r', n, theirs: 7 }, s: { id: 's', n: 1 } });
    const waiting = again.replica.pendingAfter(0).flatMap(({ update }) => Y.decodeUpdate(update).structs);
    expect(
      waiting.map((struct) => (struct instanceof Y.Item ? struct.content.getContent() : [])),
    ).toContainEqual([5]);
  });

  test('[C9 P10] a tab that wakes is told, and so is one where a change waited before the snapshot', async () => {
    const storage = new BreakableStorage();
    const one = await Tab.open(asleep(storage), clock);
    await put(one, 'old');
    one.replica.confirm(one.last());
    const two = await Tab.open(storage, clock);
    const third = await replaceAndCompact(storage, two, id);
    await put(third, 'waits');
    await applyLarge(third, 6);
    expect(await kinds(storage)).toEqual(['change', 'snapshot']);
    await one.replica.settled();
    await new Promise((resolve) => setImmediate(resolve)); // it says so once nothing more is to be stored
    expect(one.said).toEqual(['broken']);
    expect(one.notes()).toEqual({ old: { id: 'old', n: 1 } });
    await put(one, 'late');
    const again = await Tab.open(storage, clock);
    expect(Object.keys(again.notes() as object).sort()).toEqual(['late', 'r', 'waits']);
    expect(again.said).toEqual([]);
  });
});

test('[C5] a snapshot of the version before is read, and tells of no other document', async () => {
  const storage = new BreakableStorage();
  const state = remote((doc) => doc.getMap('notes').set('a', 1));
  const store = await storage.open('anna', { onNews() {}, onGone() {}, onError() {} });
  await store.append(() => [{ bytes: seal(state), pending: false }]);
  const tab = await Tab.open(storage);
  await store.append(() => [{ bytes: seal(state), pending: false }]);
  await store.append(() => [{ bytes: sealSnapshot(state, null), pending: false }]);
  await tab.replica.settled();
  expect(tab.notes()).toEqual({ a: 1 });
  expect(tab.said).toEqual([]);
});

test('[C5] a snapshot keeps where its document was put in the place of another', () => {
  const state = Uint8Array.of(1, 2, 3);
  for (const replacedAt of [null, 1, 7, 2 ** 40])
    expect(unseal(sealSnapshot(state, replacedAt))).toEqual({
      update: state,
      madeAt: null,
      kind: 'snapshot',
      replacedAt,
    });
  const last = 8_640_000_000_000_000; // the last time that a Date can have
  expect(unseal(seal(state, last))).toMatchObject({ madeAt: last, kind: 'change' });
});
