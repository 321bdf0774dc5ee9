import { HttpExchange } from './http-exchange.js';
import { askToken } from './token.js';
import type { ConnectionOptions } from './types.js';

/** The pause between exchanges that no call of `flush` asked for, in ms. */
export const EXCHANGE_PAUSE = 30_000;

export interface HttpFallbackEvents {
  exchanged(): void;
  /** A part of the pending changes got through. */
  confirmed(): void;
  /** `brought`: some parts got through before. */
  failed(error: unknown, brought: boolean): void;
}

/** Exchanges over HTTP, one at a time, while no socket gets through (C6, H3). */
export class HttpFallback {
  readonly #options: ConnectionOptions;
  readonly #events: HttpFallbackEvents;
  readonly #exchange: HttpExchange;
  #current: Promise<void> | null = null;
  #next: Promise<void> | null = null;
  /** Another object after each `stop`: an exchange that began before compares, and reports nothing. */
  #run = {};
  #endPause: (() => void) | null = null;
  #brought = false;

  constructor(options: ConnectionOptions, events: HttpFallbackEvents) {
    this.#options = options;
    this.#events = events;
    this.#exchange = new HttpExchange(options, () => this.#confirmed());
  }

  /** Exchanges unless the last one began a short time ago. */
  ifDue(): void {
    if (this.#endPause === null) this.now().catch(() => {});
  }

  /** Settles with the first exchange that begins after the call. */
  now(): Promise<void> {
    if (this.#current === null) return this.#start();
    const run = this.#run;
    this.#next ??= this.#current
      .catch(() => {})
      .then(() => {
        if (run !== this.#run) throw new Error('The exchange was ended.');
        this.#next = null;
        return this.#start();
      });
    return this.#next;
  }

  stop(): void {
    this.#run = {};
    this.#exchange.abort();
    this.#stopPause();
    this.#current = null;
    this.#next = null;
  }

  #start(): Promise<void> {
    const run = this.#run;
    this.#pause();
    const current = this.#exchangeOnce(run).finally(() => {
      if (this.#current === current) this.#current = null;
    });
    this.#current = current;
    return current;
  }

  async #exchangeOnce(run: object): Promise<void> {
    const { getToken, platform } = this.#options;
    this.#brought = false;
    try {
      await this.#exchange.run(async () => {
        const token = await askToken(getToken, platform.clock);
        if (run !== this.#run) throw new Error('The exchange was ended.');
        return token;
      });
    } catch (error) {
      if (run === this.#run) this.#failed(error);
      throw error;
    }
    if (run === this.#run) this.#events.exchanged();
  }

  #confirmed(): void {
    this.#brought = true;
    this.#events.confirmed();
  }

  /** The server confirmed a part before the exchange failed: the next exchange may begin at once (C11). */
  #failed(error: unknown): void {
    if (this.#brought) this.#stopPause();
    this.#events.failed(error, this.#brought);
  }

  #stopPause(): void {
    this.#endPause?.();
    this.#endPause = null;
  }

  #pause(): void {
    this.#endPause?.();
    this.#endPause = this.#options.platform.clock.after(EXCHANGE_PAUSE, () => {
      this.#endPause = null;
    });
  }
}
