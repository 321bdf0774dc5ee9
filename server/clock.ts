/**
 * The time that the server goes by (P9). A clock may be wrong, at the start or from one moment to the next; what was
 * forgotten by it would be gone. So the newest time that was seen is kept in the store, and a clock that is more than
 * a day off it is doubted until the server has run with it for a day, or a person says that it is right.
 */

const MINUTE = 60_000;
const DAY = 86_400_000;
const NOTE = 'clock';

/** What a clock is read from. */
export interface TimeSource {
  /** Milliseconds since 1970, right or wrong. */
  readonly now: () => number;
  /** Milliseconds from any moment on; never goes back, and never jumps. */
  readonly uptime: () => number;
}

export const SYSTEM_TIME: TimeSource = { now: Date.now, uptime: () => performance.now() };

/** Where the newest time is kept: a store. */
export interface NoteKeeper {
  note(name: string): Promise<Uint8Array | null>;
  setNote(name: string, value: Uint8Array): Promise<void>;
}

export interface Doubt {
  /** What the clock says. */
  readonly clock: number;
  /** What it should say, by the newest time that was seen and the time that has passed since. */
  readonly expected: number;
}

interface Note {
  readonly seen: number;
  readonly isProven: boolean;
  readonly waited: number;
  readonly newest: number;
  readonly backSince: number | null;
}

export class ServerClock {
  readonly #source: TimeSource;
  readonly #onDoubt: (doubt: Doubt) => void;
  /** The time that was seen last and not doubted, and the uptime then. */
  #seen: number;
  #seenAt: number;
  /** Whether the server has ever run for a day with this clock; before that, nothing speaks against a jump. */
  #isProven = false;
  /** For how long the server has run with a clock that is not proven, or doubted. */
  #waited = 0;
  #lookedAt: number;
  #isDoubted = false;
  /** The newest time that anybody was told, and when the clock was set back last. */
  #newest: number;
  #backSince: number;

  constructor(source: TimeSource = SYSTEM_TIME, onDoubt: (doubt: Doubt) => void = () => {}) {
    this.#source = source;
    this.#onDoubt = onDoubt;
    this.#seen = source.now();
    this.#seenAt = source.uptime();
    this.#lookedAt = this.#seenAt;
    this.#newest = this.#seen;
    this.#backSince = this.#seen;
  }

  /**
   * Takes up what the store has seen.
   *
   * @param confirmed the date of today, `2026-11-29`, where a person says that the clock is right
   */
  async open(keeper: NoteKeeper, confirmed = ''): Promise<void> {
    const note = read(await keeper.note(NOTE));
    const clock = this.#source.now();
    if (note !== null) {
      this.#seen = note.seen;
      this.#seenAt = this.#source.uptime();
      this.#isProven = note.isProven;
      this.#waited = note.waited;
      this.#newest = note.newest;
      this.#backSince = note.backSince ?? clock;
    }
    if (isDateOf(confirmed, clock)) {
      this.#isProven = true;
      this.#follow(clock, this.#source.uptime());
    }
    this.now();
    await this.save(keeper).catch(() => {}); // where the store fails, it says so itself
  }

  /** To be called now and then: what is not saved is not known at the next start. */
  async save(keeper: NoteKeeper): Promise<void> {
    this.now();
    const note: Note = {
      seen: this.#expected(),
      isProven: this.#isProven,
      waited: this.#waited,
      newest: this.#newest,
      backSince: this.#backSince,
    };
    await keeper.setNote(NOTE, Buffer.from(JSON.stringify(note)));
  }

  /** The time that dates are made of. It goes back by no more than a day. */
  readonly now = (): number => {
    const clock = this.#look();
    const now = this.#isDoubted ? Math.max(clock, this.#expected()) : clock;
    if (now >= this.#newest - MINUTE) this.#newest = Math.max(now, this.#newest);
    else {
      this.#newest = now;
      this.#backSince = now;
      this.#waited = 0; // what it had said before was wrong
    }
    return now;
  };

  /** The time by which it is decided what is old enough to be forgotten. */
  readonly retention = (): number => {
    const now = this.now();
    if (!this.#isProven) return 0;
    return this.#isDoubted ? Math.min(this.#source.now(), this.#expected()) : now;
  };

  /** The date of an erasure: nobody may be locked out by it once the clock is right. */
  readonly erasedAt = (): number => {
    const now = this.now();
    return this.#isDoubted ? Math.min(this.#source.now(), this.#expected()) : now;
  };

  /** Milliseconds from any moment on, for all that lasts. */
  readonly uptime = (): number => this.#source.uptime();

  /** What a date counts as that was made before: one that is still to come was made before the clock was set back. */
  readonly past = (date: number): number => {
    const now = this.now();
    return date <= now + MINUTE ? Math.min(date, now) : Math.min(this.#backSince, now);
  };

  #expected(uptime = this.#source.uptime()): number {
    return this.#seen + (uptime - this.#seenAt);
  }

  #look(): number {
    const clock = this.#source.now();
    const uptime = this.#source.uptime();
    const passed = uptime - this.#lookedAt;
    this.#lookedAt = uptime;
    const expected = this.#expected(uptime);
    const isOff = Math.abs(clock - expected) > DAY;
    if (!this.#isProven) {
      this.#waited = isOff ? 0 : this.#waited + passed;
      this.#isProven = this.#waited >= DAY;
      this.#follow(clock, uptime, this.#isProven ? 0 : this.#waited);
    } else if (!isOff) {
      this.#follow(clock, uptime);
    } else if (!this.#isDoubted) {
      this.#isDoubted = true;
      this.#onDoubt({ clock, expected });
    } else {
      this.#waited += passed;
      if (this.#waited >= DAY) this.#follow(clock, uptime);
    }
    return clock;
  }

  /** The clock is taken for right. */
  #follow(clock: number, uptime: number, waited = 0): void {
    this.#isDoubted = false;
    this.#waited = waited;
    this.#seen = clock;
    this.#seenAt = uptime;
  }
}

/** Wherever the person is, it may be the day before or after. */
function isDateOf(text: string, clock: number): boolean {
  return text !== '' && Math.abs(Date.parse(`${text}T12:00Z`) - clock) <= 1.5 * DAY;
}

function read(bytes: Uint8Array | null): Note | null {
  return bytes === null ? null : (JSON.parse(Buffer.from(bytes).toString()) as Note);
}
