/** What another tab has put in the place of all that was stored, and what this one makes before it has opened that (C9). */
import * as Y from 'yjs';
import { movedTo } from '../epochs/moved.js';
import { ClientError } from '../errors.js';
import type { NewChange } from '../local-store/store.js';
import type { Clock } from '../platform/platform.js';
import { writesBetween } from '../records/record-write.js';
import { asideOf, asideRow } from '../refused/refused-changes.js';
import { placesOf } from '../refused/update-places.js';
import type { PendingEntry } from './pending-changes.js';
import { madeOn, type Task } from './replica-task.js';
import { pendingRow } from './stored-bytes.js';

export interface FoundDocumentOptions {
  /** The document in memory. */
  readonly doc: Y.Doc;
  readonly clock: Clock;
}

/** It may have nothing in common with the one in memory (P10): what is made there is stored as made on this one. */
export class FoundDocument {
  readonly doc = new Y.Doc();
  /** The server has erased the user, as the other tab was told: what is made here is set aside (C10). */
  readonly isErased: boolean;
  /** That the one in memory is to be opened anew. */
  isTold = false;
  readonly #options: FoundDocumentOptions;
  #asides = 0;

  constructor(isErased: boolean, options: FoundDocumentOptions) {
    this.isErased = isErased;
    this.#options = options;
  }

  /** Writes of the app. */
  rowsOf(tasks: readonly Task[]): NewChange[] {
    if (this.isErased)
      return tasks.flatMap(({ pending }) => (pending === null ? [] : this.#setAside(pending)));
    return tasks.flatMap((task) => madeOn(this.doc, task));
  }

  /** What is in memory only, since storage failed meanwhile. */
  rowsAgain(unstored: readonly PendingEntry[]): NewChange[] {
    const { doc, clock } = this.#options;
    const isSettled = ({ number, wasStored }: PendingEntry): boolean => !wasStored && Number.isFinite(number);
    const own = unstored.filter(isSettled);
    if (this.isErased) return own.map((change) => this.#setAside(change));
    const whole = { number: 0, update: Y.encodeStateAsUpdate(doc), isPending: false };
    const rows = [whole, ...own.map((change) => ({ ...change, isPending: true }))];
    const next = { state: Y.encodeStateAsUpdate(this.doc), epoch: null };
    const { pending, refused } = movedTo(next, rows, clock.now());
    for (const { update } of pending) Y.applyUpdate(this.doc, update); // the next write may be about it
    return [...pending.map(pendingRow), ...refused.map(asideRow)];
  }

  /** The Yjs client id is of this tab alone, and so are the keys: another tab may set something aside in this moment. */
  #setAside({ update }: PendingEntry): NewChange {
    const { doc, clock } = this.#options;
    const writes = writesBetween(null, doc, placesOf(doc, [update]));
    const refusal = { code: 'ERASED', reason: new ClientError('ERASED').message };
    return asideRow(asideOf(clock.now(), doc.clientID + this.#asides++, refusal, writes));
  }
}
