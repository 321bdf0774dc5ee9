/**
 * Counts closes for malformed messages: after three in a minute from one user, device and address, upgrades are
 * refused for a while, since y-websocket would reconnect, and send the same again, at once (N8).
 */
const MAX_OFFENCES = 3;
const WINDOW = 60_000;

export class Offences {
  readonly #now: () => number;
  readonly #times = new Map<string, number[]>();

  constructor(now: () => number) {
    this.#now = now;
  }

  note(who: string): void {
    const times = [...this.#recent(who), this.#now()];
    this.#times.delete(who);
    this.#times.set(who, times);
    this.#forgetOld();
  }

  /** Nobody is blocked. */
  get areNone(): boolean {
    return this.#times.size === 0;
  }

  isBlocked(who: string): boolean {
    return this.#recent(who).length >= MAX_OFFENCES;
  }

  #recent(who: string): number[] {
    const since = this.#now() - WINDOW;
    return (this.#times.get(who) ?? []).filter((at) => at > since);
  }

  /** Entries stand in the order of their last offence. */
  #forgetOld(): void {
    for (const who of this.#times.keys()) {
      if (this.#recent(who).length > 0) return;
      this.#times.delete(who);
    }
  }
}
