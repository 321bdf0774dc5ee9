/**
 * Large documents are compacted in a worker: it reads what is stored as a load does, and encodes it as one update.
 * Nobody waits meanwhile, and what the document gets in the meantime stays beside the snapshot.
 */
import type { Snapshot, StoredDocument } from '../../store/store.js';
import { WorkerTask } from '../worker-task.js';
import { bytesOf } from './stored-size.js';

/** Up to this size, in bytes, encoding takes no longer than a few small edits and is done at once. */
export const SMALL_DOCUMENT = 256 * 1_024;

/** What the worker is told. */
export interface CompactionTask extends Pick<StoredDocument, 'updates' | 'memory'> {
  /** The content is written anew under this Yjs client id (P10). */
  readonly rewriteAs?: number;
}
/** What it answers. */
export type Compacted = Pick<Snapshot, 'update' | 'stateVector'>;
/** With what it was made of. */
export type CompactedOf<Loaded> = Compacted & { readonly of: Loaded };

/** So many at a time; the others wait. */
const AT_ONCE = 2;
const TIMEOUT = 120_000;
/** Memory of a worker, in bytes: this, and some for each byte that is stored. */
const BASE_MEMORY = 96 * 2 ** 20;
const MEMORY_PER_BYTE = 24;
/** So many times as much where the content is written anew: the old document, the new one, and that read again. */
const REWRITE_FACTOR = 4;

export class Compactions {
  readonly #atOnce: number;
  readonly #workers = new Set<WorkerTask<Compacted>>();
  readonly #waiting: (() => void)[] = [];
  #underWay = 0;
  #isClosed = false;

  constructor(atOnce = AT_ONCE) {
    this.#atOnce = atOnce;
  }

  /** Compactions that run now. */
  get underWay(): number {
    return this.#underWay;
  }

  /** Whether one that is asked for now begins at once. */
  get isFree(): boolean {
    return this.#underWay < this.#atOnce;
  }

  /**
   * Makes one update of what `load` resolves with, when it is its turn; `null` where the worker fails, or the server
   * stops.
   */
  async run<Loaded extends CompactionTask>(load: () => Promise<Loaded>): Promise<CompactedOf<Loaded> | null> {
    if (this.#underWay >= this.#atOnce) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#underWay++;
    try {
      if (this.#isClosed) return null;
      const of = await load();
      const compacted = await this.#compact(of);
      return compacted === null || this.#isClosed ? null : { ...compacted, of };
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#underWay--;
      else next();
    }
  }

  /** Ends those that are under way; what is stored stays as it is. */
  close(): void {
    this.#isClosed = true;
    for (const worker of this.#workers) worker.end();
  }

  async #compact({ updates, memory, rewriteAs }: CompactionTask): Promise<Compacted | null> {
    if (this.#isClosed) return null;
    const factor = rewriteAs === undefined ? 1 : REWRITE_FACTOR;
    const limit = BASE_MEMORY + bytesOf(updates) * MEMORY_PER_BYTE * factor;
    const task: CompactionTask = { updates, memory, ...(rewriteAs !== undefined && { rewriteAs }) };
    const worker = new WorkerTask<Compacted>('compaction/worker', task, limit);
    this.#workers.add(worker);
    const compacted = await worker.outcome(TIMEOUT);
    this.#workers.delete(worker);
    return compacted;
  }
}
