/** What comes in from a socket, at the rate that it may: over it, the socket is not read, and nothing is lost. */
import { SyncError } from '../../errors.js';
import type { RateLimiter } from '../../net/token-bucket.js';
import type { Socket } from './socket.js';

/** How long a connection may stay over its rate, in ms. */
export const OVER_RATE_TIMEOUT = 60_000;
/** Without a pause for so long, a connection is within its rate again, in ms. */
const CALM = 1_000;

export interface FlowControlOptions {
  readonly socket: Pick<Socket, 'hold' | 'release' | 'cutOff'>;
  readonly limiter: RateLimiter;
  /** Bytes that the socket has received so far, frames and all. */
  readonly received: number;
  now(): number;
  /** Calls back once after so many ms. */
  after(ms: number, task: () => void): void;
  onPause(): void;
  /** Runs a task when it is the user's turn. */
  inTurn(task: () => void): void;
}

export class FlowControl {
  readonly #options: FlowControlOptions;
  /** What the socket had received already when it was paused. */
  #queue: (() => void)[] | null = null;
  #received: number;
  #isPaused = false;
  /** It is gone, or the server stops: rates don't count any more. */
  #isDrained = false;
  #isCut = false;
  #overSince = 0;
  #calmAt = Number.NEGATIVE_INFINITY;

  constructor(options: FlowControlOptions) {
    this.#options = options;
    this.#received = options.received;
  }

  /**
   * A message came: `handle` runs now or, over the rate, later; always in the order of the messages. Once the
   * connection was cut off nothing is taken any more, and the answer is no.
   */
  take(handle: () => void): boolean {
    if (this.#isCut) return false;
    if (this.#isDrained) handle();
    else if (this.#isPaused || this.#isWaiting) this.#enqueue(handle);
    else this.#handle(handle);
    return true;
  }

  /** What was sent because the peer asked for it counts as if it had sent it. */
  charge(bytes: number): void {
    this.#holdFor(this.#options.limiter.take(0, bytes));
  }

  /** Handles what has come and still comes, whatever the rate: the connection is gone, or the server stops. */
  drain(): void {
    this.#isDrained = true;
    for (const handle of this.#queue?.splice(0) ?? []) handle();
  }

  get #isWaiting(): boolean {
    return (this.#queue?.length ?? 0) > 0;
  }

  #enqueue(handle: () => void): void {
    this.#queue ??= [];
    this.#queue.push(handle);
  }

  #handle(handle: () => void): void {
    const { received } = this.#options;
    const wait = this.#options.limiter.take(1, received - this.#received);
    this.#received = received;
    this.#holdFor(wait);
    handle();
  }

  #holdFor(wait: number): void {
    if (wait === 0 || this.#isPaused) return;
    const now = this.#options.now();
    this.#isPaused = true;
    if (now - this.#calmAt > CALM) this.#overSince = now;
    this.#options.onPause();
    this.#options.socket.hold('rate');
    this.#wake(wait);
  }

  #wake(wait: number): void {
    const left = this.#overSince + OVER_RATE_TIMEOUT - this.#options.now();
    this.#options.after(Math.max(1, Math.min(wait, left)), () => this.#goOn());
  }

  #goOn(): void {
    const { limiter, socket } = this.#options;
    const { wait } = limiter;
    const now = this.#options.now();
    const isTooLong = now - this.#overSince >= OVER_RATE_TIMEOUT;
    if (isTooLong && (wait > 0 || this.#isWaiting)) {
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
    this.#calmAt = now;
    this.#handleNext();
  }

  #handleNext(): void {
    if (this.#isPaused) return;
    const next = this.#queue?.shift();
    if (next === undefined) {
      this.#options.socket.release('rate');
      return;
    }
    this.#handle(next);
    this.#options.inTurn(() => this.#handleNext());
  }
}
