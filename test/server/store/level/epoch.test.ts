import { afterEach, beforeEach, expect, it } from 'vitest';
import { KeyRing, newKey } from '../../../../server/store/encryption/key-ring.js';
import * as format from '../../../../server/store/format.js';
import { changeByte, LevelFixture } from '../../../support/level-fixture.js';
import { Author, notesOf, text, user } from '../../../support/notes.js';
import { findInFiles } from '../../../support/raw-files.js';

const ANNA = user('anna');
const CORRUPT = { code: 'DOCUMENT_CORRUPT' };
const EPOCH = Buffer.from('epoch-value');

let fixture: LevelFixture;
beforeEach(async () => {
  fixture = await LevelFixture.create();
  const store = await fixture.open();
  await store.load(ANNA);
  const author = new Author();
  await store.commit(ANNA, { update: author.set('old', 1), revision: 1 });
  const anew = new Author();
  anew.set('anew', 1);
  await store.compact(ANNA, { ...anew.snapshot(), revision: 1, epoch: EPOCH });
  await store.notePlainVisit(ANNA, 1_700_000_000_000);
  store.forget(ANNA);
});
afterEach(() => fixture.remove());

it('[P10] [P5] a document whose retired clients are lost or damaged is not loaded without them', async () => {
  const key = format.epochKey(ANNA);
  await fixture.edit((db) => changeByte(db, key, 2));
  await expect(fixture.store?.load(ANNA)).rejects.toMatchObject(CORRUPT);
  await fixture.edit((db) => db.del(key));
  await expect(fixture.store?.load(ANNA)).rejects.toMatchObject(CORRUPT);
  await fixture.store?.erase(ANNA, Uint8Array.of(1));
  expect((await fixture.store?.load(ANNA))?.updates).toEqual([]);
});

it('[P10] [P7] what is remembered is encrypted with the document; a visit is told as before', async () => {
  await fixture.store?.close();
  const keys = KeyRing.parse(newKey());
  for (const again of [false, true]) {
    const store = await fixture.open({ keys });
    const stored = await store.load(ANNA);
    expect([notesOf(stored), stored.epoch && text(stored.epoch)]).toEqual([{ anew: 1 }, 'epoch-value']);
    expect(await store.plainVisit(ANNA)).toBe(1_700_000_000_000);
    if (!again) expect(await findInFiles(fixture.folder, ['epoch-value'])).toEqual([]);
    await store.close();
  }
});
