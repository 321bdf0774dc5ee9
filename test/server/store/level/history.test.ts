import * as encoding from 'lib0/encoding';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LeveldbPersistence } from 'y-leveldb';
import * as format from '../../../../server/store/format.js';
import type { Operation } from '../../../../server/store/level/database.js';
import type { LevelStore } from '../../../../server/store/level/level-store.js';
import type { Deletion, Store } from '../../../../server/store/store.js';
import type { DeviceId, UserId } from '../../../../shared/names.js';
import { changeByte, databaseOf, LevelFixture } from '../../../support/level-fixture.js';
import {
  Author,
  entry,
  notesOf,
  revisionsOf,
  text,
  user,
  writeHistory,
  writeNotes,
} from '../../../support/notes.js';

const ANNA = user('anna');
const BERT = user('bert');
const PHONE = 'phone' as DeviceId;
const TABLET = 'tablet' as DeviceId;
const CORRUPT = { code: 'DOCUMENT_CORRUPT' };
const DELETION: Deletion = { collection: 'notes', id: 'n', revision: 1, at: 1_700_000_000_000 };
const ALL = { below: Number.POSITIVE_INFINITY, limit: Number.POSITIVE_INFINITY };

let fixture: LevelFixture;
beforeEach(async () => {
  fixture = await LevelFixture.create();
});
afterEach(() => fixture.remove());

/** Both users with five entries, of which one was pruned, two devices and a deletion. */
async function openWithHistory(): Promise<LevelStore> {
  const store = await fixture.open();
  for (const name of [ANNA, BERT]) {
    await store.load(name);
    await writeHistory(store, name, 5);
    const devices = new Map([PHONE, TABLET].map((id) => [id, Buffer.from(`state of ${id}`)]));
    await store.commit(name, { update: null, revision: 5, devices });
    await store.prune(name, 1, [DELETION]);
  }
  return store;
}

const pageOf = async (store: Store, name: UserId, below: number, limit: number): Promise<number[]> =>
  revisionsOf(await store.history(name, { below, limit }));

const storedRevisions = async (store: LevelStore, name: UserId): Promise<number[]> => {
  const keys = await databaseOf(store).keys(format.historyRange(name)).all();
  return keys.map(format.revisionOf);
};

async function withYLevelDb<T>(folder: string, use: (db: LeveldbPersistence) => Promise<T>): Promise<T> {
  const db = new LeveldbPersistence(folder);
  return await use(db).finally(() => db.destroy());
}

/** The bytes of a batch in the log of LevelDB, without its header. */
function bytesOf(operations: readonly Operation[]): number {
  const sized = (bytes: Uint8Array): number => bytes.length + (bytes.length < 128 ? 1 : 2);
  return operations.reduce(
    (sum, operation) =>
      sum + 1 + sized(operation.key) + (operation.type === 'put' ? sized(operation.value) : 0),
    0,
  );
}

