/** What comes in from a socket, at the rate that it may: over it, the socket is not read, and nothing is lost. */
import { SyncError } from '../../shared/errors.js';
import type { Allowance } from '../limits.js';
import type { Socket } from './socket.js';

/** How long a connection may stay over its rate, in ms. */
export const OVER_RATE_TIMEOUT = 60_000;
/** Without a pause for so long, a connection is within its rate again, in ms. */
const CALM = 1_000;

export interface FlowOptions {
  readonly socket: Pick<Socket, 'hold' | 'release' | 'cutOff'>;
  readonly allowance: Allowance;
  /** Bytes that the socket has received so far, frames and all. */
  readonly received: () => number;
  readonly now: () => number;
  /** Calls back once after so many ms. */
  readonly after: (ms: number, task: () => void) => void;
  readonly onPause: () => void;
}

export class Flow {
  readonly #options: FlowOptions;
  /** What the socket had received already when it was paused. */
  #queue: (() => void)[] = [];
  #received: number;
  #isPaused = false;
  #isCut = false;
  #overSince = 0;
  #calmAt = Number.NEGATIVE_INFINITY;

  constructor(options: FlowOptions) {
    this.#options = options;
    this.#received = options.received();
  }

  /** A message came: `handle` runs now or, over the rate, later; always in the order of the messages. */
  take(handle: () => void): void {
    if (this.#isCut) return;
    if (this.#isPaused) this.#queue.push(handle);
    else this.#handle(handle);
  }

  /** What was sent because the peer asked for it counts as if it had sent it. */
  charge(bytes: number): void {
    this.#holdFor(this.#options.allowance.take(0, bytes));
  }

  /** Handles what has come, whatever the rate: the connection is gone, or the server stops. */
  drain(): void {
    for (const handle of this.#queue.splice(0)) handle();
  }

  #handle(handle: () => void): void {
    const received = this.#options.received();
    const wait = this.#options.allowance.take(1, received - this.#received);
    this.#received = received;
    this.#holdFor(wait);
    handle();
  }

  #holdFor(wait: number): void {
    if (wait === 0 || this.#isPaused) return;
    const { socket, now, onPause } = this.#options;
    this.#isPaused = true;
    if (now() - this.#calmAt > CALM) this.#overSince = now();
    onPause();
    socket.hold('rate');
    this.#wake(wait);
  }

  #wake(wait: number): void {
    const { now, after } = this.#options;
    const left = this.#overSince + OVER_RATE_TIMEOUT - now();
    after(Math.max(1, Math.min(wait, left)), () => this.#goOn());
  }

  #goOn(): void {
    const { allowance, socket, now } = this.#options;
    const { wait } = allowance;
    const isTooLong = now() - this.#overSince >= OVER_RATE_TIMEOUT;
    if (isTooLong && (wait > 0 || this.#queue.length > 0)) {
      this.drain();
      this.#isCut = true;
      socket.cutOff(new SyncError('OVERLOADED', 'The connection sends more than the server allows.'));
      return;
    }
    if (wait > 0) {
      this.#wake(wait);
      return;
    }
    this.#isPaused = false;
    this.#calmAt = now();
    while (!this.#isPaused) {
      const next = this.#queue.shift();
      if (next === undefined) break;
      this.#handle(next);
    }
    if (!this.#isPaused) socket.release('rate');
  }
}
