/** How much anybody may send, and how many may be there at once: arithmetic with a clock, no sockets. */

/** Milliseconds; from any moment on. */
type Now = () => number;

/** Sums of fractions are off by less, in ms. */
const ROUNDING = 1e-6;

export interface Rate {
  /** Per second. */
  readonly rate: number;
  /** What may come at once. */
  readonly burst: number;
}

/**
 * Fills at a rate, up to a burst. What has come has come: taking may leave a debt, and what is refused or has to
 * wait is only what comes after.
 */
export class TokenBucket {
  readonly #rate: Rate;
  readonly #now: Now;
  #tokens: number;
  #at: number;

  constructor(rate: Rate, now: Now, at = now()) {
    this.#rate = rate;
    this.#now = now;
    this.#tokens = rate.burst;
    this.#at = at;
  }

  /** Takes, and says how long to wait until the debt is paid, in ms; 0 if there is none. */
  take(amount: number, now = this.#now()): number {
    this.#refill(now);
    this.#tokens -= amount;
    return this.#timeUntil(0);
  }

  /** How long until there is no debt, in ms. */
  get wait(): number {
    return this.hasNoDebt ? 0 : this.waitAt(this.#now());
  }

  /** It had none when it was last asked, and since then it has only filled. */
  get hasNoDebt(): boolean {
    return this.#tokens >= 0;
  }

  waitAt(now: number): number {
    this.#refill(now);
    return this.#timeUntil(0);
  }

  /** How long until a whole token is there, in ms. */
  get waitForOne(): number {
    return this.waitForOneAt(this.#now());
  }

  waitForOneAt(now: number): number {
    this.#refill(now);
    return this.#timeUntil(1);
  }

  /** As if nothing had ever been taken. */
  get isFull(): boolean {
    this.#refill();
    return this.#tokens >= this.#rate.burst;
  }

  #timeUntil(tokens: number): number {
    if (this.#tokens >= tokens) return 0;
    const exact = ((tokens - this.#tokens) / this.#rate.rate) * 1_000;
    return Math.max(0, Math.ceil(exact - ROUNDING));
  }

  #refill(now = this.#now()): void {
    const { rate, burst } = this.#rate;
    if (burst === Number.POSITIVE_INFINITY || rate === Number.POSITIVE_INFINITY) this.#tokens = burst;
    else this.#tokens = Math.min(burst, this.#tokens + (Math.max(0, now - this.#at) / 1_000) * rate);
    this.#at = now;
  }
}

export interface Rates {
  readonly messages: Rate;
  readonly bytes: Rate;
}

/** What one sender is held to: a bucket of messages and one of bytes. */
export class RateLimiter {
  readonly #messages: TokenBucket;
  readonly #bytes: TokenBucket;
  readonly #now: Now;

  constructor({ messages, bytes }: Rates, now: Now) {
    const at = now();
    this.#messages = new TokenBucket(messages, now, at);
    this.#bytes = new TokenBucket(bytes, now, at);
    this.#now = now;
  }

  /** Takes what came; see `TokenBucket.take`. */
  take(messages: number, bytes: number): number {
    const now = this.#now();
    return Math.max(this.#messages.take(messages, now), this.#bytes.take(bytes, now));
  }

  get wait(): number {
    if (this.#messages.hasNoDebt && this.#bytes.hasNoDebt) return 0;
    const now = this.#now();
    return Math.max(this.#messages.waitAt(now), this.#bytes.waitAt(now));
  }

  /** How long until one more message is within the rate, in ms. */
  get waitForOne(): number {
    const now = this.#now();
    return Math.max(this.#messages.waitForOneAt(now), this.#bytes.waitForOneAt(now));
  }

  get isFull(): boolean {
    return this.#messages.isFull && this.#bytes.isFull;
  }
}

/** Rate limiters by name, such as that of a user at an address. One that is full again is forgotten. */
export class RateLimiters {
  readonly #rates: Rates;
  readonly #now: Now;
  readonly #all = new Map<string, RateLimiter>();

  constructor(rates: Rates, now: Now) {
    this.#rates = rates;
    this.#now = now;
  }

  of(name: string): RateLimiter {
    const known = this.#all.get(name);
    if (known !== undefined) return known;
    const limiter = new RateLimiter(this.#rates, this.#now);
    this.#all.set(name, limiter);
    return limiter;
  }

  get size(): number {
    return this.#all.size;
  }

  /** To be called every few seconds. */
  sweep(): void {
    for (const [name, limiter] of this.#all) if (limiter.isFull) this.#all.delete(name);
  }
}

/** Counts what is there, by name, up to a limit. */
export class Slots {
  readonly #limit: number;
  readonly #taken = new Map<string, number>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  isFull(name: string): boolean {
    return (this.#taken.get(name) ?? 0) >= this.#limit;
  }

  /** What this returns gives it back. */
  take(name: string): () => void {
    this.#taken.set(name, (this.#taken.get(name) ?? 0) + 1);
    return once(() => {
      const left = (this.#taken.get(name) ?? 1) - 1;
      if (left > 0) this.#taken.set(name, left);
      else this.#taken.delete(name);
    });
  }
}

/** Called again, it does nothing: what is given back twice would be somebody else's. */
export function once(task: () => void): () => void {
  let isDone = false;
  return () => {
    if (isDone) return;
    isDone = true;
    task();
  };
}
