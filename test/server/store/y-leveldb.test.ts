import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LeveldbPersistence } from 'y-leveldb';
import * as Y from 'yjs';
import { FORMAT_KEY, rowKey, stateVectorKey, updateKey } from '../../../server/store/format.js';
import { changeByte, databaseOf, editDatabase, LevelFixture } from '../../support/level-fixture.js';
import { Author, notesOf, user, writeNotes } from '../../support/notes.js';

const ANNA = user('anna');
const BERT = user('bert');
const notes = (count: number): Record<string, number> =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`n${i}`, i]));

let fixture: LevelFixture;
beforeEach(async () => {
  fixture = await LevelFixture.create();
});
afterEach(() => fixture.remove());

async function withYLevelDb<T>(folder: string, use: (db: LeveldbPersistence) => Promise<T>): Promise<T> {
  const db = new LeveldbPersistence(folder);
  try {
    return await use(db);
  } finally {
    await db.destroy();
  }
}

async function writeWithYLevelDb(db: LeveldbPersistence, name: string, count: number): Promise<Author> {
  const author = new Author();
  for (let i = 0; i < count; i += 1) await db.storeUpdate(name, author.set(`n${i}`, i));
  return author;
}

/** Anna with single updates, Bert compacted and then with some more. */
async function writeOurs(): Promise<void> {
  const store = await fixture.open();
  await Promise.all([store.load(ANNA), store.load(BERT)]);
  await writeNotes(store, ANNA, 10);
  const bert = await writeNotes(store, BERT, 20);
  await store.compact(BERT, { ...bert.snapshot(), revision: 20, memory: Uint8Array.of(1) });
  await store.commit(BERT, { update: bert.set('n20', 20), revision: 21 });
  await store.close();
}

describe('y-leveldb opens (a copy of) our database', () => {
  it('[P1 P4] also where a snapshot stands before what came while it was made', async () => {
    const store = await fixture.open();
    await store.load(ANNA);
    const author = await writeNotes(store, ANNA, 10);
    const snapshot = author.snapshot();
    await store.commit(ANNA, { update: author.set('n10', 10), revision: 11 });
    await store.compact(ANNA, { ...snapshot, replaces: 10, revision: 11 });
    await store.commit(ANNA, { update: author.set('n11', 11), revision: 12 });
    await store.close();
    await withYLevelDb(await fixture.copy(), async (db) => {
      expect((await db.getYDoc('anna')).getMap('notes').toJSON()).toEqual(notes(12));
      const vector = Y.decodeStateVector(await db.getStateVector('anna'));
      expect([...vector.values()]).toEqual([12]);
    });
  });

  it('[P1] reads every document, and lists them', async () => {
    await writeOurs();
    await withYLevelDb(await fixture.copy(), async (db) => {
      expect((await db.getAllDocNames()).sort()).toEqual(['anna', 'bert']);
      expect((await db.getYDoc('anna')).getMap('notes').toJSON()).toEqual(notes(10));
      expect((await db.getYDoc('bert')).getMap('notes').toJSON()).toEqual(notes(21));
      expect(Y.decodeStateVector(await db.getStateVector('bert')).size).toBe(1);
    });
  });
});

const PROVIDER_NAMES = ['auth0|64f0', 'anna+test@x.org', 'zo\u00eb', 'zoe\u0308', '!', 'anna!bert', '漢字🩺'];

describe('[D6 P1] users as identity providers name them', () => {
  it('y-leveldb reads what we wrote under each of these names', async () => {
    const store = await fixture.open();
    for (const name of PROVIDER_NAMES) {
      await store.load(user(name));
      await writeNotes(store, user(name), 3);
    }
    await store.close();
    await withYLevelDb(await fixture.copy(), async (db) => {
      expect((await db.getAllDocNames()).sort()).toEqual([...PROVIDER_NAMES].sort());
      for (const name of PROVIDER_NAMES)
        expect((await db.getYDoc(name)).getMap('notes').toJSON()).toEqual(notes(3));
    });
  });

  it('we read what y-leveldb wrote, and it lists the same after our first open', async () => {
    await withYLevelDb(fixture.folder, async (db) => {
      for (const [i, name] of PROVIDER_NAMES.entries()) await writeWithYLevelDb(db, name, i + 1);
    });
    const store = await fixture.open();
    for (const [i, name] of PROVIDER_NAMES.entries())
      expect(notesOf(await store.load(user(name)))).toEqual(notes(i + 1));
    await store.close();
    await withYLevelDb(await fixture.copy(), async (db) =>
      expect((await db.getAllDocNames()).sort()).toEqual([...PROVIDER_NAMES].sort()),
    );
  });
});

