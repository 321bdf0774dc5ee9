/** Documents that are woken: so many at once that the store can answer each in time, the others behind them (P8). */
import { SyncError } from '../../errors.js';
import type { Store } from '../../store/store.js';

const AT_ONCE = 100;

interface Waiting {
  readonly go: () => void;
  readonly fail: (error: SyncError) => void;
}

export class Wakes {
  readonly #store: Pick<Store, 'state'>;
  readonly #waiting: Waiting[] = [];
  #underWay = 0;

  constructor(store: Pick<Store, 'state'>) {
    this.#store = store;
  }

  /** Where the store does not answer, nobody waits in the queue for that to show once more. */
  async run<T>(load: () => Promise<T>): Promise<T> {
    if (this.#underWay >= AT_ONCE) {
      await new Promise<void>((go, fail) => this.#waiting.push({ go, fail }));
    } else this.#underWay++;
    try {
      return await load();
    } catch (error) {
      const isUnavailable = error instanceof SyncError && error.code === 'STORE_UNAVAILABLE';
      if (isUnavailable && this.#store.state !== 'ready')
        for (const { fail } of this.#waiting.splice(0)) fail(error);
      throw error;
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#underWay--;
      else next.go();
    }
  }
}
