/** How the stored updates of a document become one: at once where it is small, else in steps while it goes on. */
import * as Y from 'yjs';
import type { UserId } from '../../../shared/names.js';
import { type Snapshot, takesWork } from '../../store/store.js';
import type { Committer } from '../committer.js';
import type { DocumentOptions } from '../document-options.js';
import type { Gate } from '../gate.js';
import type { HistoryWindow } from '../history/history-window.js';
import { encodeInSteps } from '../loading/encode-in-steps.js';
import type { Slices } from '../loading/slices.js';
import type { Replica } from '../replica.js';
import type { ReplicaHolder } from '../replica-holder.js';
import type { Amount, CompactionSizes, StoredSize } from './stored-size.js';

/** Up to this size, in bytes, encoding takes no longer than a few small edits and is done at once. */
export const SMALL_DOCUMENT = 256 * 1_024;

/** A document that nobody changes is compacted when a tenth of what makes it due otherwise has come. */
export const REST_SHARE = 0.1;
/** Up to this size, in bytes, it is when it was changed at all. */
const CHEAP = 64 * 1_024;

export interface CompactionParts {
  readonly user: UserId;
  readonly committer: Committer;
  readonly gate: Gate;
  readonly replicas: ReplicaHolder;
  readonly size: StoredSize;
  readonly history: HistoryWindow;
}

/** What was read of a document in steps. */
interface Taken extends Pick<Snapshot, 'update' | 'stateVector'> {
  readonly of: Replica;
  readonly replaces: Amount;
}

export class DocumentCompaction {
  readonly #parts: CompactionParts;
  readonly #options: DocumentOptions;
  #underWay: Promise<void> | null = null;

  constructor(parts: CompactionParts, options: DocumentOptions) {
    this.#parts = parts;
    this.#options = options;
  }

  /** Whether it goes on in steps. */
  get isUnderWay(): boolean {
    return this.#underWay !== null;
  }

  /** Resolves when none goes on in steps. */
  get ended(): Promise<void> {
    return this.#underWay ?? Promise.resolve();
  }

  /** Updates that a load applies one by one. */
  get updates(): number {
    return this.#parts.size.updates;
  }

  /** When enough came since the last time; `share` of that is enough. */
  runIfDue(share = 1): void {
    if (this.#parts.size.isDue(this.#options, share)) this.run();
  }

  /**
   * Before the document rests: what was deleted must not be in what a device gets that has nothing. One that is large
   * is not written anew for that alone.
   */
  runForRest(): void {
    const { size } = this.#parts;
    if (size.bytes > CHEAP) this.runIfDue(REST_SHARE);
    else if (!size.isWhole) this.run(1);
  }

  /** At most one is under way, and none while the document is in work or has failed. */
  run(least = 2): void {
    const { size, gate, replicas, history } = this.#parts;
    if (size.updates < least || this.isUnderWay || !gate.isInOrder) return;
    const { slices } = this.#options;
    if (slices !== undefined && size.bytes > SMALL_DOCUMENT) {
      this.#underWay = this.#runInSteps(slices);
      return;
    }
    const snapshot = { ...replicas.current.snapshot(), revision: history.revision };
    this.#store(snapshot, size.replaceBy(snapshot.update));
  }

  /** What comes in meanwhile stays behind the snapshot. Where it fails, what is stored stays as it is. */
  async #runInSteps(slices: Slices): Promise<void> {
    const { user, size, gate, replicas } = this.#parts;
    const taken = await slices.run(user, this.#inSteps(), 'in the background').catch(() => null);
    this.#underWay = null;
    if (taken === null) {
      size.putOff();
      return;
    }
    gate.whenReady(() => {
      if (!gate.isInOrder) return;
      // A document that was left halfway was thrown away, and what was read of it must be, too. A store that takes
      // nothing would fail the document, which lost nothing.
      if (taken.of === replicas.current && takesWork(this.#options.store.state)) this.#storeTaken(taken);
      else size.putOff();
    });
  }

  /** Whatever is written between two steps, the oldest updates are those that were there at the first. */
  *#inSteps(): Generator<void, Taken> {
    const { size, replicas } = this.#parts;
    const { updates, bytes } = size;
    const of = replicas.current;
    const { update, clocks } = yield* encodeInSteps(of.doc, new Map());
    const stateVector = Y.encodeStateVector(new Map(clocks));
    return { update, stateVector, of, replaces: { updates, bytes } };
  }

  #storeTaken({ update, stateVector, replaces }: Taken): void {
    const sizes = this.#parts.size.replaceBy(update, replaces);
    this.#store({ update, stateVector, replaces: replaces.updates, revision: 0 }, sizes);
  }

  #store(snapshot: Snapshot, sizes: CompactionSizes): void {
    const { user, committer } = this.#parts;
    const stored = this.#options.store.compact(user, snapshot);
    committer.follow(stored, () => this.#options.onCompacted(user, sizes));
  }
}