describe('a database that y-leveldb wrote', () => {
  it('[P1] opens with every document, one of more than 600 flushed updates included', async () => {
    await withYLevelDb(fixture.folder, async (db) => {
      await writeWithYLevelDb(db, 'anna', 3);
      const bert = await writeWithYLevelDb(db, 'bert', 620);
      await db.getYDoc('bert');
      await db.storeUpdate('bert', bert.set('n620', 620));
      await db.setMeta('anna', 'note', 'kept');
    });
    const progress: [number, number][] = [];
    const store = await fixture.open({ onProgress: (done, total) => progress.push([done, total]) });
    const anna = await store.load(ANNA);
    expect(anna).toMatchObject({ revision: 1, memory: null });
    expect(notesOf(anna)).toEqual(notes(3));
    const bert = await store.load(BERT);
    expect(bert.updates).toHaveLength(2);
    expect(notesOf(bert)).toEqual(notes(621));
    expect(progress).toEqual([
      [1, 2],
      [2, 2],
    ]);
    await store.commit(ANNA, { update: new Author().set('more', 1), revision: 2 });
    await store.close();
    expect(await withYLevelDb(await fixture.copy(), (db) => db.getMeta('anna', 'note'))).toBe('kept');
    const again = await fixture.open({ onProgress: () => progress.push([0, 0]) });
    expect(notesOf(await again.load(ANNA))).toEqual({ ...notes(3), more: 1 });
    expect(progress).toHaveLength(2);
  });

  it('[P1] every value has its checksum after the first open', async () => {
    await withYLevelDb(fixture.folder, (db) => writeWithYLevelDb(db, 'anna', 3));
    const store = await fixture.open();
    const size = (await databaseOf(store).get(updateKey(ANNA, 1)))?.length ?? 0;
    for (let position = 0; position < size; position += 1) {
      await changeByte(databaseOf(store), updateKey(ANNA, 1), position);
      await expect(store.load(ANNA)).rejects.toMatchObject({ code: 'DOCUMENT_CORRUPT' });
      await changeByte(databaseOf(store), updateKey(ANNA, 1), position);
    }
    expect(notesOf(await store.load(ANNA))).toEqual(notes(3));
  });

  it('[P1] the first open goes on where it was interrupted', async () => {
    const names = Array.from({ length: 12 }, (_, i) => user(`user-${i}`));
    await withYLevelDb(fixture.folder, async (db) => {
      for (const name of names) await writeWithYLevelDb(db, name, 2);
    });
    const interrupt = (done: number): void => {
      if (done === 5) throw new Error('interrupted');
    };
    await expect(fixture.open({ onProgress: interrupt })).rejects.toThrow('interrupted');
    const rows = await editDatabase(fixture.folder, (db) => db.getMany([...names.map(rowKey), FORMAT_KEY]));
    expect(rows.filter((row) => row !== undefined)).toHaveLength(5);
    const store = await fixture.open();
    for (const name of names) expect(notesOf(await store.load(name))).toEqual(notes(2));
  });

  it('[P5] a damaged document stays as it is and is found at load; the others are rewritten', async () => {
    await withYLevelDb(fixture.folder, async (db) => {
      await writeWithYLevelDb(db, 'anna', 3);
      await writeWithYLevelDb(db, 'bert', 3);
    });
    const damaged = Buffer.from([1, 2, 3]);
    await editDatabase(fixture.folder, (db) => db.put(updateKey(ANNA, 1), damaged));
    const store = await fixture.open();
    await expect(store.load(ANNA)).rejects.toMatchObject({ code: 'DOCUMENT_CORRUPT' });
    expect(notesOf(await store.load(BERT))).toEqual(notes(3));
    expect(await databaseOf(store).get(updateKey(ANNA, 1))).toEqual(damaged);
    expect(await store.allUsers()).toContain('anna');
  });

  it.each([0, 1])('[P5] a document whose update %i of 3 is missing is corrupt', async (clock) => {
    await withYLevelDb(fixture.folder, (db) => writeWithYLevelDb(db, 'anna', 3));
    await editDatabase(fixture.folder, (db) => db.del(updateKey(ANNA, clock)));
    const store = await fixture.open();
    await expect(store.load(ANNA)).rejects.toMatchObject({ code: 'DOCUMENT_CORRUPT' });
  });

  it('[P5] a document of which only the state vector is left is corrupt', async () => {
    await withYLevelDb(fixture.folder, (db) => writeWithYLevelDb(db, 'anna', 1));
    await editDatabase(fixture.folder, (db) => db.del(updateKey(ANNA, 0)));
    const store = await fixture.open();
    await expect(store.load(ANNA)).rejects.toMatchObject({ code: 'DOCUMENT_CORRUPT' });
  });
});

