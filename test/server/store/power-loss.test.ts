import { once } from 'node:events';
import { mkdir, readdir, readFile, rename, stat, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeFolder } from '../../../server/folders.js';
import { syncFolderIfChanged } from '../../../server/store/level/folder-sync.js';
import type { LevelStore } from '../../../server/store/level/level-store.js';
import { findLogDamage } from '../../../server/store/level/log.js';
import { oldestLog } from '../../../server/store/level/manifest.js';
import { databaseOf, LevelFixture } from '../../support/level-fixture.js';
import { Author, notesOf, user, writeNotes } from '../../support/notes.js';

const ANNA = user('anna');
const BERT = user('bert');

let fixture: LevelFixture;
beforeEach(async () => {
  fixture = await LevelFixture.create();
});
afterEach(() => fixture.remove());

const pathOf = (name: string): string => join(fixture.folder, name);
const logs = async (): Promise<string[]> =>
  (await readdir(fixture.folder)).filter((name) => name.endsWith('.log')).sort();

async function onlyLog(): Promise<string> {
  const [name = '', ...others] = await logs();
  expect(others).toEqual([]);
  return pathOf(name);
}

async function openWithNotes(): Promise<LevelStore> {
  const store = await fixture.open();
  await Promise.all([store.load(ANNA), store.load(BERT)]);
  await writeNotes(store, ANNA, 3);
  return store;
}

const ENDS: readonly (readonly [string, (tail: Buffer) => Buffer])[] = [
  ['nothing', () => Buffer.alloc(0)],
  ['a part', (tail) => tail.subarray(0, tail.length >> 1)],
  ['zeros', (tail) => Buffer.alloc(tail.length)],
  [
    'a page, then zeros',
    (tail) => Buffer.concat([tail.subarray(0, 4_096), Buffer.alloc(tail.length - 4_096)]),
  ],
  ['zeros, then its end', (tail) => Buffer.concat([Buffer.alloc(40_000), tail.subarray(40_000)])],
  ['garbage', (tail) => tail.map((_, index) => (index * 167 + 13) % 256) as Buffer],
];

describe('a power loss in the middle of a batch', () => {
  it.each(ENDS)(
    '[P6] [P5] leaves %s of it: the store starts, and everything before it is there',
    async (_, endOf) => {
      const store = await openWithNotes();
      const file = await onlyLog();
      const synced = (await stat(file)).size;
      const update = new Author().set('large', 'x'.repeat(100_000));
      await store.commit(BERT, { update, revision: 1 });
      await store.close();
      const log = await readFile(file);
      await writeFile(file, Buffer.concat([log.subarray(0, synced), endOf(log.subarray(synced))]));
      const opened = await fixture.open();
      expect(notesOf(await opened.load(ANNA))).toEqual({ n0: 0, n1: 1, n2: 2 });
      expect(await opened.load(BERT)).toMatchObject({ updates: [], revision: 0 });
    },
  );

  it('[P5] the same at the end of a log that a later one follows is damage, since it was whole once', async () => {
    const store = await openWithNotes();
    await store.close();
    const [name = ''] = await logs();
    const log = await readFile(pathOf(name));
    const next = `${String(Number.parseInt(name, 10) + 1).padStart(6, '0')}.log`;
    await writeFile(pathOf(next), log);
    for (const length of [log.length - 1, log.length - 40, 20]) {
      await writeFile(pathOf(name), log.subarray(0, length));
      await expect(fixture.open(), `${length}`).rejects.toThrow(
        new RegExp(`${name} at byte \\d+.*telemed-sync repair`),
      );
    }
    await writeFile(pathOf(next), log.subarray(0, 5)); // nothing was ever saved there
    expect(Object.keys(notesOf(await (await fixture.open()).load(ANNA))).length).toBeLessThan(3);
  });

  it('[P5] a batch over many blocks of which the last ones are missing is not whole', async () => {
    const store = await openWithNotes();
    await store.commit(BERT, { update: new Author().set('large', 'x'.repeat(100_000)), revision: 1 });
    await store.close();
    const log = await readFile(await onlyLog());
    const cut = log.subarray(0, 2 * 32_768);
    expect(findLogDamage(log, false)).toBeNull();
    expect(findLogDamage(cut)).toBeNull();
    expect(findLogDamage(cut, false)).toBeGreaterThan(0);
  });
});

