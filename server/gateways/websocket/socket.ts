/** What both protocols need of a WebSocket: sending, holding, liveness, and a clean end. */
import type { Socket as Stream } from 'node:net';
import type { WebSocket } from 'ws';
import { SyncError } from '../../errors.js';
import { MAX_JOINED, messageFrame, pingFrame } from './frames.js';

/** A close reason may have 123 bytes (RFC 6455). */
const MAX_REASON = 123;
/** What is left to a peer that is cut off to take the close message, in ms. */
const LAST_WORDS = 5_000;
/** What the slowest line takes, in bytes per ms: half of the 40 KB/s that N10 speaks of. */
const SLOWEST_LINE = 20;

/**
 * Why nothing is read from a socket: the document loads or is in work, the disk does not keep up, the rate is used
 * up, its user has sent enough for now, it reads too slowly, it is put off, we stop.
 */
export type Hold = 'loading' | 'work' | 'disk' | 'rate' | 'turn' | 'reader' | 'put off' | 'stopping';

/** A bit for each. */
const BITS: Readonly<Record<Hold, number>> = {
  loading: 1,
  work: 2,
  disk: 4,
  rate: 8,
  turn: 16,
  reader: 32,
  'put off': 64,
  stopping: 128,
};

const BINARY = { binary: true } as const;
const TEXT = { binary: false } as const;

export interface SocketOptions {
  /** Bytes that may wait to be sent before nothing more is read. */
  readonly bufferPause: number;
  /** Bytes that may wait to be sent before the connection is ended. */
  readonly bufferClose: number;
  /** Time between two calls of `checkLife`, in ms. */
  readonly pingInterval?: number;
  /** Bytes of each message that goes out. */
  readonly onSent?: (bytes: number) => void;
}

export class Socket {
  readonly #ws: WebSocket;
  readonly #stream: Stream;
  readonly #options: SocketOptions;
  #holds = 0;
  #alive = true;
  #received = 0;
  #sent = 0;
  #gone = 0;
  /** What a pong proved to have arrived, and what the ping under way will prove. */
  #arrived = 0;
  #asked: number | null = null;
  #silences = 0;
  /** Bytes under way that do not count as waiting: those of the first sync. */
  #exempt = 0;
  #isFirst = true;

  constructor(ws: WebSocket, stream: Stream, options: SocketOptions) {
    this.#ws = ws;
    this.#stream = stream;
    this.#options = options;
  }

  get isOpen(): boolean {
    return this.#ws.readyState === this.#ws.OPEN;
  }