describe('y-leveldb wrote to a database of ours', () => {
  it('[P1] what it appended is there, with the next revision and the memory as it was, and gets checksums', async () => {
    await writeOurs();
    await withYLevelDb(fixture.folder, async (db) => {
      await db.storeUpdate('bert', new Author().set('added', true));
      await writeWithYLevelDb(db, 'carl', 2);
    });
    const store = await fixture.open();
    const bert = await store.load(BERT);
    expect(notesOf(bert)).toEqual({ ...notes(21), added: true });
    expect(bert).toMatchObject({ revision: 22, memory: Uint8Array.of(1) });
    expect(notesOf(await store.load(user('carl')))).toEqual(notes(2));
    await store.commit(BERT, { update: new Author().set('on', 1), revision: 23 });
    expect(notesOf(await store.load(BERT))).toEqual({ ...notes(21), added: true, on: 1 });
    await changeByte(databaseOf(store), updateKey(BERT, 22), 5);
    await expect(store.load(BERT)).rejects.toMatchObject({ code: 'DOCUMENT_CORRUPT' });
  });

  it('[P1] a document that it flushed is accepted', async () => {
    await writeOurs();
    await withYLevelDb(fixture.folder, async (db) => {
      await db.flushDocument('anna');
      await db.storeUpdate('anna', new Author().set('added', true));
      await db.flushDocument('bert');
    });
    const store = await fixture.open();
    const anna = await store.load(ANNA);
    expect(anna.updates).toHaveLength(2);
    expect(anna.revision).toBe(11);
    expect(notesOf(anna)).toEqual({ ...notes(10), added: true });
    expect(notesOf(await store.load(BERT))).toEqual(notes(21));
  });

  it.each([0, 4])('[P1] a flush that ended after %i deletions is accepted', async (deleted) => {
    await writeOurs();
    const before = await editDatabase(fixture.folder, (db) =>
      db.iterator({ gte: updateKey(ANNA, deleted), lt: updateKey(ANNA, 10) }).all(),
    );
    await withYLevelDb(fixture.folder, (db) => db.flushDocument('anna'));
    await editDatabase(fixture.folder, async (db) => {
      for (const [key, value] of before) await db.put(key, value);
    });
    const store = await fixture.open();
    const anna = await store.load(ANNA);
    expect(anna.updates).toHaveLength(11 - deleted);
    expect(notesOf(anna)).toEqual(notes(10));
  });

  it('[P5] a flushed document without its merged update is corrupt', async () => {
    await writeOurs();
    await withYLevelDb(fixture.folder, async (db) => {
      await db.flushDocument('anna');
      await db.storeUpdate('anna', new Author().set('added', true));
    });
    await editDatabase(fixture.folder, (db) => db.del(updateKey(ANNA, 10)));
    const store = await fixture.open();
    await expect(store.load(ANNA)).rejects.toMatchObject({ code: 'DOCUMENT_CORRUPT' });
    expect(notesOf(await store.load(BERT))).toEqual(notes(21));
  });

  it('[P5] an appended value with bytes after its end is corrupt', async () => {
    await writeOurs();
    const update = Buffer.concat([new Author().set('added', true), Buffer.of(0)]);
    await editDatabase(fixture.folder, (db) => db.put(updateKey(ANNA, 10), update));
    const store = await fixture.open();
    await expect(store.load(ANNA)).rejects.toMatchObject({ code: 'DOCUMENT_CORRUPT' });
  });

  it('[P5] a row that is missing under our values is corrupt, not a document of y-leveldb', async () => {
    await writeOurs();
    await editDatabase(fixture.folder, (db) => db.del(rowKey(ANNA)));
    const store = await fixture.open();
    await expect(store.load(ANNA)).rejects.toMatchObject({ code: 'DOCUMENT_CORRUPT' });
  });

  it('[P1] a document without its state vector key is whole, and gets one when it is adopted', async () => {
    await withYLevelDb(fixture.folder, (db) => writeWithYLevelDb(db, 'anna', 2));
    await editDatabase(fixture.folder, (db) => db.del(stateVectorKey(ANNA)));
    const store = await fixture.open();
    expect(notesOf(await store.load(ANNA))).toEqual(notes(2));
    await store.close();
    expect(await withYLevelDb(await fixture.copy(), (db) => db.getAllDocNames())).toEqual(['anna']);
  });
});
