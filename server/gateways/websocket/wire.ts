/** One open WebSocket with what it is held to: its socket, its flow, and what both count. */
import type { Socket as Stream } from 'node:net';
import type { RawData, WebSocket } from 'ws';
import type { UserId } from '../../../shared/names.js';
import type { Config } from '../../config.js';
import type { Arrival, Sender } from '../../documents/turns/turn-line.js';
import type { Turns } from '../../documents/turns/turns.js';
import type { Metrics } from '../../metrics.js';
import type { RateLimiter } from '../../net/token-bucket.js';
import type { Caller, Quotas } from '../guard/quotas.js';
import { FlowControl, type FlowControlOptions } from './flow-control.js';
import { Socket, type SocketOptions } from './socket.js';
import type { Via } from './upgrade-request.js';

export interface WireOptions {
  readonly config: Config;
  readonly quotas: Quotas;
  readonly metrics: Metrics;
  /** Milliseconds from any moment on; never jumps. */
  readonly uptime: () => number;
  readonly turns: Turns;
}

/** What becomes of what comes in. */
export interface Receiver {
  /** Whether messages are still taken; asked when one comes. */
  readonly isOpen: boolean;
  /** A message, in its turn; `settled` once what it did is durable. */
  receive(message: Uint8Array | string, settled: () => void): void;
  /** @param at when it came, by the clock that never jumps */
  pong(payload: string, at: number): void;
  /** The WebSocket is closed. */
  closed(code: number, reason: Buffer): void;
}

/** A WebSocket as it was accepted. */
export interface Accepted {
  readonly ws: WebSocket;
  readonly stream: Stream;
  readonly caller: Caller & { readonly user: UserId };
}

/** What all sockets of a protocol have in common. */
export class Wires implements SocketOptions {
  readonly via: Via;
  readonly options: WireOptions;
  readonly bufferPause: number;
  readonly bufferClose: number;
  readonly pingInterval: number;

  constructor(via: Via, options: WireOptions) {
    this.via = via;
    this.options = options;
    const { bufferPause, bufferClose, pingInterval } = options.config;
    this.bufferPause = bufferPause;
    this.bufferClose = bufferClose;
    this.pingInterval = pingInterval;
  }

  onSent(bytes: number): void {
    const { metrics } = this.options;
    metrics.messagesOut.add(this.via);
    metrics.bytesOut.add(this.via, bytes);
  }
}

/** What `ws` calls are functions that all of them share, which find the one that it is about here. */
const WIRES = new WeakMap<WebSocket, Wire>();

/** Thousands of them are quiet: one has no closures of its own. */
export class Wire implements FlowControlOptions, Sender {
  readonly socket: Socket;
  readonly flow: FlowControl;
  #limiter: RateLimiter | null = null;
  readonly #wires: Wires;
  readonly #stream: Stream;
  readonly #caller: Accepted['caller'];
  /** When the last message or pong came, by the clock that never jumps. */
  heardAt: number;
  #receiver: Receiver | null = null;

  constructor({ ws, stream, caller }: Accepted, wires: Wires) {
    this.#wires = wires;
    this.#stream = stream;
    this.#caller = caller;
    this.heardAt = this.now();
    this.socket = new Socket(ws, stream, wires);
    this.flow = new FlowControl(this);
    WIRES.set(ws, this);
    ws.on('message', onMessage).on('ping', onPing).on('pong', onPong).on('close', onClose);
  }

  get limiter(): RateLimiter {
    this.#limiter ??= this.#wires.options.quotas.newLimiter();
    return this.#limiter;
  }

  /** To be called every few seconds: what is full again is as if it had never been asked. */
  sweep(): void {
    if (this.#limiter?.isFull) this.#limiter = null;
  }

  get via(): Via {
    return this.#wires.via;
  }

  get received(): number {
    return this.#stream.bytesRead;
  }

  now(): number {
    return this.#wires.options.uptime();
  }

  after(ms: number, task: () => void): void {
    setTimeout(task, ms).unref();
  }

  inTurn(task: () => void): void {
    this.#wires.options.turns.first(this.#caller.user, task);
  }

  onPause(): void {
    this.#wires.options.metrics.pauses.add(this.via);
  }

  /** Is read more slowly: its user has sent enough for now. */
  hold(): void {
    this.onPause();
    this.socket.hold('turn');
  }

  release(): void {
    this.socket.release('turn');
  }

  /** Sends what the client asked for, which it pays for; see `FlowControl.charge`. */
  answer(messages: readonly Uint8Array[], sent: () => void): void {
    const size = messages.reduce((sum, { length }) => sum + length, 0);
    this.#wires.options.quotas.sharedOf(this.#caller).take(0, size);
    this.flow.charge(size);
    this.socket.answer(messages, this.via === 'yjs', sent);
  }

  /** Hands over each message and pong from here on in their order, at the rate that they may come, in the turns of the user. */
  follow(receiver: Receiver): void {
    this.#receiver = receiver;
  }

  heardMessage(data: RawData, isBinary: boolean): void {
    const { metrics } = this.#wires.options;
    this.socket.noteLife();
    this.heardAt = this.now();
    const message = isBinary ? ownBytes(data) : data.toString();
    metrics.messagesIn.add(this.via);
    metrics.bytesIn.add(this.via, message.length);
    if (!this.#receiver?.isOpen) return;
    this.#enter(1, message.length, (settled) => {
      if (!this.flow.take(() => this.#receiver?.receive(message, settled))) settled();
    });
  }

  /** It answers what we sent, so it is not on the user's account; but it keeps its place among the messages. */
  heardPong(bytes: Buffer): void {
    this.socket.notePong(bytes);
    const payload = bytes.toString();
    const at = this.now();
    this.heardAt = at;
    this.#enter(0, payload.length, (settled) => {
      settled();
      this.flow.take(() => this.#receiver?.pong(payload, at));
    });
  }

  /** Runs a task of the server behind what has come in. */
  behind(task: () => void): void {
    this.#enter(0, 0, (settled) => {
      settled();
      if (!this.flow.take(task)) task();
    });
  }

  closed(code: number, reason: Buffer): void {
    this.#receiver?.closed(code, reason);
  }

  #enter(messages: number, bytes: number, run: Arrival['run']): void {
    this.#wires.options.turns.enter(this.#caller.user, { messages, bytes, sender: this, run });
  }
}

function onMessage(this: WebSocket, data: RawData, isBinary: boolean): void {
  WIRES.get(this)?.heardMessage(data, isBinary);
}

function onPing(this: WebSocket): void {
  WIRES.get(this)?.flow.take(nothing);
}

function onPong(this: WebSocket, payload: Buffer): void {
  WIRES.get(this)?.heardPong(payload);
}

function onClose(this: WebSocket, code: number, reason: Buffer): void {
  WIRES.get(this)?.closed(code, reason);
}

const nothing = (): void => {};

/** What stands before a message in its frame has at most so many bytes. */
const MAX_HEADER = 14;

/**
 * What came in one read with others would keep all of them in memory, so it is copied (S2). What came alone, as most
 * messages do, is not: that costs more than reading them.
 */
export function ownBytes(data: RawData): Uint8Array {
  if (!Buffer.isBuffer(data)) return new Uint8Array(Array.isArray(data) ? Buffer.concat(data) : data);
  const { buffer, byteOffset, length } = data;
  const isAlone = buffer.byteLength <= length + MAX_HEADER;
  return isAlone ? new Uint8Array(buffer, byteOffset, length) : new Uint8Array(data);
}
