import { spawnSync } from 'node:child_process';
import { mkdir, readdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KeyRing, newKey } from '../../../server/store/encryption/key-ring.js';
import { memoryKey, rowKey, stateVectorKey, updateKey } from '../../../server/store/format.js';
import { repairDatabase } from '../../../server/store/level/folder.js';
import { LevelStore } from '../../../server/store/level/level-store.js';
import { findLogDamage } from '../../../server/store/level/log.js';
import { changeByte, databaseOf, LevelFixture } from '../../support/level-fixture.js';
import { notesOf, user, writeNotes } from '../../support/notes.js';

const ANNA = user('anna');
const BERT = user('bert');
const CORRUPT = { code: 'DOCUMENT_CORRUPT' };
const UNAVAILABLE = { code: 'STORE_UNAVAILABLE' };

let fixture: LevelFixture;
beforeEach(async () => {
  fixture = await LevelFixture.create();
});
afterEach(() => fixture.remove());
const KEYS = KeyRing.parse(newKey());

async function openWithNotes(): Promise<LevelStore> {
  const store = await fixture.open();
  await Promise.all([store.load(ANNA), store.load(BERT)]);
  await writeNotes(store, BERT, 3);
  const anna = await writeNotes(store, ANNA, 3);
  await store.commit(ANNA, { update: anna.set('n3', 3), revision: 4, memory: Buffer.from('remembered') });
  return store;
}

const fileOf = async (ending: RegExp): Promise<string> => {
  const name = (await readdir(fixture.folder)).find((file) => ending.test(file));
  if (name === undefined) throw new Error(`no file ${ending}`);
  return join(fixture.folder, name);
};

async function flip(file: string, position: number): Promise<void> {
  const bytes = await readFile(file);
  bytes[position] = (bytes[position] ?? 0) ^ 0x10;
  await writeFile(file, bytes);
}

describe.each([
  ['with checksums', undefined],
  ['encrypted', KEYS],
])('a damaged document, %s', (_, keys) => {
  beforeEach(async () => {
    await fixture.remove();
    fixture = await LevelFixture.create(keys);
  });

  it.each([
    ['first update', updateKey(ANNA, 0)],
    ['last update', updateKey(ANNA, 3)],
    ['row', rowKey(ANNA)],
    ['memory', memoryKey(ANNA)],
  ])(
    '[P5] one flipped byte at any position of the %s is found, and only that user is affected',
    async (_, key) => {
      const store = await openWithNotes();
      const db = databaseOf(store);
      const length = (await db.get(key))?.length ?? 0;
      expect(length).toBeGreaterThan(8);
      for (let position = 0; position < length; position += 1) {
        const bits = 1 + (position % 255);
        await changeByte(db, key, position, bits);
        await expect(store.load(ANNA), `position ${position}`).rejects.toMatchObject(CORRUPT);
        await changeByte(db, key, position, bits);
      }
      await changeByte(db, key, 0);
      expect(notesOf(await store.load(BERT))).toEqual({ n0: 0, n1: 1, n2: 2 });
      await changeByte(db, key, 0);
      expect(notesOf(await store.load(ANNA))).toEqual({ n0: 0, n1: 1, n2: 2, n3: 3 });
    },
  );

  it('[P5] a value cut short or with bytes behind it is found', async () => {
    const store = await openWithNotes();
    const db = databaseOf(store);
    const value = (await db.get(updateKey(ANNA, 1))) ?? Buffer.of();
    for (let length = 0; length < value.length; length += 1) {
      await db.put(updateKey(ANNA, 1), value.subarray(0, length));
      await expect(store.load(ANNA), `length ${length}`).rejects.toMatchObject(CORRUPT);
    }
    await db.put(updateKey(ANNA, 1), Buffer.concat([value, Buffer.of(0)]));
    await expect(store.load(ANNA)).rejects.toMatchObject(CORRUPT);
  });

  it.each([
    ['first update', [updateKey(ANNA, 0)]],
    ['middle update', [updateKey(ANNA, 1)]],
    ['last update', [updateKey(ANNA, 3)]],
    ['row', [rowKey(ANNA)]],
    ['memory', [memoryKey(ANNA)]],
    ['updates', [0, 1, 2, 3].map((clock) => updateKey(ANNA, clock))],
  ])('[P5] a lost %s is found', async (_, keys) => {
    const store = await openWithNotes();
    for (const key of keys) await databaseOf(store).del(key);
    await expect(store.load(ANNA)).rejects.toMatchObject(CORRUPT);
    expect(notesOf(await store.load(BERT))).toEqual({ n0: 0, n1: 1, n2: 2 });
  });

  it('[P5] two values that changed places are found', async () => {
    const store = await openWithNotes();
    const db = databaseOf(store);
    const [one, two] = await db.getMany([updateKey(ANNA, 1), updateKey(ANNA, 2)]);
    await db.put(updateKey(ANNA, 1), two ?? Buffer.of());
    await db.put(updateKey(ANNA, 2), one ?? Buffer.of());
    await expect(store.load(ANNA)).rejects.toMatchObject(CORRUPT);
  });

  it('[P5] what is damaged stays as it is, and a damaged state vector costs nothing', async () => {
    const store = await openWithNotes();
    const db = databaseOf(store);
    await changeByte(db, updateKey(ANNA, 1), 3);
    const damaged = await db.get(updateKey(ANNA, 1));
    await expect(store.load(ANNA)).rejects.toMatchObject(CORRUPT);
    expect(await db.get(updateKey(ANNA, 1))).toEqual(damaged);
    await changeByte(db, stateVectorKey(BERT), 0, 0xff);
    expect(notesOf(await store.load(BERT))).toEqual({ n0: 0, n1: 1, n2: 2 });
  });

  it('[P5] values of two users that changed places are found, each by its own user', async () => {
    const store = await openWithNotes();
    const db = databaseOf(store);
    for (const [one, two] of [
      [updateKey(ANNA, 1), updateKey(BERT, 1)],
      [rowKey(ANNA), rowKey(BERT)],
    ] as const) {
      const [first = Buffer.of(), second = Buffer.of()] = await db.getMany([one, two]);
      await db.batch([
        { type: 'put', key: one, value: second },
        { type: 'put', key: two, value: first },
      ]);
      await expect(store.load(ANNA)).rejects.toMatchObject(CORRUPT);
      await expect(store.load(BERT)).rejects.toMatchObject(CORRUPT);
      await db.batch([
        { type: 'put', key: one, value: first },
        { type: 'put', key: two, value: second },
      ]);
    }
    expect(notesOf(await store.load(ANNA))).toEqual({ n0: 0, n1: 1, n2: 2, n3: 3 });
  });
});

