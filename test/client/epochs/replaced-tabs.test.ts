/** The storage of one tab fails while another tab puts a document that was written anew in the place of what is stored. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import { ClientError, StorageError } from '../../../client/errors.js';
import { memoryStorage } from '../../../client/local-store/memory.js';
import type { Json, JsonObject } from '../../../shared/json.js';
import type { CollectionName, RecordId } from '../../../shared/names.js';
import { recordMap, writeRecord } from '../../../shared/records.js';
import { BreakableStorage } from '../../support/breakable-storage.js';
import { drawIdsFrom } from '../../support/drawn-ids.js';
import { ManualClock } from '../../support/manual-clock.js';
import { Tab } from '../../support/tab.js';

const FULL = new StorageError('QUOTA', 'There is no room.');
const MINUTE = 60_000;
const NOTES = 'notes' as CollectionName;

/** Of two concurrent writes Yjs shows that of the higher id: it is the later one here. */
beforeEach(() => {
  let drawn = 0;
  drawIdsFrom(() => ++drawn / 1_000);
});
afterEach(() => drawIdsFrom(null));

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const add = (tab: Tab, id: string): Promise<void> =>
  tab.replica.write((doc) => void writeRecord(doc, NOTES, id as RecordId, { id, n: 1 }));

const edit = (tab: Tab, id: string, field: string, value: Json): Promise<void> =>
  tab.replica.write((doc) => {
    const record = recordMap(doc, NOTES, id as RecordId);
    if (record === null) throw new Error('There is no such record.');
    record.set(field, value);
  });

const remove = (tab: Tab, id: string): Promise<void> =>
  tab.replica.write((doc) => doc.getMap(NOTES).delete(id));

/** What the server has, written anew, takes the place of all that is stored. */
async function takeAnew(tab: Tab): Promise<void> {
  const doc = new Y.Doc();
  for (const [id, note] of Object.entries(tab.notes() as Record<string, JsonObject>))
    writeRecord(doc, NOTES, id as RecordId, note);
  await tab.replica.refused.moveTo({ state: Y.encodeStateAsUpdate(doc), epoch: null });
}

/** Two tabs of one store, each with its own way to it, and a record that the server has. */
async function twoTabs() {
  const [clock, inner] = [new ManualClock(), memoryStorage()];
  const storage = new BreakableStorage(inner);
  const first = await Tab.open(storage, clock);
  const second = await Tab.open(new BreakableStorage(inner), clock);
  await add(first, 'r');
  first.replica.confirm(first.last());
  await turn();
  /** What a tab has that is opened now. */
  const stored = async () => {
    const tab = await Tab.open(new BreakableStorage(inner), clock);
    return { notes: tab.notes(), pending: tab.count, refused: tab.replica.refused.changes.list };
  };
  return { clock, inner, storage, first, second, stored };
}

/** A tab whose storage fails from its start, and that gets what the server has. */
async function beganInMemory({ clock, inner }: Pick<Tabs, 'clock' | 'inner'>, server: Uint8Array) {
  const storage = new BreakableStorage(inner);
  storage.failure = FULL;
  const first = await Tab.open(storage, clock);
  await first.replica.applyRemote(server);
  await first.replica.closeGaps(Y.encodeStateVectorFromUpdate(server));
  return { storage, first };
}

type Tabs = Awaited<ReturnType<typeof twoTabs>>;

test('[C7 C9 P10] what is made after storage could be read, and not be written, is made on the new document', async () => {
  const { clock, storage, first, second, stored } = await twoTabs();
  storage.failure = FULL;
  await edit(first, 'r', 'x', 1);
  await takeAnew(second);
  storage.failure = null;
  storage.writes = FULL;
  await clock.live(MINUTE);
  await edit(first, 'r', 'y', 2);
  await add(first, 's');
  expect(first.said).not.toContain('broken'); // what it has in memory would be lost
  storage.writes = null;
  await clock.live(MINUTE);
  expect(first.said).toContain('broken');
  expect((await stored()).notes).toEqual({ r: { id: 'r', n: 1, x: 1, y: 2 }, s: { id: 's', n: 1 } });
});

test('[C7 C9 P10] a write that finds the new document, and can not be stored, is made on it later', async () => {
  const { clock, storage, first, second, stored } = await twoTabs();
  await takeAnew(second);
  storage.writes = FULL;
  await edit(first, 'r', 'y', 2);
  expect(first.said).toEqual(['QUOTA']);
  storage.writes = null;
  await clock.live(MINUTE);
  expect(first.said).toEqual(['QUOTA', 'mended', 'broken']);
  expect((await stored()).notes).toEqual({ r: { id: 'r', n: 1, y: 2 } });
});

