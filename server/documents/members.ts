import type { SyncError } from '../errors.js';
import type { DurableChange, Member } from './changes.js';

/** The connections that follow a document; a fault in one does not reach the others. */
export class Members {
  readonly all = new Set<Member>();
  readonly #safely: (action: () => void) => void;

  constructor(safely: (action: () => void) => void) {
    this.#safely = safely;
  }

  add(member: Member): void {
    this.all.add(member);
  }

  delete(member: Member): void {
    this.all.delete(member);
  }

  /** To those of `to` that are still there. */
  deliver(change: DurableChange, to: readonly Member[]): void {
    for (const member of to) if (this.all.has(member)) this.#safely(() => member.deliver(change));
  }

  fail(error: SyncError): void {
    for (const member of [...this.all]) this.#safely(() => member.fail(error));
  }
}
