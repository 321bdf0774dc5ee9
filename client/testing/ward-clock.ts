import { ClientError } from '../errors.js';
import type { Clock } from '../platform/platform.js';

/** A number of milliseconds, or a number with its unit: `'90s'`, `'15m'`, `'3d'`. */
export type Duration = number | `${number}${keyof typeof UNITS}`;

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

interface Timer {
  readonly at: number;
  readonly task: () => void;
}

/** The time of a ward: it stands still between writes, and jumps when a test says so. */
export class WardClock implements Clock {
  #now: number;
  readonly #timers = new Set<Timer>();

  constructor(start: number) {
    this.#now = start;
  }

  readonly now = (): number => this.#now;

  after(ms: number, task: () => void): () => void {
    const timer = { at: this.#now + ms, task };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  /** No two writes are made at the same time, so that the later one is the one that the test makes later. */
  tick(): void {
    this.#now += 1;
  }

  /** As a device that slept: timers that came due meanwhile run once, in their order, and all at the new time. */
  jump(ms: number): void {
    this.#now += ms;
    const due = [...this.#timers].filter(({ at }) => at <= this.#now).sort((a, b) => a.at - b.at);
    for (const timer of due) {
      if (this.#timers.delete(timer)) timer.task();
    }
  }
}

/** @throws ClientError `INVALID_OPTIONS` where it is none */
export function milliseconds(duration: Duration): number {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(String(duration)) ?? [];
  const ms = typeof duration === 'number' ? duration : Number(amount) * UNITS[unit as keyof typeof UNITS];
  if (Number.isFinite(ms) && ms >= 0) return ms;
  throw new ClientError('INVALID_OPTIONS', `'${duration}' is no time: '90s', '15m', '3d', or milliseconds.`);
}
