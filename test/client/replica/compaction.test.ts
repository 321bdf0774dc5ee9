/** When one of several tabs puts one row in the place of many, and what the others make of it (C5, C9, C12). */
import { beforeEach, describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import { indexedDbStorage } from '../../../client/local-store/indexeddb/indexeddb.js';
import { memoryStorage } from '../../../client/local-store/memory.js';
import type { DeviceStorage } from '../../../client/local-store/store.js';
import { emptyIndexedDb } from '../../support/fake-indexeddb.js';
import { Tab } from '../../support/tab.js';

beforeEach(emptyIndexedDb);

/** Beyond this many, compactions do nothing: tabs that make one for another's come to an end. */
const MANY = 12;

/** Counts the compactions of all tabs that stored something. */
class Counted implements DeviceStorage {
  readonly name = 'counted';
  readonly durable = true;
  compactions = 0;
  readonly #inner: DeviceStorage;
  readonly readSetting: DeviceStorage['readSetting'];
  readonly writeSetting: DeviceStorage['writeSetting'];

  constructor(inner: DeviceStorage) {
    this.#inner = inner;
    this.readSetting = (name) => inner.readSetting(name);
    this.writeSetting = (name, value) => inner.writeSetting(name, value);
  }

  open: DeviceStorage['open'] = async (name, events) => {
    const store = await this.#inner.open(name, events);
    return {
      append: (step, anew) => store.append(step, anew),
      confirm: (keys) => store.confirm(keys),
      compact: async (key, snapshot) => {
        if (this.compactions > MANY) return key;
        const added = await store.compact(key, snapshot);
        if (added > key) this.compactions++;
        return added;
      },
      clear: (reason) => store.clear(reason),
      close: () => store.close(),
    };
  };
}

const kinds: [string, () => DeviceStorage][] = [
  ['memory', memoryStorage],
  ['IndexedDB', indexedDbStorage],
];

function remote(key: string, size: number): Uint8Array {
  const doc = new Y.Doc();
  doc.getMap('notes').set(key, 'x'.repeat(size));
  return Y.encodeStateAsUpdate(doc);
}

/** Each is told what the others stored, and what they did on being told. */
async function tellEachOther(...tabs: Tab[]): Promise<void> {
  for (let round = 0; round < MANY; round++) for (const tab of tabs) await tab.replica.settled();
}

describe.each(kinds)('two tabs on %s', (_, inner) => {
  test.each([
    [13, 100_000, 1],
    [30, 50_000, 1],
    [1, 1_300_000, 0],
    [3, 1_300_000, 2],
  ])('[C9] %i rows of %i bytes: %i compactions', async (count, size, wanted) => {
    const storage = new Counted(inner());
    const [one, two] = [await Tab.open(storage), await Tab.open(storage)];
    for (let n = 0; n < count; n++) {
      await one.replica.applyRemote(remote(`k${n}`, size));
      await tellEachOther(two, one);
    }
    expect(storage.compactions).toBe(wanted);
    for (const tab of [one, two]) await tab.replica.close();
    const again = await Tab.open(storage);
    expect(Object.keys(again.notes() as object)).toHaveLength(count);
    await again.replica.close();
  });

  test('[C9] behind the snapshot of another tab, as much has to come again', async () => {
    const storage = new Counted(inner());
    const [one, two] = [await Tab.open(storage), await Tab.open(storage)];
    for (let n = 0; n < 13; n++) await one.replica.applyRemote(remote(`k${n}`, 100_000));
    await tellEachOther(two, one);
    expect(storage.compactions).toBe(1);
    for (let n = 0; n < 450; n++) await two.replica.applyRemote(remote('small', n));
    await tellEachOther(two, one);
    expect(storage.compactions).toBe(1);
    for (let n = 0; n < 50; n++) await two.replica.applyRemote(remote('small', n));
    await tellEachOther(two, one);
    expect(storage.compactions).toBe(2);
    for (const tab of [one, two]) await tab.replica.close();
  });
});

test.each([1, 20])('[C12] a large document, of which %i small changes follow each start', async (count) => {
  const storage = new Counted(memoryStorage());
  const first = await Tab.open(storage);
  await first.set('small', 0); // stored before the large one, and settled behind it
  await first.replica.applyRemote(remote('large', 3_000_000));
  first.replica.confirm(first.last());
  await first.replica.close();
  for (let start = 0; start < 8; start++) {
    const tab = await Tab.open(storage);
    for (let n = 0; n < count; n++) await tab.set('small', n);
    tab.replica.confirm(tab.last());
    await tellEachOther(tab);
    await tab.replica.close();
  }
  expect(storage.compactions).toBe(1);
});
