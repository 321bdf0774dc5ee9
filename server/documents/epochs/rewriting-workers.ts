/** Large documents are written anew in a worker: it reads what is stored as a load does, and nobody else waits. */
import type { StoredDocument } from '../../store/store.js';
import { bytesOf } from '../compaction/stored-size.js';
import { WorkerTask } from '../worker-task.js';
import type { Anew } from './rewrite.js';

/** What the worker is told. */
export interface RewritingTask extends Pick<StoredDocument, 'updates' | 'memory'> {
  /** The Yjs client id under which the content is written anew. */
  readonly client: number;
}

/** So many at a time; the others wait. */
const AT_ONCE = 2;
const TIMEOUT = 120_000;
/** Memory of a worker, in bytes: this, and some for each byte that is stored: the old document, the new one, and that read again. */
const BASE_MEMORY = 96 * 2 ** 20;
const MEMORY_PER_BYTE = 96;

export class RewritingWorkers {
  readonly #atOnce: number;
  readonly #workers = new Set<WorkerTask<Anew>>();
  readonly #waiting: (() => void)[] = [];
  #underWay = 0;
  #isClosed = false;

  constructor(atOnce = AT_ONCE) {
    this.#atOnce = atOnce;
  }

  /** How many run now. */
  get underWay(): number {
    return this.#underWay;
  }

  /** Whether one that is asked for now begins at once. */
  get isFree(): boolean {
    return this.#underWay < this.#atOnce;
  }

  /**
   * Writes anew what `load` resolves with, when it is its turn; `null` where the worker fails, or the server stops.
   */
  async run(load: () => Promise<RewritingTask>): Promise<Anew | null> {
    if (this.#underWay >= this.#atOnce) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#underWay++;
    try {
      if (this.#isClosed) return null;
      const anew = await this.#outcome(await load());
      return this.#isClosed ? null : anew;
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

  async #outcome({ updates, memory, client }: RewritingTask): Promise<Anew | null> {
    if (this.#isClosed) return null;
    const limit = BASE_MEMORY + bytesOf(updates) * MEMORY_PER_BYTE;
    const task: RewritingTask = { updates, memory, client };
    const worker = new WorkerTask<Anew>('epochs/rewriting-worker', task, limit);
    this.#workers.add(worker);
    const anew = await worker.outcome(TIMEOUT);
    this.#workers.delete(worker);
    return anew;
  }
}
