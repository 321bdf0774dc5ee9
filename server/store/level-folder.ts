import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ClassicLevel } from 'classic-level';
import { SyncError } from '../../shared/errors.js';
import type { Database } from './level-database.js';
import { findLogDamage } from './level-log.js';

const DATABASE_FILE = /^(CURRENT|MANIFEST-\d+|\d+\.(log|ldb|sst|dbtmp))$/;
/** LevelDB makes these before it knows whether there is a database; file systems put `lost+found` into a root. */
const NO_DATA = /^(LOCK|LOG|LOG\.old|lost\+found)$/;
/** What is there when the process ended while it created a database, before anything could be saved. */
const UNFINISHED = /^(MANIFEST-000001|000001\.dbtmp)$/;
const REPAIR = 'restore the folder from a backup, or run `npm run repair -- DATA_DIR`';

/**
 * Opens the database of a folder; creates one only where there is certainly none yet. Rejects with a sentence that
 * names the cause and the cure, and changes nothing then.
 */
export async function openDatabase(folder: string): Promise<Database> {
  const createIfMissing = await inspect(folder);
  const db: Database = new ClassicLevel(folder, { keyEncoding: 'view', valueEncoding: 'view' });
  try {
    await db.open({ createIfMissing });
    return db;
  } catch (error) {
    throw openFailure(folder, error);
  }
}

/** Whether a database may be created in the folder; throws when one is damaged, or when the folder is another's. */
async function inspect(folder: string): Promise<boolean> {
  const files = (await listFolder(folder)).filter((file) => !NO_DATA.test(file));
  if (files.every((file) => UNFINISHED.test(file))) return true;
  if (!files.some((file) => DATABASE_FILE.test(file))) {
    throw unavailable(`The folder ${folder} holds other files but no database; name an empty folder.`);
  }
  if (!files.includes('CURRENT')) {
    throw unavailable(`The database in ${folder} is damaged, its file CURRENT is missing: ${REPAIR}.`);
  }
  if (!(await isLocked(folder))) await checkLogs(folder, files);
  return false;
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

/** LevelDB names its second manifest only once it has a log: without one, what was saved last is gone. */
async function checkLogs(folder: string, files: string[]): Promise<void> {
  const current = (await readFile(join(folder, 'CURRENT'), 'utf8')).trim();
  if (current !== 'MANIFEST-000001' && !files.some((name) => name.endsWith('.log'))) {
    throw unavailable(`The database in ${folder} is damaged, its log file is missing: ${REPAIR}.`);
  }
  for (const file of files.filter((name) => name.endsWith('.log'))) {
    const damage = findLogDamage(await readFile(join(folder, file)));
    if (damage === null) continue;
    throw unavailable(
      `The database in ${folder} is damaged, ${file} at byte ${damage}: ${REPAIR}. Opened as it is, it would lose saved changes.`,
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
    return hasCode(causeOf(error), 'LEVEL_LOCKED');
  }
}

function openFailure(folder: string, error: unknown): SyncError {
  const cause = causeOf(error);
  if (hasCode(cause, 'LEVEL_LOCKED')) return locked(folder, cause);
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

/**
 * Rebuilds the database from the files that are there, on the admin's word alone: LevelDB moves what it can't read
 * to `lost/`. Which documents are whole is found when they are loaded.
 */
export async function repairDatabase(folder: string): Promise<void> {
  const files = await listFolder(folder);
  if (!files.some((file) => DATABASE_FILE.test(file))) {
    throw unavailable(`The folder ${folder} holds no database; there is nothing to repair.`);
  }
  if (await isLocked(folder)) throw locked(folder);
  await ClassicLevel.repair(folder);
}
