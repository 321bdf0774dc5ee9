/** The store that the options ask for: LevelDB, or PostgreSQL. */
import type { Config } from './config.js';
import type { Log } from './log.js';
import { VERSION } from './package-folder.js';
import { readKeys, watchKeyFile } from './store/encryption/key-file.js';
import type { KeyRing } from './store/encryption/key-ring.js';
import { hasDatabase } from './store/level/folder.js';
import { LevelStore } from './store/level/level-store.js';
import { isPlainFar } from './store/postgres/connection.js';
import { POSTGRES_PATIENCE, PostgresStore } from './store/postgres/postgres-store.js';
import type { Store } from './store/store.js';

/** After so many ms without an answer the store says that it is slow. */
export const slowAfter = ({ store, diskSlow }: Config): number =>
  store === '' ? diskSlow : POSTGRES_PATIENCE.slow;

export async function openStore(
  config: Config,
  log: Log,
  keys: KeyRing | undefined,
  onProgress: (done: number, total: number) => void,
): Promise<Store> {
  const onRetry = (error: unknown, delayMs: number): void => log('storeRetry', { error, delayMs });
  if (config.store !== '') {
    if (await isPlainFar(config.store)) log('storePlain', {});
    return await PostgresStore.open({
      url: config.store,
      address: config.clusterAddress,
      version: VERSION,
      keys,
      onRetry,
      onStale: (error) => log('storeFilesStay', { error }),
      onClock: (aheadMs) => log('clockDiffers', { aheadMs: Math.round(aheadMs) }),
    });
  }
  const store = await LevelStore.open({
    folder: config.dataDir,
    keys,
    restBudget: config.memoryBudget / 2,
    onProgress: (done, total) => {
      onProgress(done, total);
      log('migrating', { done, total });
    },
    onStaying: ({ path, error }) => log('leftoverStays', { path, error }),
    patience: { slow: config.diskSlow, timeout: config.diskTimeout },
    onRetry,
  });
  store.readAhead().catch(() => {}); // what fails here shows where it is needed
  return store;
}

/**
 * For commands: a folder that is named wrongly would be made, and nothing of anybody be found in it. A PostgreSQL has a
 * server already, whose place the command would take.
 */
export async function mustHaveStored({ dataDir, store }: Config): Promise<void> {
  if (store !== '')
    throw new Error(
      'STORE is a PostgreSQL, which this command does not open: take pg_dump and pg_restore for backups, and for single users /admin of a server that runs.',
    );
  if (!(await hasDatabase(dataDir)))
    throw new Error(`The folder ${dataDir} holds no database: set DATA_DIR to that of the server.`);
}

/** From one attempt to the next, in ms, where other servers are not ready for the new keys. */
const RETRY = 5_000;

/** Finishes a change of keys that was under way, and takes up each later one; returns what ends it. */
export function followKeys(store: Store, config: Config, keys: KeyRing, log: Log): () => void {
  if (store.changeKeys === undefined) return () => {};
  const change = store.changeKeys.bind(store);
  let wanted = (): KeyRing => keys;
  let [said, again]: [string, NodeJS.Timeout | undefined] = ['', undefined];
  const take = async (ringOf: () => KeyRing): Promise<void> => {
    wanted = ringOf;
    clearTimeout(again);
    try {
      const ring = ringOf();
      await change(ring);
      log('keysInUse', { keys: [ring.current.id] });
      said = '';
    } catch (error) {
      if (store.state === 'closed' || wanted !== ringOf) return;
      const reason = reasonOf(error);
      if (reason !== said) log('keysRefused', { reason });
      said = reason;
      again = setTimeout(() => void take(ringOf), RETRY).unref();
    }
  };
  void take(wanted);
  const { encryptionKeyFile: file } = config;
  const unwatch =
    file === '' ? () => {} : watchKeyFile(file, () => void take(() => readKeys(config) ?? keys));
  return () => {
    unwatch();
    clearTimeout(again);
  };
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