test('[C7 C9 P10] what was in memory only is edited and deleted on the new document while that is being stored', async () => {
  const { clock, storage, first, second, stored } = await twoTabs();
  storage.failure = FULL;
  await add(first, 's');
  await add(first, 't');
  await takeAnew(second);
  let isStored = (): void => {};
  storage.afterWrite = new Promise((resolve) => {
    isStored = resolve;
  });
  storage.failure = null;
  await clock.live(MINUTE);
  const made = [edit(first, 's', 'n', 2), remove(first, 't')];
  isStored();
  await Promise.all(made);
  expect(first.said).toEqual(['QUOTA', 'mended', 'broken']);
  expect((await stored()).notes).toEqual({ r: { id: 'r', n: 1 }, s: { id: 's', n: 2 } });
});

test('[C7 C9 P10] so is what a tab made that began while storage failed, on the document as it was before', async () => {
  const { clock, inner, second, stored } = await twoTabs();
  await add(second, 't');
  second.replica.confirm(second.last());
  const server = Y.encodeStateAsUpdate(second.replica.doc);
  const { storage, first } = await beganInMemory({ clock, inner }, server);
  await edit(first, 'r', 'n', 2);
  await add(first, 's');
  await remove(first, 't');
  await takeAnew(second);
  storage.failure = null;
  await clock.live(MINUTE);
  expect(first.said).toEqual(['QUOTA', 'mended', 'broken']);
  expect(await stored()).toMatchObject({
    notes: { r: { id: 'r', n: 2 }, s: { id: 's', n: 1 } },
    refused: [],
  });
  expect(Object.keys((await stored()).notes as object)).toEqual(['r', 's']);
});

test('[C7 C9 P10] where it began with the document that is stored, the two are united', async () => {
  const { clock, inner, second, stored } = await twoTabs();
  await takeAnew(second);
  const now = await Tab.open(new BreakableStorage(inner), clock);
  const server = Y.encodeStateAsUpdate(now.replica.doc);
  const { storage, first } = await beganInMemory({ clock, inner }, server);
  await edit(first, 'r', 'n', 2);
  storage.failure = null;
  await clock.live(MINUTE);
  expect(first.said).toEqual(['QUOTA', 'mended']);
  expect(await stored()).toMatchObject({ notes: { r: { id: 'r', n: 2 } }, pending: 1 });
});

describe('[C7 C9 C10] where another tab was told of an erasure, what this one makes is set aside', () => {
  const ERASED = { code: 'ERASED', reason: new ClientError('ERASED').message };

  function expectAside(end: Awaited<ReturnType<Tabs['stored']>>, ids: string[]): void {
    expect(end).toMatchObject({ notes: {}, pending: 0 });
    expect(end.refused.map(({ id }) => id).sort()).toEqual(ids);
    for (const each of end.refused) expect(each).toMatchObject(ERASED);
  }

  test('in memory, while storage failed', async () => {
    const { clock, storage, first, second, stored } = await twoTabs();
    storage.failure = FULL;
    await edit(first, 'r', 'n', 5);
    await add(first, 's');
    await add(second, 'w');
    await second.replica.refused.setAllAside(ERASED);
    storage.failure = null;
    storage.writes = FULL;
    await clock.live(MINUTE);
    expect(first.said).not.toContain('cleared'); // what it has in memory would be lost
    storage.writes = null;
    await clock.live(MINUTE);
    expect(first.said.slice(-2)).toEqual(['mended', 'cleared']);
    expect(first.said).not.toContain('broken');
    expectAside(await stored(), ['r', 's', 'w']);
  });

  test('while what it had in memory is being stored', async () => {
    const { clock, storage, first, second, stored } = await twoTabs();
    storage.failure = FULL;
    await add(first, 's');
    await second.replica.refused.setAllAside(ERASED);
    let isStored = (): void => {};
    storage.afterWrite = new Promise((resolve) => {
      isStored = resolve;
    });
    storage.failure = null;
    await clock.live(MINUTE);
    const made = [edit(first, 'r', 'n', 5), add(first, 't')];
    isStored();
    await Promise.all(made);
    expectAside(await stored(), ['r', 's', 't']);
  });

  test('before it has heard of it', async () => {
    const { first, second, stored } = await twoTabs();
    await second.replica.refused.setAllAside(ERASED);
    await Promise.all([edit(first, 'r', 'n', 5), add(first, 's')]);
    expect(first.said).toEqual(['cleared']);
    expectAside(await stored(), ['r', 's']);
  });
});
