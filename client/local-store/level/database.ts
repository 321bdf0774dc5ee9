/** Opens, repairs and deletes the LevelDB database of a user. */
import { rm } from 'node:fs/promises';
import { ClassicLevel } from '../../platform/node-packages.js';
import { corrupt, unavailable } from '../failures.js';
import { endRebuild, isDamaged, listFolder, rebuild, removeAsides } from './repair.js';

export type Database = ClassicLevel<string, Uint8Array>;

const databaseAt = (location: string): Database =>
  new ClassicLevel(location, { keyEncoding: 'utf8', valueEncoding: 'view' });

/** LevelDB makes the first two before there is a database, and ends with a file CURRENT that names the manifest. */
const NO_DATA = /^(LOCK|LOG|LOG\.old|MANIFEST-000001|000001\.dbtmp)$/;

/** Creates a database only where there certainly is none: LevelDB takes one without CURRENT for none. */
export async function openDatabase(location: string): Promise<Database> {
  const files = await listFolder(location);
  const createIfMissing = files.every((file) => NO_DATA.test(file));
  if (!createIfMissing && !files.includes('CURRENT')) throw corrupt('The database has no file CURRENT.');
  const db = databaseAt(location);
  try {
    await db.open({ createIfMissing });
    return db;
  } catch (error) {
    throw isLocked(error) ? inUse(location, error) : error;
  }
}

export interface Opened {
  readonly db: Database;
  /** Something of it was damaged, and is set aside. */
  readonly isDamaged: boolean;
}

/** Opens it with what is whole in it, whatever happened to its files (C12). */
export async function openMended(location: string): Promise<Opened> {
  await endRebuild(location);
  if (await isDamaged(location)) return { db: await openRebuilt(location), isDamaged: true };
  try {
    return { db: await openDatabase(location), isDamaged: false };
  } catch (error) {
    if (!isDamage(error)) throw error;
  }
  return { db: await openRebuilt(location), isDamaged: true };
}

/** What can't be read stays beside it; what the server has of that is fetched again. */
export async function openRebuilt(location: string): Promise<Database> {
  await refuseInUse(location);
  await rebuild(location);
  return openDatabase(location);
}

/** Deletes a database in whatever state it is, but not one that another process has open. */
export async function removeDatabase(location: string): Promise<void> {
  await refuseInUse(location);
  await rm(location, { recursive: true, force: true });
  await removeAsides(location);
}

/** Takes the lock for a moment, and leaves the database as it is. */
async function refuseInUse(location: string): Promise<void> {
  const db = databaseAt(location);
  await db.open({ createIfMissing: false, errorIfExists: true }).catch((error: unknown) => {
    if (isLocked(error)) throw inUse(location, error);
  });
  await db.close();
}

const inUse = (location: string, cause: unknown) =>
  unavailable(`The folder ${location} is in use by another process: stop that one first.`, cause);

const causeOf = (error: unknown): { readonly code?: unknown; readonly message?: unknown } =>
  error instanceof Error && error.cause instanceof Error ? error.cause : {};

const isLocked = (error: unknown): boolean => causeOf(error).code === 'LEVEL_LOCKED';

/** What a repair may mend: not a disk that is full, or that fails. */
export function isDamage(error: unknown): boolean {
  const codes = [error, causeOf(error)].map((each) => (each as { readonly code?: unknown }).code);
  const isGone = /No such file|NotFound/i.test(String(causeOf(error).message));
  return (
    isGone ||
    codes.some((code) => code === 'CORRUPT' || code === 'LEVEL_CORRUPTION' || code === 'LEVEL_NOT_FOUND')
  );
}
