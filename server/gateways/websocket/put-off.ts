/**
 * Who comes while the server is overloaded, or has not started yet, or the node that would serve it can't be reached.
 * Its WebSocket opens, nothing is read from it, and it closes with 1013 some seconds later, at a random time: clients
 * that come again at once after a close, all alike, are spread by that. Where it can be seen when the reason is over,
 * the client waits here for that, and is told then to connect again (1012): no time is lost by guessing, neither here
 * nor by its pauses, which would grow. A server that can't look waits no longer than before: another one may see more.
 */
import { type ErrorCode, SyncError } from '../../errors.js';
import type { Metrics } from '../../metrics.js';
import { putOffFor } from '../guard/overload.js';
import { type Door, endSoon, openDoor, refuse } from './rejections.js';
import type { Socket } from './socket.js';

/** So many wait to be closed; others are refused at once, which their clients can't tell from a lost connection. */
const MOST = 2_000;
/** So much longer waits who is told when the reason is over, in s: after 30 s of silence clients take a connection for lost. */
const LONGER = 17;
/** From one look whether it is over to the next, about; later where many wait: so long for each of them, in ms. */
const LOOK = 1_000;
const EACH = 5;
const OVER = 'The node that serves this user can be reached again; connect again.';

/**
 * Whether the reason is over; `null` where this server can't tell. Says that it can as soon as it knows, since to hear of
 * the reason itself may take longer.
 */
type Look = (canTell: () => void) => Promise<boolean | null>;

interface PutOffOptions {
  /** Null where there are none yet. */
  readonly metrics: Metrics | null;
  /** From 0 to 1. */
  readonly random: () => number;
}

export class PutOff {
  readonly #options: PutOffOptions;
  readonly #timers = new Map<Socket, NodeJS.Timeout>();
  /** Those for whom the last look has told nothing, or not yet. */
  readonly #untold = new WeakSet<Socket>();
  #isClosed = false;

  constructor(options: PutOffOptions) {
    this.#options = options;
  }

  /** @param mayCome whether the reason is over; left out where nobody can tell */
  take(door: Door, code: ErrorCode, mayCome?: Look): void {
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
      const end = (): void => this.#end(socket, new SyncError(code));
      this.#endIn(socket, seconds, () => {
        if (mayCome === undefined || this.#untold.has(socket)) end();
        else this.#endIn(socket, LONGER, end);
      });
      if (mayCome !== undefined) this.#lookLater(socket, mayCome);
      door.stream.once('close', () => this.#forget(socket));
    });
  }

  /** The server stops, or has started. */
  close(): void {
    this.#isClosed = true;
    for (const socket of [...this.#timers.keys()]) this.#end(socket, new SyncError('RESTARTING'));
  }

  #endIn(socket: Socket, seconds: number, end: () => void): void {
    this.#timers.set(socket, setTimeout(end, seconds * 1_000).unref());
  }

  /** At random times: who has waited does not come at once with all others. */
  #lookLater(socket: Socket, mayCome: Look): void {
    const pause = Math.max(LOOK, this.#timers.size * EACH) * (0.5 + this.#options.random());
    setTimeout(() => void this.#look(socket, mayCome), pause).unref();
  }

  async #look(socket: Socket, mayCome: Look): Promise<void> {
    if (!this.#timers.has(socket)) return;
    this.#untold.add(socket);
    const canTell = () => void this.#untold.delete(socket);
    const isOver = await mayCome(canTell);
    if (!this.#timers.has(socket)) return;
    if (isOver === null) this.#untold.add(socket);
    else canTell();
    if (isOver) this.#end(socket, new SyncError('RESTARTING', OVER));
    else this.#lookLater(socket, mayCome);
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