describe('logs and the manifest that names them', () => {
  const manifest = async (): Promise<Buffer> =>
    readFile(pathOf((await readFile(pathOf('CURRENT'), 'utf8')).trim()));

  it('[P6] a damaged log that is in the tables already keeps nobody from starting', async () => {
    await (await openWithNotes()).close();
    const old = await onlyLog();
    const flushed = await readFile(old);
    await (await fixture.open()).close();
    flushed[30] = (flushed[30] ?? 0) ^ 1;
    await writeFile(old, flushed);
    expect(notesOf(await (await fixture.open()).load(ANNA))).toEqual({ n0: 0, n1: 1, n2: 2 });
  });

  it('[P5] a missing log is found, though another one is there', async () => {
    await (await openWithNotes()).close();
    const name = (number: number): string => `${String(number).padStart(6, '0')}.log`;
    const number = oldestLog(await manifest()) ?? 0;
    expect(await onlyLog()).toBe(pathOf(name(number)));
    await rename(pathOf(name(number)), pathOf(name(number + 1)));
    await expect(fixture.open()).rejects.toThrow(/log file is missing.*telemed-sync repair/);
  });

  it('[P5] [P6] the manifest says which log is the oldest, also when its last entry was cut off', async () => {
    const store = await openWithNotes();
    const before = oldestLog(await manifest());
    const { length } = await manifest();
    await databaseOf(store).compactRange(Buffer.of(0), Buffer.of(255));
    const bytes = await manifest();
    const after = oldestLog(bytes) ?? 0;
    expect(after).toBeGreaterThan(before ?? Number.POSITIVE_INFINITY);
    const found = new Set<number | null>();
    for (let end = length; end <= bytes.length; end += 1) found.add(oldestLog(bytes.subarray(0, end)));
    expect([...found]).toEqual([before, after]);
    expect(oldestLog(Buffer.of())).toBeNull();
  });
});

describe('names of files', () => {
  it.each([
    ['empty', (bytes: Buffer) => bytes.subarray(0, 0)],
    ['cut off', (bytes: Buffer) => bytes.subarray(0, 30)],
  ])('[P6] a first manifest that is %s, with nothing saved yet, is made anew', async (_, cut) => {
    await mkdir(fixture.folder);
    await writeFile(pathOf('CURRENT'), 'MANIFEST-000001\n');
    await writeFile(pathOf('MANIFEST-000001'), cut(Buffer.alloc(41, 1)));
    await writeFile(pathOf('000003.log'), '');
    await openWithNotes();
  });

  it('[P5] a first manifest that is empty is damage where something is saved', async () => {
    await (await openWithNotes()).close();
    await writeFile(pathOf('CURRENT'), 'MANIFEST-000001\n');
    await writeFile(pathOf('MANIFEST-000001'), '');
    await expect(fixture.open()).rejects.toThrow(/telemed-sync repair/);
    expect(await readFile(pathOf('CURRENT'), 'utf8')).toBe('MANIFEST-000001\n');
  });

  it('[P6] a folder is made with those above it', async () => {
    const folder = join(fixture.folder, 'a', 'b');
    await makeFolder(folder);
    await makeFolder(folder);
    expect(await readdir(folder)).toEqual([]);
  });

  it.runIf(process.platform === 'linux')(
    '[P6] a folder that nobody can make is refused, and says how to go on',
    async () => {
      for (const folder of ['/proc/x', '/proc/x/y', '/proc/self/x']) {
        await expect(makeFolder(folder)).rejects.toThrow(/Can't make the folder .*ENOENT.*set DATA_DIR/);
      }
      await writeFile(pathOf('file'), '').catch(() => {});
      await expect(fixture.open({ folder: '/proc/x' })).rejects.toThrow(/Can't make/);
    },
  );

  it('[P6] a folder is synced when it changed since a batch began, and only then', async () => {
    await mkdir(fixture.folder);
    // A socket in the place of a folder: its time can be read, and an attempt to sync it fails.
    const socket = createServer().listen(pathOf('socket'));
    await once(socket, 'listening');
    const changedAt = new Date(Date.now() - 60_000);
    await utimes(pathOf('socket'), changedAt, changedAt);
    const { mtimeMs } = await stat(pathOf('socket'));
    await expect(syncFolderIfChanged(pathOf('socket'), mtimeMs)).rejects.toThrow('ENXIO');
    await expect(syncFolderIfChanged(pathOf('socket'), mtimeMs + 10)).rejects.toThrow('ENXIO');
    await syncFolderIfChanged(pathOf('socket'), mtimeMs + 1_000);
    // The clock was set back meanwhile: then times tell nothing.
    await expect(syncFolderIfChanged(pathOf('socket'), Date.now() + 60_000)).rejects.toThrow('ENXIO');
    socket.close();
  });
});
