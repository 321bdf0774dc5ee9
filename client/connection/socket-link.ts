import { COMING } from '../../shared/yjs-messages.js';
import type { Clock, WebSocketConstructor, WebSocketLike } from '../platform/platform.js';
import { readServerMessage } from './messages.js';
import {
  type SessionEvents,
  SocketSession,
  type SocketSessionOptions,
  type Suspect,
} from './socket-session.js';
import type { SocketAddress } from './urls.js';

/** Why a socket is gone. */
export interface LinkEnd {
  /** The close code; null where this side gave up, or the socket never opened. */
  readonly code: number | null;
  readonly reason: string;
  /** The server that was asked for said so, and nothing on the way (C10). */
  readonly proved?: boolean;
  /** The change that the server refused by closing, where that is known. */
  readonly suspect?: Suspect | null;
  /** The server did not answer `probe` in time. */
  readonly isDead?: boolean;
  /** Why a message of the server could not be applied. */
  readonly cause?: unknown;
}

export interface LinkEvents extends SessionEvents {
  /** Once, and never after `close`. */
  ended(end: LinkEnd): void;
}

export interface SocketLinkOptions extends Omit<SocketSessionOptions, 'send' | 'events'> {
  readonly WebSocket: WebSocketConstructor;
  readonly address: SocketAddress;
  readonly clock: Clock;
  readonly events: LinkEvents;
}

const CONNECT_TIMEOUT = 10_000;
/** The server speaks at least every 15 s (N6). */
const SILENCE = 30_000;
/** What a socket may take to show that it has outlived a change of network. */
const SIGN_OF_LIFE = 3_000;
/** The same while data comes in, of which nothing is seen before a message is complete: 10 s at 40 KB/s (N10). */
const WHILE_LOADING = 12_000;

/** What the slowest line takes, in bytes per ms: half of the 40 KB/s that N10 speaks of. */
const SLOWEST_LINE = 20;

/** Whatever answers without the proof is not our server: its messages are dropped, and it gets none (C10). */
const FOREIGN = 'Something on the way answered instead of the server; it is tried again by itself.';

/** One socket, from the attempt to its end. */
export class SocketLink {
  readonly session: SocketSession;
  readonly #options: SocketLinkOptions;
  #socket: WebSocketLike | null = null;
  #ended = false;
  #isProbed = false;
  #stopTimer = (): void => {};

  constructor(options: SocketLinkOptions) {
    this.#options = options;
    this.session = new SocketSession({ ...options, send: (message) => this.#send(message) });
  }

  open(): void {
    const { WebSocket, address } = this.#options;
    this.#giveUpAfter(CONNECT_TIMEOUT, 'The server did not answer in time.');
    try {
      const { url, protocols } = address;
      this.#socket = protocols === undefined ? new WebSocket(url) : new WebSocket(url, [...protocols]);
      this.#listen(this.#socket);
    } catch (cause) {
      this.#end({ code: null, reason: `No connection can be made: ${String(cause)}` });
    }
  }

  /** Asks the server for an answer, and ends the socket where none comes soon. */
  probe(): void {
    if (this.#isProbed) return;
    this.#isProbed = true;
    const { session } = this;
    session.round(() => {});
    const limit = session.isLoading ? WHILE_LOADING : SIGN_OF_LIFE;
    this.#giveUpAfter(limit, 'The connection did not outlive a change of the network.', true);
  }

  /** Ends it without a word to the owner. */
  close(): void {
    this.#finish();
  }

  #listen(socket: WebSocketLike): void {
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => this.#sawSignOfLife();
    socket.onmessage = ({ data }) => this.#onMessage(data);
    // This listener stays when the others are removed: some sockets throw where no one listens to errors.
    socket.onerror = () => {};
    socket.onclose = ({ code, reason }) =>
      this.#end({ code, reason, proved: this.session.isProved, suspect: this.session.suspect });
  }

  /** @param coming the size of a message that is on its way, of which nothing is seen before its end */
  #sawSignOfLife(coming = 0): void {
    // A message announced by `coming` takes its time: a probe meanwhile must not cut it off.
    this.#isProbed = coming > 0;
    this.#giveUpAfter(SILENCE + coming / SLOWEST_LINE, 'The server has gone silent.');
  }

  #onMessage(data: unknown): void {
    if (this.#ended) return;
    const fail = (cause: unknown): void =>
      this.#end({ code: null, reason: 'What the server sent could not be taken.', cause });
    const bytes = bytesOf(data);
    if (!this.session.proves(bytes)) {
      this.#end({ code: null, reason: FOREIGN });
      return;
    }
    this.#sawSignOfLife(bytes?.[0] === COMING ? comingIn(bytes) : 0);
    if (bytes === null) fail(new Error('A text message where bytes are expected.'));
    else this.session.handle(bytes).catch(fail);
  }

  #send(message: Uint8Array): void {
    try {
      this.#socket?.send(message);
    } catch {
      this.#end({ code: null, reason: 'The connection broke off.' });
    }
  }

  #giveUpAfter(ms: number, reason: string, isDead = false): void {
    this.#stopTimer();
    this.#stopTimer = this.#options.clock.after(ms, () => this.#end({ code: null, reason, isDead }));
  }

  #end(end: LinkEnd): void {
    if (this.#ended) return;
    this.#finish();
    this.#options.events.ended(end);
  }

  #finish(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#stopTimer();
    this.session.end();
    const socket = this.#socket;
    if (socket === null) return;
    socket.onopen = null;
    socket.onmessage = null;
    socket.onclose = null;
    try {
      socket.close(1000);
    } catch {
      // It is closed already.
    }
  }
}

/** Not by `instanceof`: a socket may come from another realm. */
function bytesOf(data: unknown): Uint8Array | null {
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return typeof data === 'object' && data !== null ? new Uint8Array(data as ArrayBuffer) : null;
}

/** How many bytes the next message has; one that can't be read is refused when it is handled. */
function comingIn(bytes: Uint8Array): number {
  try {
    const message = readServerMessage(bytes);
    return message?.type === 'coming' ? message.bytes : 0;
  } catch {
    return 0;
  }
}
