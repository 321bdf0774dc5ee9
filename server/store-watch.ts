/** What is counted and told of a store while it works. */
import type { Backlog } from './documents/turns/backlog.js';
import type { Log } from './log.js';
import type { Metrics } from './metrics.js';
import type { Store } from './store/store.js';

/** The same store, whose commits are counted and timed, and held against the backlog; its promises stay the same, since their order counts. */
export function followCommits(store: Store, metrics: Metrics, backlog: Backlog): Store {
  const commit: Store['commit'] = (user, change) => {
    const began = performance.now();
    const committed = store.commit(user, change);
    const settled = backlog.add(change);
    committed.then(
      () => {
        settled();
        metrics.commits.add('saved');
        metrics.commitTime.observe((performance.now() - began) / 1_000);
      },
      () => {
        settled();
        metrics.commits.add('failed');
      },
    );
    return committed;
  };
  // Bound once, not at each call: several are made for whoever connects.
  const bound = new Map<PropertyKey, { readonly value: unknown; readonly method: unknown }>();
  return new Proxy(store, {
    get(target, name) {
      if (name === 'commit') return commit;
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      const known = bound.get(name);
      if (known?.value === value) return known.method;
      const method: unknown = value.bind(target);
      bound.set(name, { value, method });
      return method;
    },
  });
}

/** @param slowAfter after so many ms the store says that it is slow */
export function logStore(store: Store, log: Log, slowAfter: number): void {
  let failedAt: number | null = null;
  store.onState((state, cause) => {
    const now = performance.now();
    if (state === 'slow') log('storeSlow', { afterMs: slowAfter });
    if (state === 'reopening') log('storeFailed', { error: cause });
    if (state === 'ready' && failedAt !== null) {
      log('storeRecovered', { afterMs: Math.round(now - failedAt) });
      failedAt = null;
    } else if (state !== 'ready') failedAt ??= now;
  });
}
