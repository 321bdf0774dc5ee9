/**
 * Hands what changed to the store, each change with its history in one commit. Once that is durable, subscribers and
 * all who wait for it are told (N3); when it can't be, the document has failed for good.
 */
import type { UserId } from '../../shared/names.js';
import { notSaved, type SyncError } from '../errors.js';
import { type Commit, takesWork } from '../store/store.js';
import { durableChange, type Origin, type Written } from './changes.js';
import { CommitQueue } from './commit-queue.js';
import type { StoredSize } from './compaction/stored-size.js';
import type { DocumentOptions } from './document-options.js';
import { encodeEntry, type HistoryEntry } from './history/history-entry.js';
import type { HistoryWindow, TimesMade } from './history/history-window.js';
import type { DeviceStates } from './json-devices/devices.js';
import type { Safely } from './safely.js';
import type { Subscribers } from './subscribers.js';
import type { UserTurns } from './turns/user-turns.js';

/** Of one document: what becomes part of a commit, and the connections that are told of it. */
export interface CommitterParts {
  readonly user: UserId;
  readonly safely: Safely;
  readonly turns: UserTurns;
  readonly history: HistoryWindow;
  readonly devices: DeviceStates;
  readonly subscribers: Subscribers;
  readonly size: StoredSize;
}

export class Committer {
  readonly #parts: CommitterParts;
  readonly #options: DocumentOptions;
  readonly #queue: CommitQueue;
  readonly #failed: (() => void)[] = [];
  #failure: SyncError | null = null;

  constructor(parts: CommitterParts, options: DocumentOptions) {
    this.#parts = parts;
    this.#options = options;
    this.#queue = new CommitQueue(parts.safely, parts.turns);
  }

  get failure(): SyncError | null {
    return this.#failure;
  }

  /** Whether everything is durable. */
  get isIdle(): boolean {
    return this.#queue.isEmpty;
  }

  /** Returns the changes of records as entries of the history; throws when the document has failed. */
  commit(origin: Origin, written: Written, made?: TimesMade): readonly HistoryEntry[] {
    const { update, memory } = written;
    const { history, devices, subscribers, size } = this.#parts;
    if (this.#failure !== null) throw this.#failure;
    if (update === null) {
      if (memory !== undefined) this.#store({ update, revision: history.revision, memory });
      return [];
    }
    const now = this.#options.now();
    const overruled = history.enterOverruled(written.lost, origin, now, made?.get('')?.madeAt ?? now);
    const entries = history.enter(written.records, origin, now, made);
    history.trim(now, () => devices.liveFrom(now));
    size.add(update);
    const change = durableChange(origin, history.revision, written, entries);
    // A connection that joins from here on gets this change in its first sync; it must not come before that (N2, L1).
    const audience = [...subscribers.all];
    const encoded = (overruled.length === 0 ? entries : [...overruled, ...entries]).map(encodeEntry);
    const { revision } = history;
    this.#store({ update, revision, memory, history: encoded, devices: devices.take(now, 'due') }, () => {
      this.#options.onSaved?.(this.#parts.user, change);
      subscribers.deliver(change, audience);
    });
    return entries;
  }

  /** Makes durable what must not wait for the next change, or all that is not durable yet, of the devices. */
  saveDevices(which: 'urgent' | 'all'): void {
    const { devices, history } = this.#parts;
    // An empty document shows a device nothing that would have to be remembered.
    if (this.#failure !== null || history.revision === 0) return;
    // While the store takes no commits, devices that only read go on; their states are saved with the next change.
    if (!takesWork(this.#options.store.state)) return;
    if (which === 'urgent' && !devices.hasUrgent) return;
    const taken = devices.take(this.#options.now(), which === 'all' ? 'all' : 'due');
    if (taken !== undefined) this.#store({ update: null, revision: history.revision, devices: taken });
  }

  #store(commit: Commit, done?: () => void): void {
    this.follow(this.#options.store.commit(this.#parts.user, commit), done);
  }

  /** Counts what was handed to the store as a commit: `done` is called when it is durable. */
  follow(commit: Promise<void>, done: () => void = () => {}): void {
    this.#queue.add({ done });
    commit.then(this.#saved, this.#notSaved);
  }

  readonly #saved = (): void => this.#queue.settle();
  readonly #notSaved = (error: unknown): void => this.fail(notSaved(error));

  /** Calls `done` once everything so far is durable; in the order of the calls. */
  afterDurable(done: () => void, failed?: (error: SyncError) => void): void {
    if (this.#failure !== null) failed?.(this.#failure);
    else this.#queue.after({ done, failed });
  }

  /** The same, where content is shown: another server may have the user by now, and changed the document (N2). */
  afterConfirmed(done: () => void, failed?: (error: SyncError) => void): void {
    const { store } = this.#options;
    if (this.#failure === null && store.confirm !== undefined) this.follow(store.confirm(this.#parts.user));
    this.afterDurable(done, failed);
  }

  allDurable = (): Promise<void> => new Promise((done, failed) => this.#queue.after({ done, failed }));

  /** Calls `failed` when the document has failed, after subscribers and all who wait were told. */
  onFailure(failed: () => void): void {
    this.#failed.push(failed);
  }

  /** Nothing after the last durable commit may be shown: every connection is told to start anew. */
  fail(error: SyncError): void {
    if (this.#failure !== null) return;
    this.#failure = error;
    this.#options.onFailed(this.#parts.user, error);
    this.#queue.fail(error);
    this.#parts.subscribers.fail(error);
    for (const failed of this.#failed) failed();
  }
}