describe('a damaged history', () => {
  it('[H5] [P5] a flipped byte at any position of an entry is found, in its page alone', async () => {
    const store = await openWithHistory();
    const key = format.historyKey(ANNA, 3);
    const length = (await databaseOf(store).get(key))?.length ?? 0;
    expect(length).toBeGreaterThan(8);
    for (let position = 0; position < length; position += 1) {
      await changeByte(databaseOf(store), key, position);
      await expect(pageOf(store, ANNA, 6, 3), `position ${position}`).rejects.toMatchObject(CORRUPT);
      await changeByte(databaseOf(store), key, position);
    }
    await changeByte(databaseOf(store), key, 0);
    expect(await pageOf(store, ANNA, 6, 2)).toEqual([5, 4]);
    expect(await pageOf(store, ANNA, 3, 2)).toEqual([2]);
    expect(await pageOf(store, BERT, 6, 9)).toEqual([5, 4, 3, 2]);
    expect(await store.load(ANNA)).toMatchObject({ revision: 5, historyFrom: 1 });
    await store.prune(ANNA, 3, []);
    expect(await pageOf(store, ANNA, 6, 9)).toEqual([5, 4]);
  });

  it.each([
    ['newest', 5, 6],
    ['middle', 3, 4],
    ['oldest', 2, 3],
  ])(
    '[H5] [P5] a lost %s entry is found, and the document can be loaded and changed',
    async (_, lost, below) => {
      const store = await openWithHistory();
      await databaseOf(store).del(format.historyKey(ANNA, lost));
      await expect(pageOf(store, ANNA, 6, 9)).rejects.toMatchObject(CORRUPT);
      await expect(pageOf(store, ANNA, below, 1)).rejects.toMatchObject(CORRUPT);
      await store.load(ANNA);
      const update = new Author().set('more', 1);
      await store.commit(ANNA, { update, revision: 6, history: [entry(ANNA, 6)] });
      expect(await pageOf(store, ANNA, 9, 1)).toEqual([6]);
      expect(await pageOf(store, ANNA, lost, 1)).toEqual(lost === 2 ? [] : [lost - 1]);
    },
  );

  it('[H5] [P5] entries that changed places, and a damaged or lost row, are found', async () => {
    const store = await openWithHistory();
    const db = databaseOf(store);
    const keys = [format.historyKey(ANNA, 3), format.historyKey(ANNA, 4)];
    const [three, four] = await db.getMany(keys);
    await db.put(format.historyKey(ANNA, 3), four ?? Buffer.of());
    await db.put(format.historyKey(ANNA, 4), three ?? Buffer.of());
    await expect(pageOf(store, ANNA, 5, 1)).rejects.toMatchObject(CORRUPT);
    await changeByte(db, format.rowKey(BERT), 1);
    await expect(pageOf(store, BERT, 6, 1)).rejects.toMatchObject(CORRUPT);
    await db.del(format.rowKey(BERT));
    await expect(pageOf(store, BERT, 6, 1)).rejects.toMatchObject(CORRUPT);
  });

  it('[L7] [P5] a damaged deletion is found, and does not keep the document from being loaded', async () => {
    const store = await openWithHistory();
    await changeByte(databaseOf(store), format.deletionKey(ANNA, 'notes', 'n'), 0);
    await expect(store.deletions(ANNA)).rejects.toMatchObject(CORRUPT);
    expect(await store.deletions(BERT)).toEqual([DELETION]);
    expect((await store.load(ANNA)).revision).toBe(5);
  });

  it('[L4] [P5] a damaged state of a device is left out, and the document is whole', async () => {
    const store = await openWithHistory();
    const key = format.deviceKey(ANNA, PHONE);
    const length = (await databaseOf(store).get(key))?.length ?? 0;
    for (let position = 0; position < length; position += 1) {
      await changeByte(databaseOf(store), key, position);
      const { devices, revision } = await store.load(ANNA);
      expect([...devices.keys()], `position ${position}`).toEqual([TABLET]);
      expect(revision).toBe(5);
      await changeByte(databaseOf(store), key, position);
    }
    const { devices } = await store.load(ANNA);
    expect([...devices.values()].map(text)).toEqual(['state of phone', 'state of tablet']);
  });
});

describe('what a change writes', () => {
  it('[H5] only the entries that the history reaches back to stay in the database', async () => {
    const store = await openWithHistory();
    expect(await storedRevisions(store, ANNA)).toEqual([2, 3, 4, 5]);
    await store.prune(ANNA, 3, []);
    expect(await storedRevisions(store, ANNA)).toEqual([4, 5]);
    await store.commit(ANNA, { update: null, revision: 8, history: [entry(ANNA, 8)] });
    await store.commit(ANNA, { update: null, revision: 8, history: [6, 7, 8].map((n) => entry(ANNA, n)) });
    expect(await storedRevisions(store, ANNA)).toEqual([8]);
    await store.compact(ANNA, { update: Buffer.of(0, 0), stateVector: Buffer.of(0), revision: 9 });
    expect(await storedRevisions(store, ANNA)).toEqual([]);
    expect(await storedRevisions(store, BERT)).toEqual([2, 3, 4, 5]);
  });

  it('[H5] [P2] an edit costs few bytes beside its update and its entry', async () => {
    const store = await fixture.open();
    const name = user('b3f1c2d4-5e6f-4a7b-8c9d-0e1f2a3b4c5d');
    await store.load(name);
    const author = await writeHistory(store, name, 300);
    let sizes: number[] = [];
    fixture.beforeWrite = (operations) => {
      sizes = operations.map((operation) => bytesOf([operation]));
    };
    const update = author.set('a', 'x'.repeat(20));
    await store.commit(name, { update, revision: 301, history: [Buffer.alloc(60)] });
    const [ofUpdate = 0, ofEntry = 0, ofRow = 0, ...more] = sizes;
    expect(ofUpdate - update.length).toBeLessThanOrEqual(67);
    expect(ofEntry - 60).toBeLessThanOrEqual(69);
    expect(ofRow).toBeLessThanOrEqual(67);
    expect(more).toEqual([]);
  });

  it('[L4] [P2] a commit of devices only writes one value per device and batch, and no row', async () => {
    const store = await fixture.open();
    const batches: number[] = [];
    fixture.beforeWrite = (operations) => batches.push(operations.length);
    await store.load(ANNA);
    const commits = ['one', 'two', 'three'].map((state) =>
      store.commit(ANNA, { update: null, revision: 0, devices: new Map([[PHONE, Buffer.from(state)]]) }),
    );
    await Promise.all(commits);
    expect(batches).toEqual([1]);
    expect([...(await store.load(ANNA)).devices.values()].map(text)).toEqual(['three']);
    expect(await store.allUsers()).toEqual([]);
  });
});