describe('a damaged database', () => {
  it('[P5] without CURRENT it is refused with cause and cure, nothing is created, and a repair brings all back', async () => {
    await (await openWithNotes()).close();
    await rm(join(fixture.folder, 'CURRENT'));
    const before = (await readdir(fixture.folder)).sort();
    const opened = fixture.open();
    await expect(opened).rejects.toMatchObject(UNAVAILABLE);
    await expect(opened).rejects.toThrow(/CURRENT is missing.*telemed-sync repair/);
    expect((await readdir(fixture.folder)).sort()).toEqual(before);
    await repairDatabase(fixture.folder);
    const store = await fixture.open();
    expect(notesOf(await store.load(ANNA))).toEqual({ n0: 0, n1: 1, n2: 2, n3: 3 });
    expect(notesOf(await store.load(BERT))).toEqual({ n0: 0, n1: 1, n2: 2 });
  });

  it.each([
    ['CURRENT is empty', async () => writeFile(join(fixture.folder, 'CURRENT'), '')],
    [
      'CURRENT names another file',
      async () => writeFile(join(fixture.folder, 'CURRENT'), 'MANIFEST-999999\n'),
    ],
    ['the manifest is missing', async () => rm(await fileOf(/^MANIFEST/))],
    ['the manifest is empty', async () => truncate(await fileOf(/^MANIFEST/), 0)],
    ['the manifest has a flipped byte', async () => flip(await fileOf(/^MANIFEST/), 9)],
  ])('[P5] refused, and repaired on demand: %s', async (_, damage) => {
    await (await openWithNotes()).close();
    await damage();
    await expect(fixture.open()).rejects.toThrow(/damaged.*telemed-sync repair/);
    await repairDatabase(fixture.folder);
    const store = await fixture.open();
    expect(notesOf(await store.load(ANNA))).toEqual({ n0: 0, n1: 1, n2: 2, n3: 3 });
  });

  it('[P5] without its log, or as a file instead of a folder, it is refused with the cause', async () => {
    await (await openWithNotes()).close();
    await rm(await fileOf(/\.log$/));
    await expect(fixture.open()).rejects.toThrow(/log file is missing.*telemed-sync repair/);
    await expect(LevelStore.open({ folder: await fileOf(/^CURRENT/) })).rejects.toThrow(/is a file/);
  });

  it('[P5] a missing table file is refused', async () => {
    const store = await openWithNotes();
    await databaseOf(store).compactRange(Buffer.of(0), Buffer.of(255));
    await store.close();
    await rename(await fileOf(/\.ldb$/), join(fixture.folder, '..', 'lost.ldb'));
    await expect(fixture.open()).rejects.toThrow(/telemed-sync repair/);
  });

  it('[P5] a flipped byte in the log is refused; after a repair only the document that it hit is damaged', async () => {
    const store = await fixture.open();
    await Promise.all([store.load(ANNA), store.load(BERT)]);
    await writeNotes(store, BERT, 3);
    await writeNotes(store, ANNA, 3);
    const bert = await store.load(BERT);
    await store.compact(BERT, {
      update: bert.updates[0] ?? Buffer.of(),
      stateVector: Buffer.of(0),
      revision: 9,
    });
    await store.close();
    const file = await fileOf(/\.log$/);
    const log = await readFile(file);
    await flip(file, log.indexOf(updateKey(ANNA, 1)) + updateKey(ANNA, 1).length + 12);
    await expect(fixture.open()).rejects.toThrow(/\.log at byte \d+.*telemed-sync repair/);
    const { stdout } = spawnSync(
      process.execPath,
      ['packages/server/dist/server/cli/main.cjs', 'repair', fixture.folder],
      {
        encoding: 'utf8',
      },
    );
    expect(stdout).toContain('1 of 2 documents are whole.');
    expect(stdout).toContain('anna (update 1 is damaged)');
    const repaired = await fixture.open();
    await expect(repaired.load(ANNA)).rejects.toMatchObject(CORRUPT);
    expect((await repaired.load(BERT)).updates).toEqual([bert.updates[0]]);
  });

  it('[P5] a flipped byte at any position of the log is found, but in the last batch, which may be a torn write', async () => {
    const store = await fixture.open();
    await Promise.all([store.load(ANNA), store.load(BERT)]);
    await writeNotes(store, ANNA, 2);
    const file = await fileOf(/\.log$/);
    const whole = (await readFile(file)).length;
    await writeNotes(store, BERT, 2);
    await store.close();
    const log = await readFile(file);
    expect(findLogDamage(log)).toBeNull();
    for (let position = 0; position < log.length; position += 1) {
      const damaged = Buffer.from(log);
      damaged[position] = (damaged[position] ?? 0) ^ 0xff;
      expect(findLogDamage(damaged) !== null, `position ${position}`).toBe(position < whole);
      if (position >= whole) expect(findLogDamage(log.subarray(0, position))).toBeNull();
    }
  });

  it('[P5] a log of many blocks is whole, and damage in any of them is found', async () => {
    const store = await fixture.open();
    await store.load(ANNA);
    const author = await writeNotes(store, ANNA, 1);
    for (let i = 0; i < 40; i += 1) {
      await store.commit(ANNA, { update: author.set(`k${i}`, 'x'.repeat(i * 331)), revision: i + 2 });
    }
    await store.close();
    const log = await readFile(await fileOf(/\.log$/));
    expect(log.length).toBeGreaterThan(5 * 32_768);
    expect(findLogDamage(log)).toBeNull();
    for (let position = 100; position < log.length - 20_000; position += 9_973) {
      const damaged = Buffer.from(log);
      damaged[position] = (damaged[position] ?? 0) ^ 1;
      expect(findLogDamage(damaged), `position ${position}`).not.toBeNull();
    }
  });

  it('[P6] a write that was cut off at the end of the log loses only itself', async () => {
    await (await openWithNotes()).close();
    const file = await fileOf(/\.log$/);
    await truncate(file, (await readFile(file)).length - 3);
    const store = await fixture.open();
    expect(await store.load(ANNA)).toMatchObject({ revision: 3, memory: null });
    expect(notesOf(await store.load(BERT))).toEqual({ n0: 0, n1: 1, n2: 2 });
  });
});

