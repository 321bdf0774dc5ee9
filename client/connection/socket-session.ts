/** One connection to the native endpoint, without its socket: messages in, messages out. */
import { equalFlat } from 'lib0/array';
import * as messages from '../../shared/message-encoders.js';
import type { Clock } from '../platform/platform.js';
import type { PresenceLink } from '../presence/presence.js';
import { readServerMessage, type ServerMessage } from './messages.js';
import type { PendingChange, SyncSource } from './sync-source.js';
import {
  ageOf,
  bytesIn,
  countIn,
  covered,
  firstPart,
  lacks,
  lastNumber,
  merged,
  PART,
  type PartSize,
  timed,
} from './upload.js';

export interface SessionEvents {
  /** What the server had is here and stored, and what was pending at the start is on its disk. */
  online(): void;
  /** The server answered a checkpoint. */
  confirmed(): void;
  /** The server refused a change: it takes none from this token. */
  denied(reason: string): void;
}

export interface SocketSessionOptions {
  readonly source: SyncSource;
  readonly presence: PresenceLink | undefined;
  readonly clock: Pick<Clock, 'now'>;
  /** The server lacked what the pending changes build on: this time all that it lacks goes in one update. */
  readonly whole: boolean;
  /**
   * A change was refused, and HTTP could not tell which: they go one by one, behind all that the server has, so that
   * the one that is unanswered when the server closes is known (C11).
   */
  readonly careful: boolean;
  /** What the server that was asked for repeats (C10). */
  readonly challenge: string;
  readonly send: (message: Uint8Array) => void;
  readonly events: SessionEvents;
}

/** A checkpoint that the server has not answered. */
interface OpenCheckpoint {
  readonly n: number;
  /** The size of the changes since the checkpoint before this one. */
  readonly bytes: number;
  readonly changes: readonly PendingChange[];
  readonly rounds: readonly (() => void)[];
  /** It follows the last of what this device had when the connection began. */
  readonly settles: boolean;
}

interface Round {
  /** The newest pending change when it was asked for. */
  readonly n: number;
  readonly done: () => void;
}

/** The change after whose sending the server closed the socket. */
export interface Suspect {
  readonly number: number;
  readonly serverHas: Uint8Array;
}

/** What the server gets behind the changes that are pending at the start. */
interface Rest {
  readonly after: number;
  readonly update: Uint8Array;
}

/** Unanswered at a time: enough to keep a line busy, little enough that one which breaks loses little (C11). */
const MOST_BYTES = 2 * PART.bytes;
const MOST_CHECKPOINTS = 8;
const ALONE: PartSize = { bytes: 0, changes: 1 };
/** The state vector of a document without content. */
const EMPTY = Uint8Array.of(0);

export class SocketSession {
  readonly #options: SocketSessionOptions;
  #tail: Promise<unknown> = Promise.resolve();
  #ended = false;
  #greeted = false;
  #synced = false;
  /** The first checkpoint was answered, or will never be. */
  #settled = false;
  #online = false;
  #denied = false;
  #proved = false;
  /** The server has said that it takes changes with their times (N9). */
  #takesTimes = false;
  /** The server hears how many changes wait here. */
  #tells = false;
  /** The newest pending change that was sent on this connection. */
  #sentUpTo = 0;
  #checkpoints: OpenCheckpoint[] = [];
  #rounds: Round[] = [];
  /** Null once it is sent, and until the server's SyncStep1 has come. */
  #rest: Rest | null = null;
  /** The numbers of pending changes that the server has already. */
  #covered: ReadonlySet<number> = new Set();
  /** The server lacks what the pending changes build on; it can confirm them only once the rest has come. */
  #isBehind = false;
  #careful = false;
  /** While it is careful: what the server is known to have. */
  readonly #has: Uint8Array[] = [];
  #endPending = (): void => {};

  constructor(options: SocketSessionOptions) {
    this.#options = options;
  }

  get isOnline(): boolean {
    return this.#online;
  }

  /** It is our server that speaks, and nothing on the way. */
  get isProved(): boolean {
    return this.#proved;
  }

  /** The server has begun to send what it has, and has not ended yet. */
  get isLoading(): boolean {
    return this.#greeted && !this.#synced;
  }

