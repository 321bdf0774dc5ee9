/** Carries tasks out on the document in memory, and notes what each of them did to it. It knows no store. */
import * as Y from 'yjs';
import { rowsOf } from '../epochs/moved.js';
import type { StoreNews } from '../local-store/store.js';
import { bringBack } from './created-apart.js';
import type { PendingChanges } from './pending-changes.js';
import type { Origin, Task } from './replica-task.js';

export interface TaskRunnerEvents {
  /** Yjs has ended all that it began. */
  onIdle(): void;
  /** Yjs could not end what it began, and swallows every later change. */
  onStuck(): void;
}

export class TaskRunner {
  readonly #doc: Y.Doc;
  readonly #pending: PendingChanges;
  readonly #events: TaskRunnerEvents;
  /** Which task a transaction belongs to: a listener that one write calls may make the next write inside it. */
  readonly #taskOf = new WeakMap<Y.Transaction, Task>();
  #isIdle = true;

  /** A write of the app is noted in `pending` as it is made. */
  constructor(doc: Y.Doc, pending: PendingChanges, events: TaskRunnerEvents) {
    this.#doc = doc;
    this.#pending = pending;
    this.#events = events;
    doc.on('update', (update: Uint8Array, origin: Origin, _: Y.Doc, transaction: Y.Transaction) => {
      const task = this.#taskOf.get(transaction);
      if (origin !== 'stored' && task !== undefined) this.#note(task, update);
    });
    doc.on('beforeAllTransactions', () => {
      this.#isIdle = false;
    });
    doc.on('afterAllTransactions', () => {
      this.#isIdle = true;
      events.onIdle();
    });
  }

  /** No transaction is under way. */
  get isIdle(): boolean {
    return this.#isIdle;
  }

  run(task: Task): void {
    try {
      this.#transact(task);
    } catch (error) {
      task.reject(error);
      if (task.origin === 'remote')
        task.update = null; // it was applied in part: nothing of it is stored, since the server has the whole
      else if (!this.#isIdle) this.#events.onStuck();
    }
  }

  /**
   * Another tab has written what these writes did not know of: they are made again, and what the other tab created
   * and Yjs dropped for it comes back (D4).
   */
  runAgain(tasks: readonly Task[], { changes }: StoreNews): void {
    const written = tasks.filter(({ pending }) => pending !== null);
    const last = written[written.length - 1];
    const others = rowsOf({ changes: changes.filter(({ pending }) => pending) }).map(({ update }) => update);
    if (last === undefined || others.length === 0) return;
    for (const task of written) this.#again(task);
    this.#again(last, (doc) => bringBack(doc, others));
  }

  #again(task: Task, change = task.change): void {
    try {
      this.#transact(task, change);
    } catch {
      // Another tab has deleted the record, say, or a row can't be read: what the write did the first time stands.
    }
  }

  #transact(task: Task, change = task.change): void {
    this.#doc.transact((transaction) => {
      this.#taskOf.set(transaction, task);
      change(this.#doc);
    }, task.origin);
  }

  #note(task: Task, update: Uint8Array): void {
    task.update = task.update === null ? update : Y.mergeUpdates([task.update, update]);
    if (task.origin !== 'local') return;
    if (task.pending === null) task.pending = this.#pending.begin(task.update, task.at);
    else task.pending.update = task.update;
  }
}
