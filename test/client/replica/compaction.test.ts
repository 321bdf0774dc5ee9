/** When one of several tabs puts one row in the place of many, and what the others make of it (C5, C9, C12). */
import { beforeEach, describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import { indexedDbStorage } from '../../../client/local-store/indexeddb/indexeddb.js';
import { memoryStorage } from '../../../client/local-store/memory.js';
import type { DeviceStorage } from '../../../client/local-store/store.js';
import { unseal } from '../../../client/replica/stored-bytes.js';
import { emptyIndexedDb } from '../../support/fake-indexeddb.js';
import { asleep, Tab } from '../../support/tab.js';

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
    expect([one.said, two.said]).toEqual([[], []]);
    for (const tab of [one, two]) await tab.replica.close();
    const again = await Tab.open(storage);
    expect(Object.keys(again.notes() as object)).toHaveLength(count);
    await again.replica.close();
  });

  test('[C9 P10] where a change waits, each once at most for four times as much', async () => {
    const storage = new Counted(inner());
    const [one, two] = [await Tab.open(storage), await Tab.open(storage)];
    await two.set('waits', 1);
    for (let n = 0; n < 45; n++) await one.replica.applyRemote(remote(`k${n}`, 100_000));
    await tellEachOther(two, one);
    expect(storage.compactions).toBeLessThanOrEqual(2);
    expect([one.count, two.count]).toEqual([1, 1]);
    for (const tab of [one, two]) await tab.replica.close();
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

describe('a document that another tab has put in the place of what was stored', () => {
  const REFUSAL = { code: 'ERASED', reason: 'The user was erased.' } as const;

  /** Its rows, and what each is. */
  async function stored(storage: DeviceStorage) {
    const store = await storage.open('anna', { onNews() {}, onGone() {}, onError() {} });
    let rows: (readonly [string | undefined, boolean])[] = [];
    await store.append(({ changes }) => {
      rows = changes.map(({ bytes, pending }) => [unseal(bytes)?.kind, pending]);
      return [];
    });
    await store.close();
    return rows;
  }

  /** A tab that knows `count` rows, the first of which is no reason for a compaction. */
  async function knowing(storage: DeviceStorage, count: number): Promise<Tab> {
    const tab = await Tab.open(storage);
    for (let n = 0; n < count; n++) await tab.replica.applyRemote(remote('old', n));
    return tab;
  }

  test.each([
    [1, 100],
    [1, 1_100_000],
    [500, 100],
  ])('[C9 P10] after %i rows: one of %i bytes stays what is stored', async (rows, size) => {
    const storage = new Counted(memoryStorage());
    const one = await knowing(storage, rows);
    const two = await Tab.open(storage);
    await two.replica.refused.moveTo({ state: remote('new', size), epoch: null });
    await one.set('edit', 1);
    await tellEachOther(one);
    expect(one.said).toEqual(['broken']);
    expect(await stored(storage)).toEqual([
      ['replacement', false],
      ['change', true],
    ]);
    const again = await Tab.open(storage);
    expect(Object.keys(again.notes() as object).sort()).toEqual(['edit', 'new']);
  });

  test('[C9 P10] a tab that wakes to it, and to more than a compaction takes, puts nothing in its place', async () => {
    const storage = new Counted(memoryStorage());
    const one = await knowing(asleep(storage), 1);
    const two = await Tab.open(storage);
    await two.replica.refused.moveTo({ state: remote('new', 10), epoch: null });
    const three = await Tab.open(asleep(storage));
    await three.set('waits', 1); // so that its own compaction waits
    for (let n = 0; n < 600; n++) await three.replica.applyRemote(remote('more', n));
    await tellEachOther(one);
    expect(one.said).toEqual(['broken']);
    const again = await Tab.open(storage);
    expect(Object.keys(again.notes() as object).sort()).toEqual(['more', 'new', 'waits']);
  });

  test('[C9 P10] nor does the tab that has put it there, before it is opened anew', async () => {
    const storage = new Counted(memoryStorage());
    const one = await knowing(storage, 400);
    await one.replica.refused.moveTo({ state: remote('new', 10), epoch: null });
    const two = await Tab.open(storage);
    for (let n = 0; n < 200; n++) await two.replica.applyRemote(remote('more', n));
    await one.replica.close();
    expect(one.said).toEqual(['broken']);
    const again = await Tab.open(storage);
    expect(Object.keys(again.notes() as object).sort()).toEqual(['more', 'new']);
  });

  test.each([1, 500])('[C9 C10] an erasure stays one, found by a tab of %i rows', async (rows) => {
    const storage = new Counted(memoryStorage());
    const one = await knowing(storage, rows);
    const two = await Tab.open(storage);
    await two.set('edit', 1);
    await two.replica.refused.setAllAside(REFUSAL);
    await tellEachOther(one);
    expect(one.said).toEqual(['cleared']);
    expect(await stored(storage)).toEqual([
      ['replacement', false],
      ['aside', true],
    ]);
  });
});
