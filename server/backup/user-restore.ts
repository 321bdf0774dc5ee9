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
import { makeDatabase, replaceUser } from '../store/level/restoring.js';
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
 * The records of the user as they were when the backup was made, or at a time before that, by the history.
 *
 * @param tombstone what is left of an erasure by now: what is from before it is not told
 */
async function recordsIn(
  { folder, user, keys }: UserTask,
  at: number | null,
  tombstone: Uint8Array | null,
): Promise<PastRecords> {
  const backup = await verify(folder);
  checkKeys({ backup, keys });
  const beside = await mkdtemp(join(tmpdir(), 'telemed-sync-user-'));
  try {
    const data = join(beside, 'data');
    await makeDatabase(data, rowsFor(backup, user), new Map());
    const store = await LevelStore.open({ folder: data, keys });
    try {
      await mustBeOfNow(store, user, tombstone);
      return await pastRecords(store, user, at);
    } finally {
      await store.close();
    }
  } finally {
    await rm(beside, { recursive: true, force: true });
  }
}

async function mustBeOfNow(store: LevelStore, user: UserId, now: Uint8Array | null): Promise<void> {
  const then = (await store.former(user)).tombstone;
  if (now === null || (then !== null && Buffer.compare(then, now) === 0)) return;
  throw new SyncError(
    'BACKUP_FAILED',
    `${user} was erased since the backup: nothing is brought back. Name a backup from after that.`,
  );
}

/** Of a user whose document is damaged, in the database of a stopped server: all is as in the backup. */
export async function replaceDamaged({ folder, user, keys }: UserTask, dataDir: string): Promise<void> {
  const backup = await verify(folder);
  checkKeys({ backup, keys });
  const rows: CopiedRow[] = [];
  for await (const some of rowsOf(backup)) rows.push(...some.filter(([key]) => ownerOf(key) === user));
  await replaceUser(dataDir, user, rows);
}
