/** Another document is stored than the one in memory: what is made until that one is opened is stored with it (C9). */
import * as Y from 'yjs';
import type { PendingChange } from '../connection/sync-source.js';
import { movedTo } from '../epochs/moved.js';
import { ClientError } from '../errors.js';
import type { NewChange } from '../local-store/store.js';
import type { Clock } from '../platform/platform.js';
import { writesBetween } from '../records/record-write.js';
import { asideOf, asideRow } from '../refused/refused-changes.js';
import { placesOf } from '../refused/update-places.js';
import { PendingChanges, type PendingEntry } from './pending-changes.js';
import { madeOn, type Task } from './replica-task.js';
import { pendingRow } from './stored-bytes.js';

export interface FoundDocumentOptions {
  /** The document in memory. */
  readonly doc: Y.Doc;
  readonly clock: Clock;
}

/**
 * - `new`: another tab has put it there, and it may have nothing in common with the one in memory (P10): what is made
 *   there is made once more on this one
 * - `erased`: so it is, and says that the server has erased the user: what is made is set aside (C10)
 * - `former`: in memory are parts of a later one, whose rest is on its way: what is made there waits as it is
 */
export type FoundKind = 'new' | 'erased' | 'former';

export class FoundDocument {
  readonly doc = new Y.Doc();
  /** What waits there, whoever made it. */
  readonly pending = new PendingChanges();
  readonly kind: FoundKind;
  /** That the one in memory is to be opened anew. */
  isTold = false;
  readonly #options: FoundDocumentOptions;
  #asides = 0;

  constructor(kind: FoundKind, options: FoundDocumentOptions) {
    this.kind = kind;
    this.#options = options;
  }

  /** Writes of the app. */
  rowsOf(tasks: readonly Task[]): NewChange[] {
    return tasks.flatMap((task) => {
      if (task.pending === null) return [];
      if (this.kind === 'erased') return this.#setAside(task.pending);
      return this.kind === 'new' ? madeOn(this.doc, task) : this.#asItIs(task.pending);
    });
  }

  /** What is in memory only, since storage failed meanwhile. */
  rowsAgain(own: readonly PendingEntry[]): NewChange[] {
    if (this.kind === 'erased') return own.map((change) => this.#setAside(change));
    if (this.kind === 'former') return own.map((change) => this.#asItIs(change));
    const { doc, clock } = this.#options;
    const whole = { number: 0, update: Y.encodeStateAsUpdate(doc), isPending: false };
    const rows = [whole, ...own.map((change) => ({ ...change, isPending: true }))];
    const next = { state: Y.encodeStateAsUpdate(this.doc), epoch: null };
    const { pending, refused } = movedTo(next, rows, clock.now());
    // The next write may be about it.
    return [...pending.map((change) => this.#asItIs(change)), ...refused.map(asideRow)];
  }

  #asItIs(change: PendingChange): NewChange {
    Y.applyUpdate(this.doc, change.update);
    return pendingRow(change);
  }

  /** The Yjs client id is of this tab alone, and so are the keys: another tab may set something aside in this moment. */
  #setAside({ update }: PendingEntry): NewChange {
    const { doc, clock } = this.#options;
    const writes = writesBetween(null, doc, placesOf(doc, [update]));
    const refusal = { code: 'ERASED', reason: new ClientError('ERASED').message };
    return asideRow(asideOf(clock.now(), doc.clientID + this.#asides++, refusal, writes));
  }
}
