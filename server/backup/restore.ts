/**
 * A backup takes the place of a database. It is made beside it and moved at the end; whoever ends it at any moment
 * leaves the database of before, or one that no server opens and that the next restore completes.
 */
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { SyncError } from '../errors.js';
import { makeFolder, syncFolder } from '../folders.js';
import type { KeyRing } from '../store/encryption/key-ring.js';
import { KEYS_IN_USE } from '../store/level/encryption.js';
import { hasDatabase, isOfDatabase, RESTORE } from '../store/level/folder.js';
import { LevelStore } from '../store/level/level-store.js';
import { forgetMovedTo, MOVED_TO } from '../store/level/moved-to.js';
import {
  type Erasures,
  type HeldDatabase,
  holdDatabase,
  lockForRestore,
  makeDatabase,
  replacedFolder,
} from '../store/level/restoring.js';
import { type Backup, rowsOf } from './backup.js';
import { type ErasedSince, erasedSince } from './erased-since.js';
import { copyManifest, type Manifest, readManifest } from './manifest.js';

/** Files that belong to the database of a folder. */
const BESIDE: ReadonlySet<string> = new Set([KEYS_IN_USE, MOVED_TO]);

export interface RestoreTask {
  readonly backup: Backup;
  readonly dataDir: string;
  readonly keys: KeyRing | undefined;
  /** Whether a database that is there may be replaced; it is kept beside. */
  readonly replace: boolean;
  /** Erases further users in the database in this folder; null where nobody said who was erased. */
  readonly eraseMore: ((folder: string) => Promise<number>) | null;
  readonly now: () => number;
}

export interface Restored {
  readonly users: number;
  readonly damaged: readonly string[];
  /** How many were erased since the backup. */
  readonly erased: number;
  /** The folders of what tells who they are. */
  readonly knownBy: readonly string[];
  /** Where the database of before is. */
  readonly replaced: string | null;
}

/** The note in the store that says when it was made of a backup. */
export const RESTORED = 'restored';

const refused = (sentence: string, cause?: unknown): SyncError =>
  new SyncError('BACKUP_FAILED', sentence, { cause });

/** Null: one of this backup that was cut off, when it had only to be moved, is complete now. */
export async function restore(task: RestoreTask): Promise<Restored | null> {
  const { dataDir } = task;
  checkKeys(task);
  await makeFolder(dataDir);
  const unlock = await lockForRestore(dataDir);
  try {
    return (await finishMove(task)) ? null : await makeAndMove(task);
  } finally {
    await unlock();
  }
}

async function makeAndMove(task: RestoreTask): Promise<Restored> {
  const { dataDir } = task;
  const before = await holdReplaced(task);
  try {
    const since = await erasedSince(task.backup, {
      dataDir: resolve(dataDir),
      replaced: before?.known ?? null,
    });
    mustBeKnown(since, task);
    for (const name of [...Object.values(RESTORE), DEPARTING])
      await rm(join(dataDir, name), { recursive: true, force: true });
    const made = await makeBeside(task, since);
    await rename(join(dataDir, RESTORE.making), join(dataDir, RESTORE.made));
    await syncFolder(dataDir);
    if (before === null) await mustBeEmpty(dataDir);
    return { ...made, ...(await move(task, false, before)) };
  } finally {
    await before?.letGo();
  }
}

/** Makes the database of a backup in an empty folder, erased in it who is erased elsewhere, and looks at all of it. */
export async function makeFrom(
  { backup, keys, now }: Pick<RestoreTask, 'backup' | 'keys' | 'now'>,
  folder: string,
  erasures: Erasures,
): Promise<Omit<Restored, 'replaced' | 'knownBy'>> {
  const erased = await makeDatabase(folder, rowsOf(backup), erasures);
  const store = await LevelStore.open({ folder, keys });
  try {
    const users = await store.allUsers();
    const damaged: string[] = [];
    for (const user of users) await store.check(user).catch(() => damaged.push(user));
    await store.setNote(RESTORED, Buffer.from(new Date(now()).toISOString()));
    return { users: users.length, damaged, erased };
  } finally {
    await store.close();
  }
}

/** Before the work, not when the server starts. */
export function checkKeys({ backup: { manifest }, keys }: Pick<RestoreTask, 'backup' | 'keys'>): void {
  if (manifest.keys === null) return;
  const missing = manifest.keys.filter((id) => !keys?.has(id));
  if (missing.length > 0)
    throw refused(
      `The backup is encrypted with the key ${missing.join(', ')}: name it in ENCRYPTION_KEY or ENCRYPTION_KEY_FILE.`,
    );
}

/** A server may have been started since. */
async function mustBeEmpty(dataDir: string): Promise<void> {
  if (!(await hasDatabase(dataDir))) return;
  throw refused(
    `A database was made in ${dataDir} while the backup was restored: stop the server, and name an empty folder or add --replace.`,
  );
}