  /** Messages that belong together: all of them leave, or none. */
  send(messages: readonly Uint8Array[]): void {
    if (!this.#mayAdd()) return;
    for (const message of messages) this.#send(message, true);
  }

  /** A text message, which may be encoded already. */
  sendText(text: string | Buffer): void {
    if (this.#mayAdd()) this.#send(text, false);
  }

  /** Sends what was asked for; `sent` is called when all has left. The first such answer may be of any size. */
  answer(messages: readonly Uint8Array[], isBinary: boolean, sent: () => void): void {
    if (!this.#mayAdd()) return;
    const isExempt = this.#isFirst;
    this.#isFirst = false;
    let left = messages.length;
    for (const message of messages) {
      const exempt = isExempt ? message.length : 0;
      this.#exempt += exempt;
      this.#send(message, isBinary, () => {
        this.#exempt -= exempt;
        if (--left === 0) sent();
      });
    }
  }

  /** Bytes that wait for the reader. */
  get waiting(): number {
    return Math.max(0, this.#ws.bufferedAmount - this.#exempt);
  }

  /** The same with those of the first sync. */
  get unsent(): number {
    return this.#ws.bufferedAmount;
  }

  /** What `work` sends leaves in one write: each write costs as much as what it is about. */
  together<Result>(work: () => Result): Result {
    this.#stream.cork();
    try {
      return work();
    } finally {
      this.#stream.uncork();
    }
  }

  /** @param payload of one byte a letter, at most 125 of them */
  ping(payload: string): void {
    if (this.#ws.readyState === this.#ws.OPEN) this.#stream.write(pingFrame(payload));
  }

  /** The peer was heard of. */
  noteLife(): void {
    this.#alive = true;
  }

  /** To be called once per ping interval: ends a connection that was silent since the last call. */
  checkLife(): void {
    // Behind a long message no pong gets through, in either direction; and what is not read is not heard.
    const gone = this.#sent - this.#ws.bufferedAmount;
    const isMoving = this.#stream.bytesRead > this.#received || gone > this.#gone;
    const isHeld = (this.#holds & ~BITS.reader) !== 0;
    this.#silences = this.#alive || isMoving || isHeld ? 0 : this.#silences + 1;
    if (this.#silences > this.#patience) this.terminate();
    else this.#askLife();
    this.#alive = false;
    this.#received = this.#stream.bytesRead;
    this.#gone = this.#sent - this.#ws.bufferedAmount;
  }

  /** How many silences may follow each other: what the system took for a slow line is on its way for long. */
  get #patience(): number {
    const { pingInterval = Number.POSITIVE_INFINITY } = this.#options;
    return Math.floor((this.#sent - this.#arrived) / (SLOWEST_LINE * pingInterval));
  }

  #askLife(): void {
    this.#asked ??= this.#sent;
    this.ping('');
  }

  /** A client that answers pings with other content has reasons of its own. */
  notePong(payload: Buffer): void {
    this.noteLife();
    if (this.#asked === null || payload.length > 0) return;
    this.#arrived = this.#asked;
    this.#asked = null;
  }

  close(code: number, reason: string): void {
    this.#ws.close(code, cut(reason));
  }

  end(error: SyncError): void {
    this.releaseAll();
    this.close(error.closeCode, error.message);
  }

  /** The same for a peer that will not take part in a clean end. */
  cutOff(error: SyncError): void {
    this.end(error);
    setTimeout(() => this.terminate(), LAST_WORDS).unref();
  }

  terminate(): void {
    this.#ws.terminate();
  }

  /** Reads nothing more until every hold is released; TCP slows the sender. */
  hold(why: Hold): void {
    this.#holds |= BITS[why];
    this.#ws.pause();
  }

  /** The same, for as long as `until` takes; one that is being closed has to hear of it. */
  holdUntil(why: Hold, until: (over: () => void) => void): void {
    if (this.isHeld(why) || this.#ws.readyState !== this.#ws.OPEN) return;
    this.hold(why);
    until(() => this.release(why));
  }

  release(why: Hold): void {
    if (!this.isHeld(why)) return;
    this.#holds &= ~BITS[why];
    if (this.#holds === 0) this.#ws.resume();
  }

  releaseAll(): void {
    this.#holds = 0;
    this.#ws.resume();
  }

  /** Nothing is read from it, for whatever reason. */
  get isHolding(): boolean {
    return this.#holds !== 0;
  }

  isHeld(why: Hold): boolean {
    return (this.#holds & BITS[why]) !== 0;
  }

  /** Looked at before something is added: one answer of any size gets through to a client that reads. */
  #mayAdd(): boolean {
    if (this.#ws.readyState !== this.#ws.OPEN) return false;
    if (this.waiting <= this.#options.bufferClose) return true;
    this.cutOff(new SyncError('OVERLOADED', 'The connection reads too slowly.'));
    return false;
  }

  #send(message: Uint8Array | string, binary: boolean, sent?: () => void): void {
    const size = Buffer.byteLength(message);
    this.#sent += size;
    this.#options.onSent?.(size);
    const mayWait = this.waiting + size > this.#options.bufferPause;
    const left = () => {
      sent?.();
      if (this.waiting <= this.#options.bufferPause) this.release('reader');
    };
    // Most messages are small and need none of this.
    const done = mayWait || sent ? left : undefined;
    if (typeof message === 'string' || message.length > MAX_JOINED)
      this.#ws.send(message, binary ? BINARY : TEXT, done);
    else this.#stream.write(messageFrame(message, binary), done);
    if (mayWait && this.waiting > this.#options.bufferPause) this.hold('reader');
  }
}

/** Cuts to the bytes that a reason may have, never inside a character. */
function cut(reason: string): string {
  const bytes = Buffer.from(reason);
  if (bytes.length <= MAX_REASON) return reason;
  return new TextDecoder().decode(bytes.subarray(0, MAX_REASON), { stream: true });
}
