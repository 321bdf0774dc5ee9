/** Two tabs of one store, of which one puts a document that was written anew in the place of what is stored. */
import * as Y from 'yjs';
import { StorageError } from '../../client/errors.js';
import { memoryStorage } from '../../client/local-store/memory.js';
import type { Json, JsonObject } from '../../shared/json.js';
import type { CollectionName, RecordId } from '../../shared/names.js';
import { recordMap, writeRecord } from '../../shared/records.js';
import { BreakableStorage } from './breakable-storage.js';
import { drawIdsFrom } from './drawn-ids.js';
import { ManualClock } from './manual-clock.js';
import { Tab } from './tab.js';

export const FULL = new StorageError('QUOTA', 'There is no room.');
export const MINUTE = 60_000;
const NOTES = 'notes' as CollectionName;

/** Of two concurrent writes Yjs shows that of the higher id: it is the later one here. */
export function risingIds(): void {
  let drawn = 0;
  drawIdsFrom(() => ++drawn / 1_000);
}

export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export const add = (tab: Tab, id: string): Promise<void> =>
  tab.replica.write((doc) => void writeRecord(doc, NOTES, id as RecordId, { id, n: 1 }));

export const edit = (tab: Tab, id: string, field: string, value: Json): Promise<void> =>
  tab.replica.write((doc) => {
    const record = recordMap(doc, NOTES, id as RecordId);
    if (record === null) throw new Error('There is no such record.');
    record.set(field, value);
  });

export const remove = (tab: Tab, id: string): Promise<void> =>
  tab.replica.write((doc) => doc.getMap(NOTES).delete(id));

/** What the server has, written anew. */
export function anew(tab: Tab): Uint8Array {
  const doc = new Y.Doc();
  for (const [id, note] of Object.entries(tab.notes() as Record<string, JsonObject>))
    writeRecord(doc, NOTES, id as RecordId, note);
  return Y.encodeStateAsUpdate(doc);
}

/** It takes the place of all that is stored. */
export const takeAnew = (tab: Tab): Promise<void> =>
  tab.replica.refused.moveTo({ state: anew(tab), epoch: null });

/** Two tabs of one store, each with its own way to it, and a record that the server has. */
export async function twoTabs() {
  const [clock, inner] = [new ManualClock(), memoryStorage()];
  const storage = new BreakableStorage(inner);
  const first = await Tab.open(storage, clock);
  const open = () => Tab.open(new BreakableStorage(inner), clock);
  const second = await open();
  await add(first, 'r');
  first.replica.confirm(first.last());
  await turn();
  /** What a tab has that is opened now. */
  const stored = async () => {
    const tab = await open();
    return { notes: tab.notes(), pending: tab.count, refused: tab.replica.refused.changes.list };
  };
  return { clock, inner, storage, first, second, open, stored };
}

export type Tabs = Awaited<ReturnType<typeof twoTabs>>;

/** A tab whose storage fails from its start, and that gets what the server has. */
export async function beganInMemory({ clock, inner }: Pick<Tabs, 'clock' | 'inner'>, server: Uint8Array) {
  const storage = new BreakableStorage(inner);
  storage.failure = FULL;
  const first = await Tab.open(storage, clock);
  await first.replica.applyRemote(server);
  await first.replica.closeGaps(Y.encodeStateVectorFromUpdate(server));
  return { storage, first };
}
