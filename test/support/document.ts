import { onTestFinished } from 'vitest';
import { Slices } from '../../server/documents/loading/slices.js';
import { DocumentRegistry, type RegistryOptions } from '../../server/documents/registry.js';
import { FollowedDocument, type FollowedOptions } from '../../server/documents/sleep/followed-document.js';
import type { UserDocument } from '../../server/documents/user-document.js';
import { MemoryStore } from '../../server/store/memory/memory-store.js';
import type { Store } from '../../server/store/store.js';
import type { UserId } from '../../shared/names.js';

const followed = new WeakMap<UserDocument, FollowedDocument>();

/** What it is made with, where it is not the registry that makes it; what it is opened by is left out. */
export const followedOptions = (store: Store): Omit<FollowedOptions, 'open'> => ({
  store,
  safely: (action) => action(),
  devices: {
    store,
    safely: (action) => action(),
    now: () => 0,
    maxDevices: Number.POSITIVE_INFINITY,
    isErasing: () => false,
  },
  isInUse: () => false,
  onViewDamaged: () => {},
  onEnd: () => {},
});

/** The document as sessions follow it: all of them the same one, which is awake for good. */
export function followedOf(document: UserDocument): FollowedDocument {
  const known = followed.get(document);
  if (known !== undefined) return known;
  const hold = { document, isSole: false, release: () => {}, letGo: () => {} };
  const made = new FollowedDocument(document.user, hold, {
    ...followedOptions(new MemoryStore()),
    open: async () => hold,
    isInUse: () => true,
  });
  followed.set(document, made);
  return made;
}

/** Documents without sockets around them, for the time of one test. */
export function registryOf(store: Store, options: Partial<RegistryOptions> = {}): DocumentRegistry {
  const registry = new DocumentRegistry({
    store,
    idleTimeout: 1_000,
    maxDepth: 64,
    compactUpdates: 1_000,
    compactBytes: 1e6,
    keepFor: 86_400_000,
    historyDays: 90,
    onHistoryDamaged: () => {},
    now: () => 0,
    randomId: () => 1_000_000,
    onFailed: () => {},
    onRebuilt: () => {},
    onCompacted: () => {},
    onUnexpected: (error) => {
      throw error;
    },
    slices: new Slices({ turn: 0 }), // in a turn one step, on a fast machine as on a slow one
    ...options,
  });
  onTestFinished(() => registry.close());
  return registry;
}

/** The same of one user. */
export async function openDocument(
  store: Store,
  user = 'anna',
  options: Partial<RegistryOptions> = {},
): Promise<UserDocument> {
  return (await registryOf(store, options).open(user as UserId)).document;
}
