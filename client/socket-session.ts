/** One connection to the native endpoint, without its socket: messages in, messages out. */
import { equalFlat } from 'lib0/array';
import { messages } from '../shared/protocol/yjs-messages.js';
import { chunksOf, countIn, lastNumber, mergedChunks, timed } from './connection-upload.js';
import { readServerMessage, type ServerMessage } from './messages.js';
import type { Clock } from './platform.js';
import type { PresenceLink } from './presence.js';
import type { PendingChange, SyncSource } from './sync-source.js';

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
  /** Everything that the server lacks goes in one update: it could not follow the pending changes alone. */
  readonly whole: boolean;
  /** The pending changes go together, without their times: a server that has no room judges them by their sum. */
  readonly together: boolean;
  /** What the server that was asked for repeats (C10). */
  readonly challenge: string;
  readonly send: (message: Uint8Array) => void;
  readonly events: SessionEvents;
}

interface Asked {
  readonly n: number;
  readonly rounds: readonly (() => void)[];
}

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
  /** The newest pending change that was sent on this connection, and that was confirmed on it. */
  #sentUpTo = 0;
  #confirmedUpTo = 0;
  /** The checkpoint that the server has not answered. */
  #asked: Asked | null = null;
  #nextRounds: (() => void)[] = [];
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

  get isDenied(): boolean {
    return this.#denied;
  }

  /** Handles a message once those before it are handled; rejects where it can't be. */
  receive(bytes: Uint8Array): Promise<void> {
    // At once: a close may follow in the same moment.
    this.#proved ||= equalFlat(bytes, messages.proof(this.#options.challenge));
    const handled = this.#tail.then(() => this.#handle(bytes));
    this.#tail = handled.catch(() => this.end());
    return handled;
  }

  /** Calls once the server has what is pending now and has answered since. */
  round(done: () => void): void {
    this.#nextRounds.push(done);
    this.#sendPending();
  }

  /** Nothing is sent or told from here on. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#endPending();
    this.#options.presence?.disconnected();
  }

  async #handle(bytes: Uint8Array): Promise<void> {
    if (this.#ended) return;
    const message = readServerMessage(bytes);
    if (message?.type === 'syncStep2' || message?.type === 'update') {
      await this.#options.source.receive(message.update);
      if (message.type === 'syncStep2') this.#synced = true;
      this.#tellOnline();
    } else if (message !== null) {
      this.#answer(message);
    }
  }

  #answer(message: Exclude<ServerMessage, { update: Uint8Array }>): void {
    switch (message.type) {
      case 'syncStep1':
        this.#give(message.stateVector);
        return;
      case 'awareness':
        this.#options.presence?.receive(message.entries);
        return;
      case 'checkpoint':
        this.#confirm(message.n);
        return;
      case 'coming':
        return; // the link has waited longer since it came
      case 'takesTimes':
        if (this.#options.together) return;
        this.#takesTimes = true;
        this.#sendTimed([]); // nothing holds it up: it tells how far the clocks are apart
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
   * The pending changes go first, as they were made: what lost against a concurrent creation is gone from the
   * document, and the server unites only what reaches it (D4).
   */
  #greet(serverHas: Uint8Array): void {
    const { source, presence, send, whole } = this.#options;
    const pending = source.pendingAfter(0);
    this.#greeted = true;
    this.#sentUpTo = lastNumber(pending, 0);
    const given = whole ? [] : this.#sendAll(pending);
    send(messages.syncStep1(source.stateVector()));
    send(messages.syncStep2(source.diff(countIn(serverHas, given))));
    this.#ask();
    if (this.#ended) return;
    this.#endPending = source.onPending(() => this.#sendPending());
    presence?.connected((entries) => this.#send(messages.awareness(entries)));
  }

  #sendPending(): void {
    if (!this.#greeted || this.#ended) return;
    for (const change of this.#options.source.pendingAfter(this.#sentUpTo)) {
      this.#sentUpTo = change.number;
      if (this.#takesTimes) this.#sendTimed([change]);
      else this.#send(messages.update(change.update));
    }
    this.#askIfNeeded();
  }

  /** In as few messages as is cheap; returns the updates that were sent. */
  #sendAll(pending: readonly PendingChange[]): Uint8Array[] {
    if (this.#takesTimes) {
      for (const chunk of chunksOf(pending)) this.#sendTimed(chunk);
      return pending.map(({ update }) => update);
    }
    const merged = mergedChunks(pending, this.#options.together ? Number.POSITIVE_INFINITY : undefined);
    for (const update of merged) this.#send(messages.update(update));
    return merged;
  }

  #sendTimed(changes: readonly PendingChange[]): void {
    this.#send(messages.timed(this.#options.clock.now(), timed(changes)));
  }

  #send(message: Uint8Array): void {
    if (!this.#ended) this.#options.send(message);
  }

  /** At most one is under way: the answer to it says nothing of what was sent later. */
  #ask(): void {
    this.#asked = { n: this.#sentUpTo, rounds: this.#nextRounds.splice(0) };
    this.#send(messages.checkpoint(this.#sentUpTo));
  }

  #askIfNeeded(): void {
    const isNeeded = this.#sentUpTo > this.#confirmedUpTo || this.#nextRounds.length > 0;
    if (isNeeded && this.#asked === null) this.#ask();
  }

  #confirm(n: number): void {
    const { source, events } = this.#options;
    const asked = this.#asked;
    if (asked === null || asked.n !== n) return;
    this.#asked = null;
    this.#settled = true;
    this.#confirmedUpTo = n;
    source.confirm(n);
    for (const done of asked.rounds) done();
    this.#tellOnline();
    events.confirmed();
    this.#askIfNeeded();
  }

  #tellOnline(): void {
    if (this.#online || this.#ended || !this.#synced || !this.#settled) return;
    this.#online = true;
    this.#options.events.online();
  }
}
