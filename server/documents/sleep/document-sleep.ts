/** When a document that is followed falls asleep, when it wakes, and what waits meanwhile. */
import type { UserId } from '../../../shared/names.js';
import { SyncError } from '../../errors.js';
import type { RestRow } from '../../store/store.js';
import type { Safely } from '../safely.js';
import type { UserTurns } from '../turns/user-turns.js';
import type { UserDocument } from '../user-document.js';
import type { Hold } from './follower.js';

/** Those who follow it. */
interface Sleepers {
  readonly user: UserId;
  /** Whether all of them wait for nothing of the document. */
  readonly areQuiet: boolean;
  /** It can't be loaded, or has failed. */
  readonly failure: SyncError | null;
  /** It is in memory from here on; nobody changes it before all of them have joined. */
  woken(document: UserDocument): void;
  /** It is about to leave the memory. */
  fallenAsleep(document: UserDocument): void;
  /** It can't be loaded: everybody has to start anew. */
  fail(error: SyncError): void;
  /** Where nobody uses it by now, it ends. */
  endUnused(): void;
}

interface SleepParts {
  readonly turns: UserTurns;
  readonly safely: Safely;
  /** Loads the document, and wakes who follows it. */
  readonly open: (user: UserId) => Promise<Hold>;
}

export class DocumentSleep {
  readonly #sleepers: Sleepers;
  readonly #parts: SleepParts;
  #state: Hold | RestRow;
  /** What came in while it wakes. */
  #waiting: (() => void)[] | null = null;
  /** Why it could not be woken the last time. */
  #unavailable: SyncError | null = null;
  /** As it was last, and since when. */
  #demand = -1;
  #calmSince = 0;

  /** @param state awake, or what is noted of it */
  constructor(sleepers: Sleepers, state: Hold | RestRow, parts: SleepParts) {
    this.#sleepers = sleepers;
    this.#state = state;
    this.#parts = parts;
  }

  /** In memory; `null` while it sleeps. */
  get document(): UserDocument | null {
    return 'document' in this.#state ? this.#state.document : null;
  }

  /** What is known of it while it sleeps. */
  get noted(): RestRow | null {
    return 'document' in this.#state ? null : this.#state;
  }

  /** What there is of it: in memory, or noted. */
  get state(): Hold | RestRow {
    return this.#state;
  }

  /** Whether what comes in waits for the store. */
  get isWaking(): boolean {
    return this.#waiting !== null;
  }

  get isPaused(): boolean {
    return this.isWaking || (this.document?.isPaused ?? false);
  }

  get unavailable(): SyncError | null {
    return this.#unavailable;
  }

  /** Nobody follows it any more; returns whether it was in memory. */
  release(): boolean {
    if (!('document' in this.#state)) return false;
    this.#state.release();
    return true;
  }

  /** Runs `task` when the document, or what is noted of it, is in order: at once, or when it is awake. */
  whenReady(task: () => void): void {
    if (this.#waiting !== null) this.#waiting.push(task);
    else if (this.document !== null) this.document.whenReady(task);
    else task();
  }

  /** Lets what comes in wait for the store; then runs `task` before all of that, with `null` where it did not answer. */
  readFirst<T>(reading: Promise<T>, task: (found: T | null) => void): void {
    let found: T | null = null;
    const waiting = [() => task(found)];
    this.#waiting = waiting;
    this.#parts.turns.block();
    const goOn = () => {
      if (this.#waiting !== waiting) return; // somebody has woken it, or it has failed
      this.goOn();
      this.#sleepers.endUnused();
    };
    reading.then((value) => {
      found = value;
      goOn();
    }, goOn);
  }

  /** Wakes the document: what comes in from here on waits until it is there, or can't be. */
  needs(): void {
    if (this.document !== null || this.isWaking || this.#sleepers.failure !== null) return;
    this.#waiting = [];
    this.#unavailable = null;
    this.#parts.turns.block();
    this.#parts.open(this.#sleepers.user).then(
      (hold) => {
        if (this.document !== null || this.#sleepers.failure !== null) hold.release();
        else this.wake(hold);
      },
      (error: unknown) => this.#notWoken(error instanceof SyncError ? error : new SyncError('INTERNAL')),
    );
  }

  /**
   * Where the store takes no loads, it sleeps on, with all who follow it: of what waited, that fails which needs the
   * document. Where the document itself is at fault, everybody has to start anew.
   */
  #notWoken(error: SyncError): void {
    if (error.code !== 'STORE_UNAVAILABLE') {
      this.#sleepers.fail(error);
      return;
    }
    this.#unavailable = error;
    this.goOn();
    this.#sleepers.endUnused();
  }

  /** The document was loaded, by whomever: from here on it is followed there. Nobody changes it before. */
  wake(hold: Hold): void {
    this.#state = hold;
    this.#demand = -1;
    this.#sleepers.woken(hold.document);
    this.goOn();
    this.#sleepers.endUnused();
  }

  /** What waited is done in its order; what closes the document lets the rest wait there. */
  goOn(): void {
    if (this.#waiting === null) return;
    const tasks = this.#waiting;
    this.#waiting = null;
    for (const task of tasks) this.whenReady(() => this.#parts.safely(task));
    if (!this.isPaused) this.#parts.turns.unblock();
  }

  /**
   * Lets go of the document where it has not changed for so long, and nobody needs it. To be called now and then.
   *
   * @param now in ms, from any moment on
   */
  sleepAfter(ms: number, now: number): void {
    if (!this.#maySleep(this.#state)) return;
    const { demand } = this.#state.document.rest;
    if (demand !== this.#demand) {
      this.#demand = demand;
      this.#calmSince = now;
    }
    if (now - this.#calmSince >= ms) this.#sleep(this.#state);
  }

  /** Lets go of it now where nobody needs it; returns whether that was so. */
  sleepNow(): boolean {
    if (!this.#maySleep(this.#state)) return false;
    this.#sleep(this.#state);
    return this.document === null;
  }

  #maySleep(state: Hold | RestRow): state is Hold {
    if (!('document' in state) || this.#sleepers.failure !== null) return false;
    return state.document.erased === null; // its tombstone has to be asked at each message
  }

  /** In one go: between what is noted and the letting go nothing can come in. */
  #sleep(hold: Hold): void {
    const { document, isSole } = hold;
    if (!isSole || this.isPaused || !this.#sleepers.areQuiet) return;
    const row = document.rest.prepare() ? document.rest.note() : null;
    if (row === null) return;
    this.#state = row;
    this.#sleepers.fallenAsleep(document);
    hold.letGo();
  }
}
