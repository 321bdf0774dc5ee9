/** Makes backups, and looks whether they are whole. */
import { mkdir, readdir, realpath, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { SyncError } from '../errors.js';
import { makeFolder, syncFolder } from '../folders.js';
import { CopiedUsers } from '../store/level/copied-users.js';
import type { CopiedRow, StoreCopy } from '../store/store.js';
import { MANIFEST, type Manifest, notWhole, readManifest, textOf } from './manifest.js';
import { readSegment, SegmentWriter } from './segments.js';

/** What is being written, or removed, and is no backup. */
const UNFINISHED = '.unfinished';
const NAME = /^backup-\d{4}-\d{2}-\d{2}T\d{2}-\d{2}-\d{2}-\d{3}Z$/;
/** Each erasure ends a copy. */
const ATTEMPTS = 10;

export interface Backup {
  readonly folder: string;
  readonly manifest: Manifest;
}

/** One that was just made. */
export interface NewBackup extends Backup {
  /** What somebody has to look at, though it is whole, in sentences. */
  readonly warnings: readonly string[];
}

export interface BackupTask {
  /** Begins a copy of all that is stored. */
  readonly copy: () => Promise<StoreCopy>;
  /** The folder of all backups. */
  readonly into: string;
  /** That of the database. */
  readonly dataDir: string;
  readonly now: () => number;
  readonly product: string;
  /** How many backups stay; all where it is left out. */
  readonly keep?: number | undefined;
}

/** Under a name of its own once it is whole, on disk and read back; older ones are removed only then. */
export async function backUp(task: BackupTask): Promise<NewBackup> {
  const { into, warnings } = await prepareFolder(task);
  const name = `backup-${new Date(task.now()).toISOString().replaceAll(/[:.]/g, '-')}`;
  const unfinished = join(into, `${name}${UNFINISHED}`);
  try {
    const manifest = await write(task, unfinished);
    await verify(unfinished);
    await rename(unfinished, join(into, name));
    await syncFolder(into);
    const made = { folder: join(into, name), manifest };
    const more = task.keep === undefined ? [] : await removeOld(into, made, task.keep);
    return { ...made, warnings: [...warnings, ...more] };
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true }).catch(() => {}); // the next backup tries again
    throw failure(error);
  }
}

async function prepareFolder({ into, dataDir }: BackupTask): Promise<{ into: string; warnings: string[] }> {
  const folder = resolve(into);
  if (join(await placeOf(folder), sep).startsWith(join(await placeOf(resolve(dataDir)), sep)))
    throw failed(`${folder} is in DATA_DIR: a backup has to be elsewhere, best on another disk.`);
  try {
    await makeFolder(folder);
    return { into: folder, warnings: await removeUnfinished(folder) };
  } catch (cause) {
    throw failed(
      `The folder ${folder} can't be made or read: give it to the user that runs the server.`,
      cause,
    );
  }
}

/** Where it is when links are followed, also if it is not there yet. */
const placeOf = (path: string): Promise<string> =>
  realpath(path).catch(async () =>
    dirname(path) === path ? path : join(await placeOf(dirname(path)), basename(path)),
  );

async function removeUnfinished(into: string): Promise<string[]> {
  const names = (await readdir(into)).filter(
    (name) => name.endsWith(UNFINISHED) && NAME.test(name.slice(0, -UNFINISHED.length)),
  );
  return removeAll(
    names.map((name) => join(into, name)),
    (folder) => rm(folder, { recursive: true }),
  );
}

/** What can't be removed, since root made it, say, makes no new backup worse: there is a sentence for each. */
async function removeAll(
  folders: readonly string[],
  remove: (folder: string) => Promise<void>,
): Promise<string[]> {
  const sentences: string[] = [];
  for (const folder of folders)
    await remove(folder).catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error);
      sentences.push(
        `${folder} can't be removed (${reason}): give it to the user that runs the server, or remove it.`,
      );
    });
  return sentences;
}

async function write(task: BackupTask, folder: string): Promise<Manifest> {
  for (let attempt = 1; ; attempt += 1) {
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { mode: 0o700 });
    const copy = await task.copy();
    try {
      return await writeCopy(task, copy, folder);
    } catch (error) {
      if (!copy.isEnded || attempt === ATTEMPTS) throw error;
    } finally {
      await copy.close();
    }
  }
}