describe('a database from before there was a history', () => {
  it('[H5] [P1] opens, with a history that begins at its revision', async () => {
    const store = await fixture.open();
    await store.load(ANNA);
    const author = await writeNotes(store, ANNA, 3);
    const memory = Buffer.from('remembered');
    await store.commit(ANNA, { update: author.set('n3', 3), revision: 4, memory });
    const row = encoding.encode((encoder) => {
      for (const number of [1, 0, 3, 4, format.checkOf(memory) + 1]) {
        encoding.writeVarUint(encoder, number);
      }
    });
    const key = format.rowKey(ANNA);
    await fixture.edit((db) => db.put(key, format.seal(row, key)));
    const opened = fixture.store as LevelStore;
    expect(await opened.history(ANNA, ALL)).toEqual([]);
    const stored = await opened.load(ANNA);
    expect(stored).toMatchObject({ revision: 4, historyFrom: 4, memory: Uint8Array.from(memory) });
    expect(Object.keys(notesOf(stored))).toHaveLength(4);
    const update = author.set('n4', 4);
    await opened.commit(ANNA, { update, revision: 5, history: [entry(ANNA, 5)] });
    await opened.close();
    const again = await fixture.open();
    expect(await again.load(ANNA)).toMatchObject({ updates: { length: 5 }, revision: 5, historyFrom: 4 });
    expect(await pageOf(again, ANNA, 9, 9)).toEqual([5]);
  });
});

describe('y-leveldb and a database with a history', () => {
  it('[P1] it opens a copy, and lists the documents alone', async () => {
    const store = await openWithHistory();
    await store.load(user('carl'));
    await store.commit(user('carl'), {
      update: null,
      revision: 0,
      devices: new Map([[PHONE, entry(ANNA, 1)]]),
    });
    expect((await store.allUsers()).sort()).toEqual(['anna', 'bert']);
    await store.close();
    await withYLevelDb(await fixture.copy(), async (db) => {
      expect((await db.getAllDocNames()).sort()).toEqual(['anna', 'bert']);
      expect((await db.getYDoc('anna')).getMap('notes').toJSON()).toEqual({
        n0: 0,
        n1: 1,
        n2: 2,
        n3: 3,
        n4: 4,
      });
    });
  });

  it('[P1] [H5] what it wrote has no entries: the history begins after it', async () => {
    await (await openWithHistory()).close();
    await withYLevelDb(fixture.folder, async (db) => {
      await db.storeUpdate('anna', new Author().set('added', true));
    });
    const store = await fixture.open();
    expect(await store.load(ANNA)).toMatchObject({ revision: 6, historyFrom: 6, devices: { size: 2 } });
    expect(await store.history(ANNA, ALL)).toEqual([]);
    expect(await storedRevisions(store, ANNA)).toEqual([]);
    expect(await store.deletions(ANNA)).toEqual([DELETION]);
    expect(await store.load(BERT)).toMatchObject({ revision: 5, historyFrom: 1 });
    const update = new Author().set('on', 1);
    await store.commit(ANNA, { update, revision: 7, history: [entry(ANNA, 7)] });
    expect(await pageOf(store, ANNA, 9, 9)).toEqual([7]);
  });

  it('[P1] it may write the first update of a user of whom a memory or a device is known', async () => {
    const store = await fixture.open();
    const devices = new Map([[PHONE, Buffer.from('seen')]]);
    for (const [name, memory] of [
      [ANNA, Buffer.of(1)],
      [BERT, undefined],
    ] as const) {
      await store.load(name);
      await store.commit(name, { update: null, revision: 0, memory, devices });
    }
    await store.close();
    await withYLevelDb(fixture.folder, async (db) => {
      for (const name of [ANNA, BERT]) await db.storeUpdate(name, new Author().set('added', true));
    });
    const opened = await fixture.open();
    for (const name of [ANNA, BERT]) {
      const stored = await opened.load(name);
      expect(stored).toMatchObject({ revision: 1, historyFrom: 1, devices: { size: 1 } });
      expect(notesOf(stored)).toEqual({ added: true });
    }
    expect((await opened.load(ANNA)).memory).toEqual(Uint8Array.of(1));
  });
});
