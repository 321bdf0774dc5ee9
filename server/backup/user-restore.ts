/** What a backup has of one user. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DeviceId, UserId } from '../../shared/names.js';
import { OPERATOR } from '../access/access.js';
import { bringAllBack } from '../documents/bring-back.js';
import type { Origin } from '../documents/changes.js';
import { type PastRecords, pastRecords } from '../documents/history/past-records.js';
import type { DocumentRegistry } from '../documents/registry.js';
import { SyncError } from '../errors.js';
import type { KeyRing } from '../store/encryption/key-ring.js';
import { ownerOf } from '../store/level/key-owner.js';
import { LevelStore } from '../store/level/level-store.js';
import { makeDatabase, replacedFolder, replaceUser } from '../store/level/restoring.js';
import type { CopiedRow, Store } from '../store/store.js';
import { type Backup, rowsOf, verify } from './backup.js';
import { checkKeys } from './restore.js';

export interface UserTask {
  /** The folder of one backup. */
  readonly folder: string;
  readonly user: UserId;
  readonly keys: KeyRing | undefined;
}

/** The folder of a backup, and a time before it in ms since 1970, where it is not to be as in the backup. */
export interface UserBackup {
  readonly folder: string;
  readonly at: number | null;
}

export interface BroughtBack {
  readonly records: number;
  readonly changed: number;
}

const refused = (sentence: string, cause?: unknown): SyncError =>
  new SyncError('BACKUP_FAILED', sentence, { cause });

const isDamage = (error: unknown): boolean => error instanceof SyncError && error.code === 'DOCUMENT_CORRUPT';

interface Place {
  readonly store: Store;
  readonly registry: DocumentRegistry;
  readonly keys: KeyRing | undefined;
}

/** As new changes of the operator, which all devices get. */
export async function restoreUser(
  { store, registry, keys }: Place,
  user: UserId,
  { folder, at }: UserBackup,
): Promise<BroughtBack> {
  const { document, release } = await registry.open(user);
  try {
    const { tombstone } = await store.former(user);
    const images = await recordsIn({ folder, user, keys }, at, tombstone);
    const origin: Origin = {
      via: 'restore',
      device: 'backup' as DeviceId,
      actor: OPERATOR,
      subscriber: null,
    };
    return { records: images.size, changed: await bringAllBack(document, origin, images) };
  } finally {
    release();
  }
}

/** Rows of the user, and those of nobody. */
async function* rowsFor(backup: Backup, user: UserId): AsyncGenerator<readonly CopiedRow[]> {
  for await (const rows of rowsOf(backup))
    yield rows.filter(([key]) => {
      const owner = ownerOf(key);
      return owner === null || owner === user;
    });
}

/**
 * What the backup has of the user, opened in a folder of its own, and thereby in the format of this version and
 * encrypted where there are keys. What is damaged in it is no fault of the document that is stored by now.
 */
async function unpacked<T>(task: UserTask, look: (store: LevelStore) => Promise<T>): Promise<T> {
  const { folder, user, keys } = task;
  const backup = await verify(folder);
  checkKeys({ backup, keys });
  const beside = await mkdtemp(join(tmpdir(), 'telemed-sync-user-'));
  try {
    const data = join(beside, 'data');
    await makeDatabase(data, rowsFor(backup, user), new Map());
    const store = await LevelStore.open({ folder: data, keys });
    return await look(store).finally(() => store.close());
  } catch (error) {
    if (!isDamage(error)) throw error;
    throw refused(
      `What the backup ${folder} has of ${user} is damaged: nothing was changed. Name another backup.`,
      error,
    );
  } finally {
    await rm(beside, { recursive: true, force: true });
  }
}

/**
 * The records of the user as they were when the backup was made, or at a time before that, by the history.
 *
 * @param tombstone what is left of an erasure by now: what is from before it is not told
 */
function recordsIn(task: UserTask, at: number | null, tombstone: Uint8Array | null): Promise<PastRecords> {
  return unpacked(task, async (store) => {
    await mustBeOfNow(store, task.user, tombstone);
    return await pastRecords(store, task.user, at);
  });
}

async function mustBeOfNow(store: LevelStore, user: UserId, now: Uint8Array | null): Promise<void> {
  const then = (await store.former(user)).tombstone;
  if (now === null || (then !== null && Buffer.compare(then, now) === 0)) return;
  throw refused(
    `${user} was erased since the backup: nothing is brought back. Name a backup from after that.`,
  );
}

/**
 * Of a user whose document is damaged, in the database of a stopped server: all is as in the backup.
 *
 * @returns the folder of the database that what was there is in
 */
export async function replaceDamaged(task: UserTask, dataDir: string, now: number): Promise<string> {
  await mustBeDamaged(task, dataDir);
  const rows = await unpacked(task, (store) => rowsToPut(store, task));
  const keptIn = replacedFolder(dataDir, now);
  await replaceUser(dataDir, task.user, rows, keptIn);
  return keptIn;
}

async function mustBeDamaged({ user, keys }: UserTask, dataDir: string): Promise<void> {
  const store = await LevelStore.open({ folder: dataDir, keys });
  try {
    // Its mark names the current key from then on, which the rows of the backup need.
    if (keys !== undefined) await store.changeKeys(keys);
    const isWhole = await store.check(user).then(
      () => true,
      (error: unknown) => {
        if (isDamage(error)) return false;
        throw error;
      },
    );
    if (isWhole) throw refused(`The document of ${user} is not damaged: nothing was replaced.`);
  } finally {
    await store.close();
  }
}

/** All rows of the user as the database of now has them: in its format, under its current key. */
async function rowsToPut(store: LevelStore, { folder, user, keys }: UserTask): Promise<CopiedRow[]> {
  const { updates } = await store.load(user);
  if (updates.length === 0)
    throw refused(
      `The backup ${folder} has no document of ${user}: nothing was changed. Name another backup, or erase the user.`,
    );
  await pastRecords(store, user, null); // throws where it is whole, but can't be read
  if (keys !== undefined) await store.changeKeys(keys);
  const copy = await store.copy();
  const own: CopiedRow[] = [];
  for (let rows = await copy.next(); rows.length > 0; rows = await copy.next())
    own.push(...rows.filter(([key]) => ownerOf(key) === user));
  await copy.close();
  return own;
}
