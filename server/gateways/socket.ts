/** What both protocols need of a WebSocket: sending, liveness, and a clean end. */
import type { WebSocket } from 'ws';
import type { SyncError } from '../../shared/errors.js';

/** A close reason may have 123 bytes (RFC 6455). */
const MAX_REASON = 123;

export class Socket {
  readonly #ws: WebSocket;
  #alive = true;

  constructor(ws: WebSocket) {
    this.#ws = ws;
    ws.on('pong', () => this.noteLife());
  }

  send(message: Uint8Array): void {
    if (this.#ws.readyState === this.#ws.OPEN) this.#ws.send(message);
  }

  /** A text message, which may be encoded already. */
  sendText(text: string | Buffer): void {
    if (this.#ws.readyState === this.#ws.OPEN) this.#ws.send(text, { binary: false });
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
    if (this.#alive) this.ping('');
    else this.terminate();
    this.#alive = false;
  }

  close(code: number, reason: string): void {
    this.#ws.close(code, cut(reason));
  }

  end(error: SyncError): void {
    this.close(error.closeCode, error.message);
  }

  terminate(): void {
    this.#ws.terminate();
  }

  pause(): void {
    this.#ws.pause();
  }

  resume(): void {
    this.#ws.resume();
  }
}

/** Cuts to the bytes that a reason may have, never inside a character. */
function cut(reason: string): string {
  const bytes = Buffer.from(reason);
  if (bytes.length <= MAX_REASON) return reason;
  return new TextDecoder().decode(bytes.subarray(0, MAX_REASON), { stream: true });
}
