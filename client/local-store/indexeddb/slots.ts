import type { SlotClaim } from '../store.js';

/** So many tabs of one browser have a slot; others go without. */
const SLOTS = 16;

/** The first slot that no other tab holds; null where there is none, or tabs can't be told apart. */
export async function claimSlot(name: string): Promise<SlotClaim | null> {
  const locks = globalThis.navigator?.locks;
  for (let slot = 0; locks !== undefined && slot < SLOTS; slot++) {
    const release = await lockOf(locks, `${name}/${slot}`);
    if (release !== null) return { slot, release };
  }
  return null;
}

/** The lock is held until it is released, or the tab ends. */
function lockOf(locks: LockManager, name: string): Promise<(() => void) | null> {
  return new Promise((resolve, reject) => {
    const held = locks.request(name, { ifAvailable: true }, (lock) => {
      if (lock === null) return resolve(null);
      return new Promise<void>((release) => resolve(release));
    });
    held.catch(reject);
  });
}