async function writeCopy({ now, product }: BackupTask, copy: StoreCopy, folder: string): Promise<Manifest> {
  const createdAt = new Date(now()).toISOString();
  const users = new CopiedUsers();
  const writer = new SegmentWriter(folder);
  try {
    for (let rows = await copy.next(); rows.length > 0; rows = await copy.next()) {
      for (const row of rows) users.see(row);
      await writer.add(rows);
    }
    const segments = [...(await writer.finish())];
    const content = {
      format: 1,
      product,
      createdAt,
      ...seenIn(users),
      ...sumOf(segments),
      segments,
    } as const;
    await writeFile(join(folder, MANIFEST), textOf(content), { mode: 0o600, flag: 'wx', flush: true });
    await syncFolder(folder);
    return await readManifest(folder);
  } finally {
    await writer.close();
  }
}

const seenIn = (users: CopiedUsers): Pick<Manifest, 'keys' | 'users' | 'revisions'> => ({
  keys: users.keys && [...users.keys],
  users: users.users,
  revisions: users.revisions(),
});

function sumOf(segments: Manifest['segments']): Pick<Manifest, 'rows' | 'bytes'> {
  const sum = (of: 'rows' | 'bytes') => segments.reduce((total, segment) => total + segment[of], 0);
  return { rows: sum('rows'), bytes: sum('bytes') };
}

/** All rows of a backup, in the order of their keys; throws where a byte of it is not what was written. */
export async function* rowsOf({ folder, manifest }: Backup): AsyncGenerator<readonly CopiedRow[]> {
  const users = new CopiedUsers();
  for (const segment of manifest.segments) {
    const rows = await readSegment(folder, segment);
    for (const row of rows) users.see(row);
    yield rows;
  }
  if (users.revisions() !== manifest.revisions)
    throw notWhole(`The backup ${folder} is damaged, its documents are not those of its ${MANIFEST}`);
}

/** Reads all of it. */
export async function verify(folder: string): Promise<Backup> {
  const backup = { folder, manifest: await readManifest(folder) };
  for await (const _ of rowsOf(backup));
  return backup;
}

/** The whole backups in a folder of backups, the oldest first. */
export async function backupsIn(into: string): Promise<string[]> {
  const names = await readdir(into).catch((cause) => {
    throw failed(`The folder ${into} can't be read: is its name right?`, cause);
  });
  return names
    .filter((name) => NAME.test(name))
    .sort()
    .map((name) => join(into, name));
}

/** A user who was there once is counted for ever. */
const FEW = 0.1;

/** Never the one just made, which by a clock that was set back is not the newest. */
async function removeOld(into: string, { folder, manifest }: Backup, keep: number): Promise<string[]> {
  const others = (await backupsIn(into)).filter((other) => other !== folder);
  const old = others.slice(0, Math.max(0, others.length - keep + 1));
  const most = old.length === 0 ? 0 : await mostUsersIn(others);
  if (manifest.users < most * FEW)
    return [
      `No older backup was removed: this one has ${manifest.users} users, an older one ${most}. Is DATA_DIR the right folder, and its disk there? If so, move the older ones elsewhere.`,
    ];
  return removeAll(old, async (other) => {
    await rename(other, `${other}${UNFINISHED}`);
    await rm(`${other}${UNFINISHED}`, { recursive: true });
  });
}

async function mostUsersIn(folders: readonly string[]): Promise<number> {
  const counts = folders.map((folder) =>
    readManifest(folder).then(
      ({ users }) => users,
      () => 0,
    ),
  );
  return Math.max(0, ...(await Promise.all(counts)));
}

const failed = (sentence: string, cause?: unknown): SyncError =>
  new SyncError('BACKUP_FAILED', sentence, { cause });

function failure(error: unknown): SyncError {
  if (error instanceof SyncError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  const cure = reason.includes('ENOSPC') ? 'make room on the disk' : 'look at the folder of the backups';
  return failed(`The backup failed (${reason}): ${cure}.`, error);
}