async function holdReplaced({ dataDir, replace, eraseMore }: RestoreTask): Promise<HeldDatabase | null> {
  if (!(await hasDatabase(dataDir))) return null;
  if (!replace)
    throw refused(
      `${dataDir} holds a database: name an empty folder, or add --replace, which keeps that one in a folder beside.`,
    );
  try {
    return await holdDatabase(dataDir);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    if (reason.includes('in use by another process')) throw cause;
    if (eraseMore !== null)
      return { known: { erasures: new Map(), revisions: new Map() }, letGo: async () => {} };
    throw refused(
      `Who was erased since the backup can't be read from the database that is replaced (${reason}): name these users in a file, a line each, and add --erased FILE; it may be empty.`,
      cause,
    );
  }
}

function mustBeKnown({ isKnown }: ErasedSince, { backup, eraseMore }: RestoreTask): void {
  if (isKnown || eraseMore !== null) return;
  throw refused(
    `Who was erased since ${backup.manifest.createdAt} is not known: neither a database that is or was replaced nor a newer backup beside this one goes on from it. Name these users in a file, a line each, and add --erased FILE; it may be empty.`,
  );
}

async function makeBeside(
  task: RestoreTask,
  { erasures, knownBy }: ErasedSince,
): Promise<Omit<Restored, 'replaced'>> {
  const folder = join(task.dataDir, RESTORE.making);
  const made = await makeFrom(task, folder, erasures);
  const more = (await task.eraseMore?.(folder)) ?? 0;
  await copyManifest(task.backup.folder, folder);
  return { ...made, erased: made.erased + more, knownBy };
}

const DEPARTING = 'departing';

/** Moves what a restore that was cut off had made of a backup; whether it was this one, and all is done. */
async function finishMove(task: RestoreTask): Promise<boolean> {
  const { backup, dataDir, replace, eraseMore } = task;
  const { manifest } = backup;
  const names = await readdir(dataDir);
  const isMoving = names.includes(RESTORE.moving);
  if (names.includes('CURRENT') || !(isMoving || names.includes(RESTORE.made))) return false;
  const made = join(dataDir, isMoving ? RESTORE.moving : RESTORE.made);
  const begun = await readManifest(made).catch(() => null);
  const isThis = begun?.sha256 === manifest.sha256;
  if (!isThis && !replace) throw refused(otherSentence(dataDir, begun, manifest));
  // Who is named may be others than at the first time. What is half moved is no database yet.
  if (isThis && !isMoving) await eraseMore?.(made);
  await move(task, isMoving, null);
  if (isThis && isMoving) await eraseMore?.(dataDir);
  return isThis;
}

function otherSentence(dataDir: string, begun: Manifest | null, { createdAt }: Manifest): string {
  const other = begun === null ? 'another backup' : `the backup of ${begun.createdAt}`;
  return `A restore of ${other} into ${dataDir} was cut off, and the backup that is named is of ${createdAt}: name that other one, or add --replace, which completes it and then puts the named one in its place.`;
}

async function move(
  { dataDir, now }: RestoreTask,
  isMoving: boolean,
  before: HeldDatabase | null,
): Promise<{ replaced: string | null }> {
  const from = join(dataDir, RESTORE.moving);
  const replaced = isMoving ? null : await moveAway(dataDir, now, before);
  await forgetMovedTo(dataDir); // of a database that somebody has taken away by hand
  if (!isMoving) await rename(join(dataDir, RESTORE.made), from);
  await moveFiles(from, dataDir, (name) => name !== 'CURRENT');
  await moveFiles(from, dataDir, (name) => name === 'CURRENT');
  await rm(from, { recursive: true, force: true });
  return { replaced };
}

/**
 * First the file without which LevelDB opens nothing, and no server either. Then the database is let go, before
 * another comes into its folder: while it is open it removes files there that it needs no longer, by their names.
 */
async function moveAway(
  dataDir: string,
  now: () => number,
  before: HeldDatabase | null,
): Promise<string | null> {
  const to = join(dataDir, DEPARTING);
  const names = await readdir(dataDir);
  if (!names.includes(DEPARTING) && !(await hasDatabase(dataDir))) return null;
  await mkdir(to, { recursive: true, mode: 0o700 });
  await moveFiles(dataDir, to, (name) => name === 'CURRENT');
  await before?.letGo();
  const replaced = replacedFolder(dataDir, now());
  await moveFiles(dataDir, to, () => true);
  await rename(to, replaced);
  return replaced;
}

/** Those of the database of which it is true; they are durable where they are when it resolves. */
async function moveFiles(from: string, to: string, isNow: (name: string) => boolean): Promise<void> {
  const names = (await readdir(from)).filter((name) => isOfDatabase(name) || BESIDE.has(name));
  for (const name of names.filter(isNow)) await rename(join(from, name), join(to, name));
  await syncFolder(to);
  await syncFolder(from);
}
