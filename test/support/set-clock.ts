import type { TimeSource } from '../../server/clock.js';

export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;
export const YEAR = 365 * DAY;

/** A machine whose clock a test sets; time passes when the test says so. */
export class SetClock implements TimeSource {
  /** What the clock is off by. */
  offset = 0;
  /** What time it is. */
  #time = Date.parse('2026-11-29T12:00Z');
  #uptime = 0;

  readonly now = (): number => this.#time + this.offset;
  readonly uptime = (): number => this.#uptime;

  /** What time it is, whatever the clock says. */
  get time(): number {
    return this.#time;
  }

  /** While the machine runs. */
  pass(ms: number): void {
    this.#time += ms;
    this.#uptime += ms;
  }

  /** While it is off: what counts from the start begins anew. */
  passOff(ms: number): void {
    this.#time += ms;
    this.#uptime = 0;
  }
}
