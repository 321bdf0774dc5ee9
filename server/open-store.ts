/** The store that the options ask for: LevelDB, and nobody else knows that. */
import type { Config } from './config.js';
import type { Log } from './log.js';
import { readKeys, watchKeyFile } from './store/encryption/key-file.js';
import type { KeyRing } from './store/encryption/key-ring.js';
import { LevelStore } from './store/level/level-store.js';
import type { Store } from './store/store.js';

export function openStore(config: Config, log: Log, keys: KeyRing | undefined): Promise<LevelStore> {
  return LevelStore.open({
    folder: config.dataDir,
    keys,
    onProgress: (done, total) => log('migrating', { done, total }),
    patience: { slow: config.diskSlow, timeout: config.diskTimeout },
    onRetry: (error, delayMs) => log('storeRetry', { error, delayMs }),
  });
}

/** Finishes a change of keys that was under way, and takes up each later one; returns what ends it. */
export function followKeys(store: Store, config: Config, keys: KeyRing, log: Log): () => void {
  if (!(store instanceof LevelStore)) return () => {};
  const take = (ring: KeyRing): Promise<void> =>
    store.changeKeys(ring).then(() => log('keysInUse', { keys: [ring.current.id] }));
  const refused = (error: unknown): void => {
    if (store.state !== 'closed') log('keysRefused', { reason: reasonOf(error) });
  };
  void take(keys).catch(refused);
  if (config.encryptionKeyFile === '') return () => {};
  return watchKeyFile(config.encryptionKeyFile, () => {
    void Promise.resolve()
      .then(() => take(readKeys(config) ?? keys))
      .catch(refused);
  });
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
