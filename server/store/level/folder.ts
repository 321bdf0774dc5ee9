import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ClassicLevel } from 'classic-level';
import { SyncError } from '../../errors.js';
import { makeFolder, syncFolder } from '../../folders.js';
import type { Database } from './database.js';
import { findLogDamage, holdsRecord, wholeRecords } from './log.js';
import { oldestLog } from './manifest.js';

const DATABASE_FILE = /^(CURRENT|MANIFEST-\d+|\d+\.(log|ldb|sst|dbtmp))$/;
/** LevelDB makes these before it knows whether there is a database; file systems put `lost+found` into a root. */
const NO_DATA = /^(LOCK|LOG|LOG\.old|lost\+found|restore-lock)$/;
/** A database of nothing, which a restore has open as long as it runs: the lock of LevelDB ends with its process. */
export const RESTORE_LOCK = 'restore-lock';
/** What is there when the process ended while it created a database, before anything could be saved. */
const UNFINISHED = /^(MANIFEST-000001|000001\.dbtmp)$/;
/** In which a restored database is while it is made, while the one before is moved away, and while it is moved. */
export const RESTORE = { making: 'restoring', made: 'restored', moving: 'arriving' } as const;
const RESTORE_FOLDERS: readonly string[] = Object.values(RESTORE);
const FIRST_MANIFEST = 'MANIFEST-000001';
const REPAIR = 'restore the folder from a backup, or run `telemed-sync repair DATA_DIR`';

/**
 * Opens the database of a folder; creates one only where there is certainly none yet. Rejects with a sentence that
 * names the cause and the cure, and changes nothing then.
 */
export async function openDatabase(folder: string): Promise<Database> {
  const createIfMissing = await inspect(folder);
  if (createIfMissing) {
    await makeFolder(folder).catch((error: unknown) => {
      throw openFailure(folder, error);
    });
  }
  // After the folder: LevelDB would begin to make it at once.
  const db: Database = new ClassicLevel(folder, { keyEncoding: 'view', valueEncoding: 'view' });
  try {
    await db.open({ createIfMissing });
    // LevelDB names its new manifest and log without it: what is saved in them would be gone with their names.
    await syncFolder(folder);
    return db;
  } catch (error) {
    await db.close();
    throw openFailure(folder, error);
  }
}

/** Whether a database may be created in the folder; throws when one is damaged, or when the folder is another's. */
async function inspect(folder: string): Promise<boolean> {
  const files = (await listFolder(folder)).filter((file) => !NO_DATA.test(file));
  if (files.every((file) => UNFINISHED.test(file))) return true;
  mustNotBeMoving(folder, files);
  if (!files.some((file) => DATABASE_FILE.test(file))) {
    throw unavailable(`The folder ${folder} holds other files but no database; name an empty folder.`);
  }
  if (!files.includes('CURRENT')) {
    throw unavailable(`The database in ${folder} is damaged, its file CURRENT is missing: ${REPAIR}.`);
  }
  if (await isLocked(folder)) return false;
  const current = (await readFile(join(folder, 'CURRENT'), 'utf8')).trim();
  const manifest = await readFile(join(folder, current)).catch(() => null);
  if (manifest === null) return false; // LevelDB refuses it, and says why
  const logs = await readLogs(folder, files);
  if (current === FIRST_MANIFEST && isUnborn(manifest, files, logs)) {
    await rm(join(folder, 'CURRENT'));
    return true;
  }
  checkLogs(folder, logs, oldestLog(manifest));
  return false;
}

/** Of what lies there then, half is of one database and half of another. */
function mustNotBeMoving(folder: string, files: readonly string[]): void {
  if (files.includes('CURRENT') || !files.some((file) => RESTORE_FOLDERS.includes(file))) return;
  throw unavailable(
    `A restore into ${folder} is under way or was cut off: wait for it, or run the same \`telemed-sync restore\` again.`,
  );
}

async function listFolder(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    if (hasCode(error, 'ENOTDIR'))
      throw unavailable(`${folder} is a file; DATA_DIR has to be a folder.`, error);
    throw unavailable(`The folder ${folder} can't be read (${(error as Error).message}).`, error);
  }
}

interface Log {
  readonly name: string;
  readonly number: number;
  readonly content: Buffer;
}

