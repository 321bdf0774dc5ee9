import type { SyncError } from '../errors.js';
import type { DurableChange, Subscriber } from './changes.js';
import type { Safely } from './safely.js';

/** The connections that follow a document; a fault in one does not reach the others. */
export class Subscribers {
  readonly all = new Set<Subscriber>();
  readonly #safely: Safely;

  constructor(safely: Safely) {
    this.#safely = safely;
  }

  add(subscriber: Subscriber): void {
    this.all.add(subscriber);
  }

  delete(subscriber: Subscriber): void {
    this.all.delete(subscriber);
  }

  /** To those of `to` that are still there. */
  deliver(change: DurableChange, to: readonly Subscriber[]): void {
    for (const subscriber of to) if (this.all.has(subscriber)) this.#safely(() => subscriber.deliver(change));
  }

  fail(error: SyncError): void {
    for (const subscriber of [...this.all]) this.#safely(() => subscriber.fail(error));
  }
}
