/** What another tab has put in the place of all that was stored, and what this one makes before it has opened that (C9). */
import * as Y from 'yjs';
import { movedTo } from '../epochs/moved.js';
import type { NewChange } from '../local-store/store.js';
import { asideRow } from '../refused/refused-changes.js';
import type { PendingEntry } from './pending-changes.js';
import { madeOn, type Task } from './replica-task.js';
import { pendingRow } from './stored-bytes.js';

/** It may have nothing in common with the one in memory (P10): what is made here is stored as made on that one. */
export class FoundDocument {
  readonly doc = new Y.Doc();
  /** The server has erased the user, and the other tab was told. */
  readonly isErased: boolean;
  /** That this tab's document is to be opened anew. */
  isTold = false;

  constructor(isErased: boolean) {
    this.isErased = isErased;
  }

  /** Writes of the app. */
  rowsOf(tasks: readonly Task[]): NewChange[] {
    return tasks.flatMap((task) => madeOn(this.doc, task));
  }

  /** What is in memory only, since storage failed meanwhile; `mine`: the document in memory. */
  rowsAgain(unstored: readonly PendingEntry[], mine: Y.Doc, at: number): NewChange[] {
    const isSettled = ({ number, wasStored }: PendingEntry): boolean => !wasStored && Number.isFinite(number);
    const own = unstored.filter(isSettled);
    const whole = { number: 0, update: Y.encodeStateAsUpdate(mine), isPending: false };
    const rows = [whole, ...own.map((change) => ({ ...change, isPending: true }))];
    const next = { state: Y.encodeStateAsUpdate(this.doc), epoch: null };
    const { pending, refused } = movedTo(next, rows, at);
    for (const { update } of pending) Y.applyUpdate(this.doc, update); // the next write may be about it
    return [...pending.map(pendingRow), ...refused.map(asideRow)];
  }
}
