import { afterEach, describe, expect, it } from 'vitest';
import { LeveldbPersistence } from 'y-leveldb';
import { KeyRing, newKey } from '../../../../server/store/encryption/key-ring.js';
import { rowKey, viewKey } from '../../../../server/store/format.js';
import type { Store } from '../../../../server/store/store.js';
import type { DeviceKey, UserId } from '../../../../shared/names.js';
import { changeByte, databaseOf, editDatabase, LevelFixture } from '../../../support/level-fixture.js';
import { Author, user, writeNotes } from '../../../support/notes.js';
import { findInFiles } from '../../../support/raw-files.js';

const ANNA = user('anna');
const BERT = user('bert');
const PHONE = 'phone-name' as DeviceKey;
const RING = KeyRing.parse(newKey());
const VIEW = new Uint8Array(Buffer.from('{"notes":["view-value"]}'));
const SEEN = new Uint8Array(Buffer.from('seen-value'));

let fixture: LevelFixture;
afterEach(() => fixture.remove());

/** Some notes, with their view and a device. */
async function putToRest(store: Store, name: UserId): Promise<void> {
  await store.load(name);
  const { stateVector } = (await writeNotes(store, name, 3)).snapshot();
  const deletions = Uint8Array.of(0, 0);
  await store.putToRest(name, { revision: 3, stateVector, deletions, isWhole: false, hasView: true }, VIEW);
  store.forget(name);
  await store.saveDevices(name, new Map([[PHONE, SEEN]]));
}

describe.each([
  ['plain', undefined],
  ['encrypted', RING],
])('the view of a document at rest, %s', (_, ring) => {
  it('[P5] damaged at any byte it is never told; the rest is whole', async () => {
    fixture = await LevelFixture.create(ring);
    const store = await fixture.open();
    await putToRest(store, ANNA);
    const db = databaseOf(store);
    const size = (await db.get(viewKey(ANNA)))?.length ?? 0;
    expect(size).toBeGreaterThan(VIEW.length);
    for (let position = 0; position < size; position += 1) {
      await changeByte(db, viewKey(ANNA), position);
      await expect(store.view(ANNA, 3)).rejects.toMatchObject({ code: 'DOCUMENT_CORRUPT' });
      await changeByte(db, viewKey(ANNA), position);
    }
    expect(await store.view(ANNA, 3)).toEqual(VIEW);
    await db.del(viewKey(ANNA));
    expect(await store.view(ANNA, 3)).toBeNull();
    expect(await store.load(ANNA)).toMatchObject({ revision: 3 });
  });

  it('[P5] that of somebody else, or of an earlier state, is never told', async () => {
    fixture = await LevelFixture.create(ring);
    const store = await fixture.open();
    await putToRest(store, ANNA);
    const db = databaseOf(store);
    const [value, row] = [await db.get(viewKey(ANNA)), await db.get(rowKey(ANNA))];
    if (value === undefined || row === undefined) throw new Error('nothing was noted');
    await db.put(viewKey(BERT), value);
    await db.put(rowKey(BERT), row);
    expect(await store.view(BERT, 3).catch(() => null)).toBeNull();
    await store.load(ANNA);
    await store.commit(ANNA, { update: new Author().set('a', 1), revision: 4 });
    await db.put(viewKey(ANNA), value);
    expect(await store.view(ANNA, 4)).toBeNull();
  });

  it('[L4] many views and devices are told at once, each of its own; of damaged ones nothing', async () => {
    fixture = await LevelFixture.create(ring);
    const store = await fixture.open();
    const names = Array.from({ length: 60 }, (_, index) => user(`u${index}`));
    for (const each of names) await store.load(each);
    await Promise.all(names.map((each) => writeNotes(store, each, 1)));
    for (const each of names) {
      store.forget(each);
      void store.saveDevices(each, new Map([[PHONE, Buffer.from(each)]]));
    }
    const states = await Promise.all(names.map((each) => store.device(each, PHONE)));
    expect(states.map((state) => state && Buffer.from(state).toString())).toEqual(names);
  });

  it('[P7] an erasure takes view and devices out of the files', async () => {
    fixture = await LevelFixture.create(ring);
    const store = await fixture.open();
    await putToRest(store, ANNA);
    const words = ['view-value', 'seen-value'];
    if (ring === undefined) expect(await findInFiles(fixture.folder, words)).not.toEqual([]);
    await store.erase(ANNA, Uint8Array.of(1));
    await store.close();
    expect(await findInFiles(fixture.folder, words)).toEqual([]);
    expect(await editDatabase(fixture.folder, (db) => db.get(viewKey(ANNA)))).toBeUndefined();
  });
});

describe('the view of a document at rest', () => {
  it('[P7] nobody can read it, nor the device, also where the database was not encrypted before', async () => {
    fixture = await LevelFixture.create();
    await putToRest(await fixture.open(), ANNA);
    await fixture.store?.close();
    const store = await fixture.open({ keys: RING });
    await store.saveDevices(ANNA, new Map([[PHONE, SEEN]]));
    expect(await store.view(ANNA, 3)).toEqual(VIEW);
    expect(await store.device(ANNA, PHONE)).toEqual(SEEN);
    await store.close();
    expect(await findInFiles(fixture.folder, ['view-value', 'seen-value', 'phone-name'])).toEqual([]);
  });

  it('[P1] what y-leveldb wrote while the server was down ends it with what was noted', async () => {
    fixture = await LevelFixture.create();
    const store = await fixture.open();
    await putToRest(store, ANNA);
    await store.close();
    const db = new LeveldbPersistence(fixture.folder);
    await db.storeUpdate('anna', new Author().set('late', 1));
    await db.destroy();
    const again = await fixture.open();
    expect(await again.rest(ANNA)).toBeNull(); // so nobody asks for the view
    const { revision } = await again.load(ANNA);
    expect(await again.view(ANNA, revision)).toBeNull();
  });
});
