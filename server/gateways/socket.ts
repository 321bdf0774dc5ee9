/** What both protocols need of a WebSocket: sending, holding, liveness, and a clean end. */
import type { Socket as Stream } from 'node:net';
import type { WebSocket } from 'ws';
import { SyncError } from '../../shared/errors.js';

/** A close reason may have 123 bytes (RFC 6455). */
const MAX_REASON = 123;
/** What is left to a peer that is cut off to take the close message, in ms. */
const LAST_WORDS = 5_000;

/**
 * Why nothing is read from a socket: the document loads or is in work, the rate is used up, its user has sent enough
 * for now, it reads too slowly, we stop.
 */
export type Hold = 'loading' | 'work' | 'rate' | 'turn' | 'reader' | 'stopping';

const BINARY = { binary: true } as const;
const TEXT = { binary: false } as const;

export interface SocketOptions {
  /** Bytes that may wait to be sent before nothing more is read. */
  readonly bufferPause: number;
  /** Bytes that may wait to be sent before the connection is ended. */
  readonly bufferClose: number;
  /** Bytes of each message that goes out. */
  readonly onSent?: (bytes: number) => void;
}

export class Socket {
  readonly #ws: WebSocket;
  readonly #stream: Stream;
  readonly #options: SocketOptions;
  readonly #holds = new Set<Hold>();
  #alive = true;
  #received = 0;
  #sent = 0;
  #gone = 0;
  /** Bytes under way that do not count as waiting: those of the first sync. */
  #exempt = 0;
  #isFirst = true;

  constructor(ws: WebSocket, stream: Stream, options: SocketOptions) {
    this.#ws = ws;
    this.#stream = stream;
    this.#options = options;
    ws.on('pong', () => this.noteLife());
  }

  send(message: Uint8Array): void {
    this.#send(message, message.length, true);
  }

  /** A text message, which may be encoded already. */
  sendText(text: string | Buffer): void {
    this.#send(text, Buffer.byteLength(text), false);
  }

  /** Sends what was asked for; `sent` is called when it has left. The first such answer may be of any size. */
  answer(message: Uint8Array | string, sent: () => void): void {
    const size = typeof message === 'string' ? Buffer.byteLength(message) : message.length;
    const exempt = this.#isFirst ? size : 0;
    this.#isFirst = false;
    this.#exempt += exempt;
    this.#send(message, size, typeof message !== 'string', () => {
      this.#exempt -= exempt;
      sent();
    });
  }

  /** Bytes that wait for the reader. */
  get waiting(): number {
    return Math.max(0, this.#ws.bufferedAmount - this.#exempt);
  }

  ping(payload: string): void {
    if (this.#ws.readyState === this.#ws.OPEN) this.#ws.ping(payload);
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
    const isHeld = this.#holds.size > (this.#holds.has('reader') ? 1 : 0);
    if (this.#alive || isMoving || isHeld) this.ping('');
    else this.terminate();
    this.#alive = false;
    this.#received = this.#stream.bytesRead;
    this.#gone = this.#sent - this.#ws.bufferedAmount;
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
    this.#holds.add(why);
    this.#ws.pause();
  }

  /** The same, for as long as `until` takes; one that is being closed has to hear of it. */
  holdUntil(why: Hold, until: (over: () => void) => void): void {
    if (this.#holds.has(why) || this.#ws.readyState !== this.#ws.OPEN) return;
    this.hold(why);
    until(() => this.release(why));
  }

  release(why: Hold): void {
    if (this.#holds.delete(why) && this.#holds.size === 0) this.#ws.resume();
  }

  releaseAll(): void {
    this.#holds.clear();
    this.#ws.resume();
  }

  isHeld(why: Hold): boolean {
    return this.#holds.has(why);
  }

  #send(message: Uint8Array | string, size: number, binary: boolean, sent?: () => void): void {
    if (this.#ws.readyState !== this.#ws.OPEN) return;
    if (this.waiting > this.#options.bufferClose) {
      this.cutOff(new SyncError('OVERLOADED'));
      return;
    }
    this.#sent += size;
    this.#options.onSent?.(size);
    const mayWait = this.waiting + size > this.#options.bufferPause;
    const left = () => {
      sent?.();
      if (this.waiting <= this.#options.bufferPause) this.release('reader');
    };
    // Most messages are small and need none of this.
    this.#ws.send(message, binary ? BINARY : TEXT, mayWait || sent ? left : undefined);
    if (mayWait && this.waiting > this.#options.bufferPause) this.hold('reader');
  }
}

/** Cuts to the bytes that a reason may have, never inside a character. */
function cut(reason: string): string {
  const bytes = Buffer.from(reason);
  if (bytes.length <= MAX_REASON) return reason;
  return new TextDecoder().decode(bytes.subarray(0, MAX_REASON), { stream: true });
}