describe('the folder of a database', () => {
  it('[P5] is refused with a clear sentence while it is in use, also for a repair', async () => {
    const store = await openWithNotes();
    await expect(LevelStore.open({ folder: fixture.folder })).rejects.toThrow(/in use by another process/);
    await expect(repairDatabase(fixture.folder)).rejects.toThrow(/in use by another process/);
    expect(notesOf(await store.load(BERT))).toEqual({ n0: 0, n1: 1, n2: 2 });
  });

  it('[P5] may be absent, empty, or left by a process that ended before the database was made', async () => {
    await (await fixture.open()).close();
    await rm(fixture.folder, { recursive: true });
    await mkdir(join(fixture.folder, 'lost+found'), { recursive: true });
    await (await fixture.open()).close();
    await rm(fixture.folder, { recursive: true });
    await mkdir(fixture.folder);
    await writeFile(join(fixture.folder, 'LOCK'), '');
    await writeFile(join(fixture.folder, 'MANIFEST-000001'), '');
    expect((await fixture.open()).state).toBe('ready');
  });

  it('[P5] is refused when it holds other files', async () => {
    await mkdir(fixture.folder);
    await writeFile(join(fixture.folder, 'letter.txt'), 'hello');
    await expect(fixture.open()).rejects.toThrow(/other files but no database/);
    await expect(repairDatabase(fixture.folder)).rejects.toThrow(/nothing to repair/);
    expect(await readdir(fixture.folder)).toEqual(['letter.txt']);
  });
});
