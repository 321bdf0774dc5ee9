/** What is open before the server is, and is closed after it. */
import { Access } from './access/access.js';
import { Backups } from './backup/backups.js';
import { ServerClock, SYSTEM_TIME, type TimeSource } from './clock.js';
import { type Cluster, clusterOf } from './cluster/cluster.js';
import type { Config } from './config.js';
import type { Log } from './log.js';
import { followKeys, openStore } from './open-store.js';
import { AccessMarks, tightenModes } from './start-checks.js';
import { readKeys } from './store/encryption/key-file.js';
import type { Store } from './store/store.js';

export interface Foundation {
  readonly access: Access;
  readonly store: Store;
  readonly clock: ServerClock;
  readonly marks: AccessMarks;
  readonly backups: Backups;
  /** `null` for a server that is alone. */
  readonly cluster: Cluster | null;
  readonly endKeys: () => void;
}

export interface FoundationParts {
  /** Instead of the one that the options ask for. */
  readonly store?: Store | undefined;
  readonly time?: TimeSource | undefined;
  /** Called with how many documents of how many are done, while the database gets the form of this version, or is encrypted. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** Rejects with a sentence that names the cause and the cure. */
export async function openFoundation(
  config: Config,
  log: Log,
  { store: given, time = SYSTEM_TIME, onProgress = () => {} }: FoundationParts,
): Promise<Foundation> {
  const clock = new ServerClock(time, ({ clock, expected }) =>
    log('clockDoubted', { clock: dateOf(clock), expected: dateOf(expected) }),
  );
  const access = await Access.create(config, clock.now, clock);
  const keys = given === undefined ? readKeys(config) : undefined;
  const store = given ?? (await openStore(config, log, keys, onProgress));
  let marks: AccessMarks;
  let cluster: Cluster | null;
  const backups = new Backups({ store, dataDir: config.dataDir, now: clock.now, log });
  try {
    cluster = clusterOf(store, { config, log, now: clock.now, uptime: clock.uptime });
    await clock.open(store, config.confirmClock);
    const trail = await access.open(store.revocations); // after the store, which owns the folder by now
    if (trail !== null) log('auditOpened', trail);
    marks = new AccessMarks(access, store, config.clusterAddress);
    await marks.compare(config, log);
    await backups.open();
    await marks.note().catch(() => {}); // where the store fails, it says so itself
    await tightenModes(config, log, given === undefined && config.store === '');
  } catch (error) {
    await store.close();
    throw error;
  }
  const endKeys = keys === undefined ? () => {} : followKeys(store, config, keys, log);
  return { access, store, clock, marks, backups, cluster, endKeys };
}

const dateOf = (time: number): string => new Date(time).toISOString();

/** How far the clock and the access are, for the next start; where the store fails, the next time tells. */
export async function saveNotes({ clock, store, marks }: Foundation): Promise<void> {
  await Promise.allSettled([clock.save(store), marks.note()]);
}

export async function closeFoundation(foundation: Foundation): Promise<void> {
  await saveNotes(foundation);
  await Promise.all([foundation.access.close(), foundation.store.close()]);
  await foundation.cluster?.close();
}