  /** The only change that is unanswered, where it is careful. */
  get suspect(): Suspect | null {
    const [open] = this.#checkpoints;
    const [change] = open?.changes ?? [];
    if (!this.#careful || change === undefined) return null;
    return { number: change.number, serverHas: merged(this.#has.map((update) => ({ update }))) };
  }

  get isDenied(): boolean {
    return this.#denied;
  }

  /** Whether our server says this: the proof comes before anything else (C10). */
  proves(bytes: Uint8Array | null): boolean {
    this.#proved ||= bytes !== null && equalFlat(bytes, messages.proof(this.#options.challenge));
    return this.#proved;
  }

  /** Handles a message once those before it are handled; rejects where it can't be. */
  handle(bytes: Uint8Array): Promise<void> {
    const handled = this.#tail.then(() => this.#handleNow(bytes));
    this.#tail = handled.catch(() => this.end());
    return handled;
  }

  /** Calls once the server has what is pending now and has answered since. */
  round(done: () => void): void {
    this.#rounds.push({ n: lastNumber(this.#options.source.pendingAfter(0), 0), done });
    this.#pump();
  }

  /** Nothing is sent or told from here on. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#endPending();
    this.#options.presence?.disconnected();
  }

  async #handleNow(bytes: Uint8Array): Promise<void> {
    if (this.#ended) return;
    const message = readServerMessage(bytes);
    if (message?.type === 'syncStep2' || message?.type === 'update') {
      await this.#options.source.applyRemote(message.update);
      if (this.#careful) this.#has.push(message.update);
      if (message.type === 'syncStep2') this.#synced = true;
      if (this.#careful) this.#pump();
      this.#tellOnline();
    } else if (message !== null) {
      if (message.type === 'syncStep1') await this.#options.source.closeGaps(message.stateVector);
      this.#answer(message);
    }
  }

  #answer(message: Exclude<ServerMessage, { update: Uint8Array }>): void {
    switch (message.type) {
      case 'syncStep1':
        this.#give(message.stateVector);
        return;
      case 'awareness':
        this.#options.presence?.applyRemote(message.entries);
        return;
      case 'checkpoint':
        this.#confirm(message.n);
        return;
      case 'epoch':
        this.#options.source.hearEpoch?.(message.epoch);
        return;
      case 'coming':
        return; // the link has given the server more time when it read this
      case 'takesTimes':
        this.#takesTimes = true;
        this.#tells = message.tells;
        this.#sendTimed([]); // without changes: the server learns from it how far the two clocks are apart
        return;
      case 'denied':
        this.#denied = true;
        this.#settled = true;
        this.#options.events.denied(message.reason);
        this.#tellOnline();
        return;
    }
  }

  #give(serverHas: Uint8Array): void {
    const { source, send } = this.#options;
    if (this.#greeted) send(messages.syncStep2(source.diff(serverHas)));
    else this.#greet(serverHas);
  }

  /**
   * What this device wants is asked for first: it waits for nothing that is sent. The pending changes go before the
   * rest, as they were made: what lost against a concurrent creation is gone from the document, and the server
   * unites only what reaches it (D4).
   */
  #greet(serverHas: Uint8Array): void {
    const { source, whole, careful } = this.#options;
    const pending = source.pendingAfter(0);
    const updates = whole ? [] : pending.map(({ update }) => update);
    const willHave = countIn(serverHas, updates);
    this.#greeted = true;
    if (whole) this.#sentUpTo = lastNumber(pending, 0);
    else this.#covered = covered(pending, serverHas);
    this.#isBehind = lacks(willHave, source.stateVector());
    // Where the changes can be applied only behind the rest, the rest must not leave out what they would bring.
    const update = source.diff(this.#isBehind ? serverHas : willHave);
    this.#rest = { after: lastNumber(pending, 0), update };
    this.#careful = careful && !this.#isBehind;
    this.#send(messages.syncStep1(this.#careful ? EMPTY : source.stateVector()));
    this.#pump();
    if (this.#ended) return;
    this.#endPending = source.onPending(() => this.#pump());
    if (!this.#careful) this.#joinPresence();
  }

  #joinPresence(): void {
    this.#options.presence?.connected((entries) => this.#send(messages.awareness(entries)));
  }

  /** Sends what may be under way, a checkpoint behind each part (N4). */
  #pump(): void {
    if (!this.#greeted) return;
    let left = this.#options.source.pendingAfter(this.#sentUpTo);
    while (!this.#ended) {
      this.#giveRest(left);
      if (left.length === 0) break;
      const part = firstPart(left, this.#careful ? ALONE : PART);
      const given = part.filter(({ number }) => !this.#covered.has(number));
      const bytes = bytesIn(given);
      if (!this.#maySend(bytes)) return;
      this.#sentUpTo = lastNumber(part, 0);
      left = left.slice(part.length);
      if (given.length > 0) this.#sendPart(given);
      const restFollows = !this.#careful && this.#rest !== null && this.#hasGone(this.#rest.after, left);
      if (given.length > 0 && !restFollows) this.#sendCheckpoint(left, { bytes, changes: given });
    }
    const waits = this.#rounds.some(({ n }) => this.#hasGone(n, left));
    if (waits && this.#maySend(0)) this.#sendCheckpoint(left, {});
  }

  #maySend(bytes: number): boolean {
    const open = this.#checkpoints;
    if (this.#careful) return open.length === 0 && this.#synced;
    if (open.length === 0 || (this.#isBehind && this.#rest !== null)) return true;
    return (
      open.length < MOST_CHECKPOINTS && open.reduce((sum, each) => sum + each.bytes, bytes) <= MOST_BYTES
    );
  }

  #giveRest(left: readonly PendingChange[]): void {
    const rest = this.#rest;
    if (rest === null || !this.#hasGone(rest.after, left) || (this.#careful && !this.#maySend(0))) return;
    this.#rest = null;
    this.#send(messages.syncStep2(rest.update));
    this.#sendCheckpoint(left, { bytes: rest.update.length, settles: true });
  }

  /**
   * Whether all that was pending up to this number has gone to the server. What another tab or HTTP has given meanwhile
   * is not left either, and was not sent here. Where another document is stored by now, it may wait there instead.
   */
  #hasGone(upTo: number, [next]: readonly PendingChange[]): boolean {
    if (this.#sentUpTo >= upTo) return true;
    return !this.#options.source.isReplaced && (next === undefined || next.number > upTo);
  }

  #sendPart(part: readonly PendingChange[]): void {
    if (this.#takesTimes) this.#sendTimed(part);
    else this.#send(messages.update(merged(part)));
  }

  #sendTimed(changes: readonly PendingChange[]): void {
    this.#send(messages.timed(this.#options.clock.now(), timed(changes)));
  }

  #send(message: Uint8Array): void {
    if (!this.#ended) this.#options.send(message);
  }

  /** @param left what was not sent yet */
  #sendCheckpoint(
    left: readonly PendingChange[],
    { bytes = 0, changes = [], settles = false }: Partial<OpenCheckpoint>,
  ): void {
    const isIn = ({ n }: Round) => this.#rest === null && this.#hasGone(n, left);
    const rounds = this.#rounds.filter(isIn).map(({ done }) => done);
    this.#rounds = this.#rounds.filter((round) => !isIn(round));
    this.#checkpoints.push({ n: this.#sentUpTo, bytes, changes, rounds, settles });
    this.#send(messages.checkpoint(this.#sentUpTo, ...this.#waiting()));
  }

  /** What an operator asks before wiping a phone: how many changes are here alone, now and when this is answered. */
  #waiting(): number[] {
    if (!this.#tells) return [];
    const { source, clock } = this.#options;
    const all = source.pendingAfter(0);
    const kept = source.kept?.() ?? 0;
    return [all.length + kept, source.pendingAfter(this.#sentUpTo).length + kept, ageOf(all, clock.now())];
  }

  /** An answer stands for those before it, too. */
  #confirm(n: number): void {
    const { source, events } = this.#options;
    const at = this.#checkpoints.findIndex((each) => each.n === n);
    if (at < 0) return;
    const answered = this.#checkpoints.splice(0, at + 1);
    if (this.#careful)
      this.#has.push(...answered.flatMap(({ changes }) => changes.map(({ update }) => update)));
    this.#settled ||= answered.some(({ settles }) => settles);
    source.confirm(n);
    for (const { rounds } of answered) for (const done of rounds) done();
    this.#tellOnline();
    events.confirmed();
    this.#pump();
  }

  #tellOnline(): void {
    if (this.#online || this.#ended || !this.#synced || !this.#settled) return;
    this.#online = true;
    if (this.#careful) this.#joinPresence();
    this.#options.events.online();
  }
}
