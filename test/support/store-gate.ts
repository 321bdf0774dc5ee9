/** A store whose calls wait, or fail, when a test says so. */
import type { Store } from '../../server/store/store.js';

export interface Held {
  /** Resolves when the call was made. */
  readonly reached: Promise<void>;
  /** Lets it go on to the store. */
  readonly release: () => void;
}

function signal(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

/** Holds what a document asks the store for, by the name of the call, until a test lets it go. */
export class StoreGate {
  readonly #held = new Map<string, (call: () => unknown) => unknown>();

  /** The next call of this name, or its answer, waits until it is released. */
  hold(name: string, what: 'call' | 'answer' = 'call'): Held {
    const [reached, released] = [signal(), signal()];
    this.#held.set(name, async (call) => {
      const answer = what === 'answer' ? await call() : null;
      reached.resolve();
      await released.promise;
      return what === 'answer' ? answer : call();
    });
    return { reached: reached.promise, release: released.resolve };
  }

  /** The next call of this name fails. */
  fail(name: string, error: Error, how: 'throws' | 'rejects' = 'rejects'): void {
    this.#held.set(name, () => {
      if (how === 'throws') throw error;
      return Promise.reject(error);
    });
  }

  readonly around = (store: Store): Store =>
    new Proxy(store, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]) => {
          const held = this.#held.get(String(name));
          this.#held.delete(String(name));
          const call = () => Reflect.apply(value, target, args) as unknown;
          return held === undefined ? call() : held(call);
        };
      },
    });
}
