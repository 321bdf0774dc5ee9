/** The format of a database, and how it becomes the next one. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FORMAT_KEY } from '../../../../server/store/format.js';
import type { Database } from '../../../../server/store/level/database.js';
import { checkFormat, FORMAT, type Migration, migrate } from '../../../../server/store/level/migrations.js';
import { editDatabase, LevelFixture } from '../../../support/level-fixture.js';
import { notesOf, user, writeNotes } from '../../../support/notes.js';

const ANNA = user('anna');

let fixture: LevelFixture;
beforeEach(async () => {
  fixture = await LevelFixture.create();
  const store = await fixture.open();
  await store.load(ANNA);
  await writeNotes(store, ANNA, 3);
  await store.close();
});
afterEach(() => fixture.remove());

const edit = <T>(act: (db: Database) => Promise<T>): Promise<T> => editDatabase(fixture.folder, act);
const setFormat = (text: string): Promise<void> => edit((db) => db.put(FORMAT_KEY, Buffer.from(text)));
const formatOf = async (db: Database): Promise<string> =>
  Buffer.from((await db.get(FORMAT_KEY)) ?? []).toString();
const rowsOf = (db: Database): Promise<[Uint8Array, Uint8Array][]> => db.iterator().all();

describe('[O5] the format of a database', () => {
  test('is written when it is made', async () => {
    expect(await edit(formatOf)).toBe(String(FORMAT));
  });

  test('that is newer is refused in one sentence, and nothing is changed', async () => {
    await setFormat(String(FORMAT + 1));
    const before = await edit(rowsOf);
    const refused = fixture.open();
    await expect(refused).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    await expect(refused).rejects.toThrow(
      `A newer version wrote the database in ${fixture.folder} (format ${FORMAT + 1}, this one reads up to ${FORMAT}): start that version or a newer one, or restore a backup from before the upgrade.`,
    );
    expect(await edit(rowsOf)).toEqual(before);
    await setFormat(String(FORMAT));
    expect(Object.keys(notesOf(await (await fixture.open()).load(ANNA)))).toHaveLength(3);
  });

  test.each(['', 'x', '-1', '1.5'])('that reads %j, as after damage, is made out anew', async (text) => {
    await setFormat(text);
    const store = await fixture.open();
    expect(Object.keys(notesOf(await store.load(ANNA)))).toHaveLength(3);
    await store.close();
    expect(await edit(formatOf)).toBe(String(FORMAT));
  });
});

const key = (index: number): Buffer => Buffer.from(`!test!${index}`);
const COUNT = 10;

/** Appends a letter to each of ten values that has none yet, and dies at the one that it is told. */
function appends(letter: string, diesAt?: number): Migration {
  return async (db) => {
    for (let i = 0; i < COUNT; i++) {
      if (i === diesAt) throw new Error('killed');
      const value = Buffer.from((await db.get(key(i))) ?? []).toString();
      if (!value.endsWith(letter)) await db.put(key(i), Buffer.from(value + letter));
    }
    return true;
  };
}

describe('[O5] from one format to the next', () => {
  const nothing: Migration = () => Promise.reject(new Error('this one was done before'));
  const valuesIn = async (db: Database): Promise<string[]> => {
    const values = await db.getMany(Array.from({ length: COUNT }, (_, i) => key(i)));
    return values.map((value) => Buffer.from(value ?? []).toString());
  };

  test.each([0, 1, 5, 9])('goes on after a kill at the document %i, in whichever step', async (diesAt) => {
    const steps = [
      [nothing, appends('a', diesAt), appends('b')],
      [nothing, appends('a'), appends('b', diesAt)],
    ];
    for (const migrations of steps)
      await edit((db) => expect(migrate(db, () => {}, migrations)).rejects.toThrow('killed'));
    expect(await edit(formatOf)).toBe('2');
    await edit((db) => migrate(db, () => {}, [nothing, nothing, appends('b')]));
    expect(await edit(formatOf)).toBe('3');
    expect(new Set(await edit(valuesIn))).toEqual(new Set(['ab']));
  });

  test('the number stays where a part could not be read, and no later step runs', async () => {
    const incomplete: Migration = async () => false;
    await edit((db) => migrate(db, () => {}, [nothing, incomplete, nothing]));
    expect(await edit(formatOf)).toBe('1');
  });

  test('what is migrated is taken from then on, and what is newer is not', async () => {
    await edit((db) => migrate(db, () => {}, [nothing, appends('a')]));
    await expect(edit((db) => checkFormat(db, 'x'))).rejects.toThrow('format 2');
  });
});
