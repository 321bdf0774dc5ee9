/** What is to be done for one user, in order, and what of it is not durable yet. */
/** How time passes; monotonic, in ms. */
export interface TurnClock {
  readonly now: () => number;
  /** Calls back after what has arrived meanwhile was read. */
  readonly soon: (task: () => void) => void;
  readonly after: (ms: number, task: () => void) => void;
}

/** How much a user may send, over all connections. */
export interface TurnRate {
  take(messages: number, bytes: number): number;
  /** How long until there is no debt, in ms. */
  readonly wait: number;
}

/** What can be told to send nothing more for a while: a socket. */
export interface Sender {
  hold(): void;
  release(): void;
}

/** Something that came in. */
export interface Arrival {
  readonly messages: number;
  readonly bytes: number;
  /** Where it came from; `null` for what can't be held. */
  readonly sender: Sender | null;
  /** `settled` is to be called once what it did is durable, or has failed. */
  readonly run: (settled: () => void) => void;
}

export interface TurnOptions {
  readonly clock: TurnClock;
  readonly rateOf: (user: string) => TurnRate;
  /** What a user may have sent that is not durable yet, in bytes; and all of them, each counted up to that, together. */
  readonly maxUnsavedPerUser: number;
  readonly maxUnsaved: number;
}

/** The turns of all users, as a line sees them. */
export interface Schedule {
  readonly options: TurnOptions;
  readonly isHurried: boolean;
  readonly unsaved: number;
  queue(line: Line): void;
  renewSoon(line: Line): void;
  atOnce(line: Line, task: () => void): number | null;
  addUnsaved(bytes: number): void;
  forget(user: string, line: Line): void;
}

/** How long one user works before the next one does, in ms; one message may take longer. */
export const SLICE = 1;
/** What a message takes in memory beside its bytes. */
export const MESSAGE_OVERHEAD = 1_024;
/** Messages of a user that may wait for a turn before nothing more is read. */
export const MAX_WAITING = 256;

export class Line {
  readonly #user: string;
  readonly #turns: Schedule;
  readonly #rate: TurnRate;
  readonly #first: (() => void)[] = [];
  readonly #arrived: Arrival[] = [];
  /** Made when it is needed, as most lines end without one. */
  #held: Set<Sender> | null = null;
  #unsaved = 0;
  /** It waits for its turn, or is working. */
  #isQueued = false;
  /** It waits until it is within its rate. */
  #isAsleep = false;
  #isBlocked = false;
  /** Time that was used up at once, since the last round. */
  #spent = 0;
  #wasServed = false;
  /** A sender that was held goes on since the last round, and may be about to send. */
  #hasLetGo = false;

  constructor(user: string, turns: Schedule) {
    this.#user = user;
    this.#turns = turns;
    this.#rate = turns.options.rateOf(user);
  }

  get isWaiting(): boolean {
    return this.#first.length + this.#arrived.length > 0;
  }

  enter(arrival: Arrival): void {
    const { sender, bytes } = arrival;
    this.#arrived.push(arrival);
    this.#count(bytes + MESSAGE_OVERHEAD);
    if (sender !== null && this.#isFull && !this.#held?.has(sender)) {
      this.#held ??= new Set();
      this.#held.add(sender);
      sender.hold();
    }
    this.#workAtOnce();
    if (this.#mayWork) this.#queue();
  }

  first(task: () => void): void {
    this.#first.push(task);
    this.#workAtOnce();
    if (this.#first.length > 0) this.#queue();
  }

  /** A new round begins. */
  renew(): void {
    this.#spent = 0;
    this.#wasServed = false;
    this.#hasLetGo = false;
    this.release();
  }

  wake(): void {
    this.#isAsleep = false;
    if (this.#mayWork) this.#queue();
  }

  block(): void {
    this.#isBlocked = true;
  }

  unblock(): void {
    this.#isBlocked = false;
    if (this.#mayWork) this.#queue();
    else this.#rest();
  }

  work(): void {
    const { clock } = this.#turns.options;
    const end = clock.now() + SLICE;
    try {
      while (this.#workOnce() && clock.now() < end);
    } finally {
      this.#isQueued = false;
      if (this.#first.length > 0 || this.#mayWork) this.#queue();
      this.release();
    }
  }

  /**
   * Lets senders go on that were held, the first one first, once there is room again: each brings all that was sent
   * meanwhile.
   */
  release(): void {
    for (const sender of this.#held ?? []) {
      if (!this.#hasRoom || (this.#hasLetGo && this.isWaiting)) break;
      this.#held?.delete(sender);
      this.#hasLetGo = true;
      this.#turns.renewSoon(this);
      sender.release();
    }
    this.#rest();
  }

  #workAtOnce(): void {
    if (this.#isQueued || this.#spent >= SLICE || this.#first.length + this.#arrived.length > 1) return;
    const took = this.#turns.atOnce(this, () => {
      this.#wasServed = true;
      this.#workOnce();
    });
    this.#spent += took ?? 0;
  }

  #workOnce(): boolean {
    const task = this.#first.shift();
    if (task !== undefined) {
      task();
      return true;
    }
    const [next] = this.#arrived;
    if (next === undefined || this.#isBlocked || this.#mustWait(next)) return false;
    this.#arrived.shift();
    this.#rate.take(next.messages, next.bytes);
    next.run(this.#settle(next.bytes + MESSAGE_OVERHEAD));
    return true;
  }

  get #mayWork(): boolean {
    return this.#arrived.length > 0 && !this.#isAsleep && !this.#isBlocked;
  }

  #mustWait({ messages }: Arrival): boolean {
    if (messages === 0 || this.#turns.isHurried) return false;
    if (this.#isAsleep) return true;
    const { wait } = this.#rate;
    if (wait === 0) return false;
    this.#isAsleep = true;
    this.#turns.options.clock.after(wait, () => this.wake());
    return true;
  }

  #settle(bytes: number): () => void {
    let isSettled = false;
    return () => {
      if (isSettled) return;
      isSettled = true;
      this.#count(-bytes);
      this.release();
    };
  }

  #queue(): void {
    if (this.#isQueued) return;
    this.#isQueued = true;
    this.#turns.queue(this);
  }

  /** What a user sends beyond the own bound is counted for nobody else: it holds the senders of this line alone. */
  #count(bytes: number): void {
    const before = this.#share;
    this.#unsaved += bytes;
    this.#turns.addUnsaved(this.#share - before);
  }

  get #share(): number {
    return Math.min(this.#unsaved, this.#turns.options.maxUnsavedPerUser);
  }

  get #isFull(): boolean {
    const { maxUnsavedPerUser, maxUnsaved } = this.#turns.options;
    const isLong = this.#arrived.length > MAX_WAITING;
    return isLong || this.#unsaved > maxUnsavedPerUser || this.#turns.unsaved > maxUnsaved;
  }

  get #hasRoom(): boolean {
    const { maxUnsavedPerUser, maxUnsaved } = this.#turns.options;
    const isLong = this.#arrived.length > MAX_WAITING / 2;
    return !isLong && this.#unsaved <= maxUnsavedPerUser / 2 && this.#turns.unsaved <= maxUnsaved / 2;
  }

  /** It is forgotten when nothing is left of it, not even of what it has used up of its slice. */
  #rest(): void {
    if (this.#isQueued || this.#isBlocked || this.#wasServed || this.isWaiting) return;
    if (this.#unsaved > 0 || (this.#held?.size ?? 0) > 0) return;
    this.#turns.forget(this.#user, this);
  }
}