/** In the order in which they were written. */
async function readLogs(folder: string, files: readonly string[]): Promise<Log[]> {
  const names = files.filter((name) => name.endsWith('.log'));
  const logs = names.map(async (name) => {
    return { name, number: Number.parseInt(name, 10), content: await readFile(join(folder, name)) };
  });
  return (await Promise.all(logs)).sort((one, other) => one.number - other.number);
}

/**
 * LevelDB does not sync its first manifest: a power loss may leave the name of it and nothing in it. Nothing is saved
 * before there is a second one, so as long as nothing else is there, the database can be created anew.
 */
function isUnborn(manifest: Buffer, files: readonly string[], logs: readonly Log[]): boolean {
  const isEmpty = wholeRecords(manifest).next().done === true;
  return (
    isEmpty &&
    !files.some((name) => /\.(ldb|sst)$/.test(name)) &&
    logs.every((log) => log.content.length === 0)
  );
}

/** The log that the manifest names was made before that, and what was saved after it is there or in later ones. */
function checkLogs(folder: string, all: readonly Log[], oldest: number | null): void {
  const logs = all.filter(({ number }) => number >= (oldest ?? 0));
  if (oldest !== null && oldest > 0 && logs[0]?.number !== oldest) {
    throw unavailable(`The database in ${folder} is damaged, its log file is missing: ${REPAIR}.`);
  }
  for (const [index, { name, content }] of logs.entries()) {
    const isLast = !logs.slice(index + 1).some((later) => holdsRecord(later.content));
    const damage = findLogDamage(content, isLast);
    if (damage === null) continue;
    throw unavailable(
      `The database in ${folder} is damaged, ${name} at byte ${damage}: ${REPAIR}. Opened as it is, it would lose saved changes.`,
    );
  }
}

/** LevelDB takes its lock before it looks at anything, and refuses an existing database before it changes it. */
async function isLocked(folder: string): Promise<boolean> {
  const db = new ClassicLevel(folder);
  try {
    await db.open({ createIfMissing: false, errorIfExists: true });
    await db.close();
    return false;
  } catch (error) {
    return isLockedBy(error);
  }
}

/** Whether a database could not be opened because another has it open. */
export const isLockedBy = (error: unknown): boolean => hasCode(causeOf(error), 'LEVEL_LOCKED');

export function openFailure(folder: string, error: unknown): SyncError {
  if (error instanceof SyncError) return error;
  const cause = causeOf(error);
  if (isLockedBy(error)) return locked(folder, cause);
  const reason = cause instanceof Error ? cause.message : String(cause);
  return unavailable(openSentence(folder, reason), cause);
}

function openSentence(folder: string, reason: string): string {
  if (/no space/i.test(reason)) {
    return `There is no room on the disk to open the database in ${folder}: make room (${reason}).`;
  }
  if (/permission denied|not permitted|read-only/i.test(reason)) {
    return `No permission to write to ${folder}: give it to the user that runs the server, or set DATA_DIR (${reason}).`;
  }
  return `The database in ${folder} can't be opened (${reason}); if it is damaged, ${REPAIR}.`;
}

const locked = (folder: string, cause?: unknown): SyncError =>
  unavailable(`The database in ${folder} is in use by another process: stop that one first.`, cause);

/** abstract-level wraps what LevelDB said. */
function causeOf(error: unknown): unknown {
  return error instanceof Error && error.cause !== undefined ? error.cause : error;
}

const hasCode = (error: unknown, code: string): boolean =>
  error instanceof Error && 'code' in error && error.code === code;

function unavailable(sentence: string, cause?: unknown): SyncError {
  return new SyncError('STORE_UNAVAILABLE', sentence, { cause });
}

export const isOfDatabase = (file: string): boolean =>
  DATABASE_FILE.test(file) || /^(LOCK|LOG|LOG\.old)$/.test(file);

export const hasDatabase = async (folder: string): Promise<boolean> =>
  (await listFolder(folder)).some((file) => DATABASE_FILE.test(file));

/**
 * Rebuilds the database from the files that are there, on the admin's word alone: LevelDB moves what it can't read
 * to `lost/`. Which documents are whole is found when they are loaded.
 */
export async function repairDatabase(folder: string): Promise<void> {
  if (!(await hasDatabase(folder))) {
    throw unavailable(`The folder ${folder} holds no database; there is nothing to repair.`);
  }
  mustNotBeMoving(folder, await listFolder(folder));
  if (await isLocked(folder)) throw locked(folder);
  await ClassicLevel.repair(folder);
}
