/** Updates of one connection that build on changes which are still missing, and the checkpoints that came after them. */
import type { MadeAt } from '../../documents/later-wins/made-at.js';
import { SyncError } from '../../errors.js';
import type { Dependency } from '../../protocol/missing.js';
import type { YjsMessage } from '../../protocol/yjs.js';

export interface WaitingUpdate {
  readonly update: Uint8Array;
  readonly missing: Dependency;
  readonly since: number;
  readonly madeAt: MadeAt;
}

/** As it came. */
export interface Checkpoint {
  readonly message: Extract<YjsMessage, { type: 'checkpoint' }>;
  readonly arrivedAt: number;
}

/** Updates that may wait on one connection; y-websocket has one or two before it answers our SyncStep1. */
const MAX_WAITING = 1_000;

export class WaitingUpdates {
  readonly checkpoints: Checkpoint[] = [];
  readonly #updates: WaitingUpdate[] = [];
  readonly #mostBytes: number;
  #bytes = 0;

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes;
  }

  get isEmpty(): boolean {
    return this.#updates.length === 0;
  }

  /** Since when the oldest waits. */
  get since(): number {
    return this.#updates[0]?.since ?? Number.POSITIVE_INFINITY;
  }

  /** @throws SyncError `MISSING_DEPENDENCIES` where there are too many */
  add(waiting: WaitingUpdate): void {
    this.#bytes += waiting.update.length;
    const tooMany = this.#updates.length >= MAX_WAITING || this.#bytes > this.#mostBytes;
    if (tooMany) throw new SyncError('MISSING_DEPENDENCIES');
    this.#updates.push(waiting);
  }

  /** Takes one out that has got what it waited for. */
  takeReady(has: (missing: Dependency) => boolean): WaitingUpdate | null {
    const index = this.#updates.findIndex(({ missing }) => has(missing));
    const [ready = null] = index < 0 ? [] : this.#updates.splice(index, 1);
    if (ready !== null) this.#bytes -= ready.update.length;
    return ready;
  }
}
