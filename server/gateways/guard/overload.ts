/** Whether more comes in than the server gets done: then who comes anew is put off, for the sake of who is there. */
import type { UserId } from '../../../shared/names.js';
import type { Backlog } from '../../documents/turns/backlog.js';
import type { TurnClock } from '../../documents/turns/turn-line.js';
import type { Turns } from '../../documents/turns/turns.js';

/** Time between two looks, in ms. */
const PAUSE = 250;
/** What comes in is taken this much too late: nobody new would be answered in time, in ms. */
export const LATE = 1_000;
/** Bytes that wait for all clients together: those of who reads slowly, and first syncs, which count for nobody. */
export const MAX_UNSENT = 256 * 2 ** 20;
/** Of one user no more of them count: what one user's devices don't read keeps out those of this user alone. */
export const MAX_UNSENT_PER_USER = MAX_UNSENT / 8;
/** It has to be like that for so long, in ms, and at so many looks: a burst, or one long task, is no overload. */
export const PATIENCE = 2_000;
export const LOOKS = 3;

/** When who is put off should come again, in seconds: not all at once. */
const SOONEST = 3;
const LATEST = 9;
export const putOffFor = (random: () => number): number => SOONEST + random() * (LATEST - SOONEST);

export interface OverloadOptions {
  readonly clock: Pick<TurnClock, 'now' | 'after'>;
  /** What came in and is not durable yet. */
  readonly turns: Pick<Turns, 'isFull'>;
  readonly backlog: Pick<Backlog, 'isFull'>;
  /** Bytes that wait for clients, by the user whom they count for; `null` where none is known. */
  readonly unsent: () => ReadonlyMap<UserId | null, number>;
  /** It begins, or is over after so many ms. */
  readonly onChange: (isOver: boolean, lasted: number) => void;
}

export class Overload {
  readonly #options: OverloadOptions;
  /** When the server was last seen to keep up. */
  #keptUpAt: number;
  /** Looks since then. */
  #looks = 0;
  #isOver = false;
  /** Users whose devices leave more unread than counts, while all that waits is too much. */
  #unread: ReadonlySet<UserId> = new Set();
  #isClosed = false;

  constructor(options: OverloadOptions) {
    this.#options = options;
    this.#keptUpAt = options.clock.now();
    this.#lookLater();
  }

  /** Whether who comes anew is put off, whoever it is. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Whether this user's devices leave so much unread that those of this user who come anew are put off. */
  isOverFor(user: UserId | null): boolean {
    return user !== null && this.#unread.has(user);
  }

  close(): void {
    this.#isClosed = true;
  }

  #lookLater(): void {
    const { clock } = this.#options;
    const due = clock.now() + PAUSE;
    clock.after(PAUSE, () => {
      if (this.#isClosed) return;
      this.#look(clock.now() - due);
      this.#lookLater();
    });
  }

  /** Timers are as late as all else that waits for the event loop. */
  #look(late: number): void {
    const { clock, turns, backlog, onChange } = this.#options;
    const lasted = clock.now() - this.#keptUpAt;
    const unsent = this.#countUnsent();
    const isFull = turns.isFull || backlog.isFull || unsent > MAX_UNSENT;
    const keepsUp = late <= LATE && !isFull;
    if (keepsUp) this.#keptUpAt = clock.now();
    this.#looks = keepsUp ? 0 : this.#looks + 1;
    const isOver = this.#looks >= LOOKS && lasted > PATIENCE;
    if (isOver === this.#isOver) return;
    this.#isOver = isOver;
    onChange(isOver, lasted);
  }

  #countUnsent(): number {
    const unread = new Set<UserId>();
    let [all, counted] = [0, 0];
    for (const [user, bytes] of this.#options.unsent()) {
      all += bytes;
      counted += user === null ? bytes : Math.min(bytes, MAX_UNSENT_PER_USER);
      if (user !== null && bytes > MAX_UNSENT_PER_USER) unread.add(user);
    }
    this.#unread = all > MAX_UNSENT ? unread : new Set();
    return counted;
  }
}
