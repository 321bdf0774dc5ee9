/** Makes backups, and looks whether they are whole. */
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join, resolve, sep } from 'node:path';
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
export async function backUp(task: BackupTask): Promise<Backup> {
  const into = await prepareFolder(task);
  const name = `backup-${new Date(task.now()).toISOString().replaceAll(/[:.]/g, '-')}`;
  const unfinished = join(into, `${name}${UNFINISHED}`);
  try {
    const manifest = await write(task, unfinished);
    await verify(unfinished);
    await rename(unfinished, join(into, name));
    await syncFolder(into);
    if (task.keep !== undefined) await removeOld(into, name, task.keep);
    return { folder: join(into, name), manifest };
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true }).catch(() => {}); // the next backup tries again
    throw failure(error);
  }
}

async function prepareFolder({ into, dataDir }: BackupTask): Promise<string> {
  const folder = resolve(into);
  if (join(folder, sep).startsWith(join(resolve(dataDir), sep)))
    throw failed(`${folder} is in DATA_DIR: a backup has to be elsewhere, best on another disk.`);
  try {
    await makeFolder(folder);
    await removeUnfinished(folder);
  } catch (cause) {
    throw failed(
      `The folder ${folder} can't be made or read: give it to the user that runs the server.`,
      cause,
    );
  }
  return folder;
}

async function removeUnfinished(into: string): Promise<void> {
  for (const name of await readdir(into)) {
    if (name.endsWith(UNFINISHED) && NAME.test(name.slice(0, -UNFINISHED.length)))
      await rm(join(into, name), { recursive: true });
  }
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

/** Never the one just made, which by a clock that was set back is not the newest. */
async function removeOld(into: string, made: string, keep: number): Promise<void> {
  const others = (await backupsIn(into)).filter((folder) => folder !== join(into, made));
  for (const folder of others.slice(0, Math.max(0, others.length - keep + 1))) {
    await rename(folder, `${folder}${UNFINISHED}`);
    await rm(`${folder}${UNFINISHED}`, { recursive: true });
  }
}

const failed = (sentence: string, cause?: unknown): SyncError =>
  new SyncError('BACKUP_FAILED', sentence, { cause });

function failure(error: unknown): SyncError {
  if (error instanceof SyncError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  const cure = reason.includes('ENOSPC') ? 'make room on the disk' : 'look at the folder of the backups';
  return failed(`The backup failed (${reason}): ${cure}.`, error);
}
