/** What was accepted and is not durable yet, of all users together: beyond a bound nothing more is read (P8). */
import type { Commit } from '../../store/store.js';

/**
 * What is held of a small change until it is durable, in bytes: its message, the record before and after, what waits
 * for it.
 */
const OVERHEAD = 16 * 1024;
export const MAX_BACKLOG = 64 * 1024 * 1024;

export class Backlog {
  readonly #max: number;
  #bytes = 0;
  #waiting: (() => void)[] = [];

  constructor(max = MAX_BACKLOG) {
    this.#max = max;
  }

  get isFull(): boolean {
    return this.#bytes >= this.#max;
  }

  /** A change was handed to the store; what this returns is to be called once it is durable, or has failed. */
  add(commit: Commit): () => void {
    const size = sizeOf(commit);
    this.#bytes += size;
    return () => {
      this.#bytes -= size;
      if (!this.isFull) for (const task of this.#waiting.splice(0)) task();
    };
  }

  /** Runs `task` when there is room again. */
  whenRoom(task: () => void): void {
    if (this.isFull) this.#waiting.push(task);
    else task();
  }
}

function sizeOf({ update, history = [], memory, devices }: Commit): number {
  let size = OVERHEAD + (update?.length ?? 0) + (memory?.length ?? 0);
  for (const { length } of history) size += length;
  for (const state of devices?.values() ?? []) size += state?.length ?? 0;
  return size;
}
