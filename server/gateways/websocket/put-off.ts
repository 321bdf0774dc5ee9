/**
 * Who comes while the server is overloaded, or has not started yet, or the node that would serve it can't be reached.
 * Its WebSocket opens, nothing is read from it, and it closes with 1013 some seconds later, at a random time: clients
 * that come again at once after a close, all alike, are spread by that.
 */
import { type ErrorCode, SyncError } from '../../errors.js';
import type { Metrics } from '../../metrics.js';
import { putOffFor } from '../guard/overload.js';
import { type Door, endSoon, openDoor, refuse } from './rejections.js';
import type { Socket } from './socket.js';

/** So many wait to be closed; others are refused at once, which their clients can't tell from a lost connection. */
const MOST = 2_000;

interface PutOffOptions {
  /** Null where there are none yet. */
  readonly metrics: Metrics | null;
  /** From 0 to 1. */
  readonly random: () => number;
}

export class PutOff {
  readonly #options: PutOffOptions;
  readonly #timers = new Map<Socket, NodeJS.Timeout>();
  #isClosed = false;

  constructor(options: PutOffOptions) {
    this.#options = options;
  }

  take(door: Door, code: ErrorCode): void {
    const { metrics, random } = this.#options;
    metrics?.refused.add(code);
    const seconds = putOffFor(random);
    if (this.#timers.size >= MOST) {
      refuse(door.stream, { code, retryAfter: Math.ceil(seconds) });
      return;
    }
    openDoor(door, (socket) => {
      socket.hold('put off');
      if (this.#isClosed) return this.#end(socket, new SyncError('RESTARTING'));
      const timer = setTimeout(() => this.#end(socket, new SyncError(code)), seconds * 1_000);
      this.#timers.set(socket, timer.unref());
      door.stream.once('close', () => this.#forget(socket));
    });
  }

  /** The server stops, or has started. */
  close(): void {
    this.#isClosed = true;
    for (const socket of [...this.#timers.keys()]) this.#end(socket, new SyncError('RESTARTING'));
  }

  #end(socket: Socket, error: SyncError): void {
    this.#forget(socket);
    socket.end(error);
    endSoon(socket);
  }

  #forget(socket: Socket): void {
    clearTimeout(this.#timers.get(socket));
    this.#timers.delete(socket);
  }
}
