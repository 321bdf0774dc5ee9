import { afterEach, describe, expect, it } from 'vitest';
import { LeveldbPersistence } from 'y-leveldb';
import { KeyRing, newKey } from '../../../../server/store/encryption/key-ring.js';
import { restKey, rowKey } from '../../../../server/store/format.js';
import { changeByte, databaseOf, editDatabase, LevelFixture } from '../../../support/level-fixture.js';
import { Author, notesOf, putToRest, user } from '../../../support/notes.js';
import { findInFiles } from '../../../support/raw-files.js';

const ANNA = user('anna');
const BERT = user('bert');
const RING = KeyRing.parse(newKey());

let fixture: LevelFixture;
afterEach(() => fixture.remove());

async function withYLevelDb(use: (db: LeveldbPersistence) => Promise<unknown>): Promise<void> {
  const db = new LeveldbPersistence(fixture.folder);
  try {
    await use(db);
  } finally {
    await db.destroy();
  }
}

describe('y-leveldb wrote to the database while the server was down', () => {
  const writes: [string, (db: LeveldbPersistence) => Promise<unknown>][] = [
    ['one update', (db) => db.storeUpdate('anna', new Author().set('late', 1))],
    [
      'more, and merged them',
      async (db) => {
        for (let i = 0; i < 3; i += 1) await db.storeUpdate('anna', new Author().set(`late${i}`, 1));
        await db.flushDocument('anna');
      },
    ],
    ['nothing, but merged what is there', (db) => db.flushDocument('anna')],
    ['the end of the document', (db) => db.clearDocument('anna')],
  ];
  it.each(writes)('[N2] [P1] %s: what was noted counts no more, of nobody else', async (_, write) => {
    fixture = await LevelFixture.create();
    const store = await fixture.open();
    await putToRest(store, ANNA);
    const bert = await putToRest(store, BERT);
    await store.close();
    await withYLevelDb(write);
    const again = await fixture.open();
    expect(await Promise.all([again.rest(ANNA), again.rest(BERT)])).toEqual([null, bert]);
    expect(await again.whole(ANNA, 3)).toBeNull();
    const loaded = await again.load(ANNA).catch(() => null); // damaged, where it ends
    expect(loaded?.rest ?? null).toBeNull();
    expect((await again.load(BERT)).rest).toEqual(bert);
  });

  it('[N2] nothing: it still counts', async () => {
    fixture = await LevelFixture.create();
    const store = await fixture.open();
    const row = await putToRest(store, ANNA);
    await store.close();
    await withYLevelDb((db) => db.getYDoc('anna'));
    expect(await (await fixture.open()).rest(ANNA)).toEqual(row);
  });
});

describe.each([
  ['plain', undefined],
  ['encrypted', RING],
])('what is noted of a document at rest, %s', (_, ring) => {
  it('[P5] damaged at any byte it is as if it were not there; the document is whole', async () => {
    fixture = await LevelFixture.create(ring);
    const store = await fixture.open();
    const row = await putToRest(store, ANNA);
    const db = databaseOf(store);
    const size = (await db.get(restKey(ANNA)))?.length ?? 0;
    expect(size).toBeGreaterThan(10);
    for (let position = 0; position < size; position += 1) {
      await changeByte(db, restKey(ANNA), position);
      expect(await store.rest(ANNA)).toBeNull();
      await changeByte(db, restKey(ANNA), position);
    }
    expect(await store.rest(ANNA)).toEqual(row);
    expect(notesOf(await store.load(ANNA))).toEqual({ n0: 0, n1: 1, n2: 2 });
  });

  it('[P5] that of somebody else, or of an earlier state, does not count', async () => {
    fixture = await LevelFixture.create(ring);
    const store = await fixture.open();
    await putToRest(store, ANNA);
    const db = databaseOf(store);
    const value = await db.get(restKey(ANNA));
    const row = await db.get(rowKey(ANNA));
    if (value === undefined || row === undefined) throw new Error('nothing was noted');
    await db.put(restKey(BERT), value);
    await db.put(rowKey(BERT), row);
    expect(await store.rest(BERT)).toBeNull();
    await store.load(ANNA);
    await store.commit(ANNA, { update: new Author().set('a', 1), revision: 4 });
    await db.put(restKey(ANNA), value);
    expect(await store.rest(ANNA)).toBeNull();
  });
});

describe('encryption of what is noted', () => {
  it('[P7] nobody can read it, also where the database was not encrypted before', async () => {
    fixture = await LevelFixture.create();
    const row = await putToRest(await fixture.open(), ANNA, Buffer.from('deletions-value'));
    await fixture.store?.close();
    const store = await fixture.open({ keys: RING });
    expect(await store.rest(ANNA)).toEqual({ ...row, deletions: new Uint8Array(row.deletions) });
    await store.close();
    expect(await findInFiles(fixture.folder, ['deletions-value'])).toEqual([]);
  });

  it('[P7] an erasure takes it out of the files', async () => {
    fixture = await LevelFixture.create();
    const store = await fixture.open();
    await putToRest(store, ANNA, Buffer.from('deletions-value'));
    expect(await findInFiles(fixture.folder, ['deletions-value'])).not.toEqual([]);
    await store.erase(ANNA, Uint8Array.of(1));
    await store.close();
    expect(await findInFiles(fixture.folder, ['deletions-value'])).toEqual([]);
    expect(await editDatabase(fixture.folder, (db) => db.get(restKey(ANNA)))).toBeUndefined();
  });
});
