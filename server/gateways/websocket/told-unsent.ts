/** What the device of one connection says that it has not sent, and how long that holds. Times never jump. */
import type { Unsent } from '../../documents/seen-devices.js';
import type { Told } from '../yjs/options.js';

/** How often it is noted, in ms; that there is something, or nothing any more, is noted soon. */
const NOTED_EACH = 60_000;

export class ToldUnsent {
  #told: Told | null = null;
  #toldAt = 0;
  #pongAt = 0;
  #noted: Told | null = null;
  #notedAt = 0;

  tells(told: Told, at: number): void {
    this.#told = told;
    this.#toldAt = at;
  }

  /** A device tells what it makes as it makes it: one whose pong comes later has nothing else. */
  pong(at: number): void {
    this.#pongAt = at;
  }

  /** @param now in ms since 1970, which is `uptime` by the clock that never jumps */
  asOf(now: number, uptime: number): Unsent | null {
    if (this.#told === null) return null;
    const isHeardSince = this.#pongAt > this.#toldAt;
    return { ...this.#told, until: isHeardSince ? now - (uptime - this.#pongAt) : this.#told.toldAt };
  }

  /** Whether it should be noted: the server may crash. */
  isNoteDue(at: number): boolean {
    const [told, noted] = [this.#told, this.#noted];
    if (told === null || told === noted) return false;
    const isOther = noted === null || noted.count > 0 !== told.count > 0;
    return isOther || at - this.#notedAt >= NOTED_EACH;
  }

  noted(at: number): void {
    this.#noted = this.#told;
    this.#notedAt = at;
  }
}
