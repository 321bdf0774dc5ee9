/** One open WebSocket with what it is held to: its socket, its flow, and what both count. */
import type { Socket as Stream } from 'node:net';
import type { RawData, WebSocket } from 'ws';
import type { UserId } from '../../../shared/names.js';
import type { Config } from '../../config.js';
import type { Sender } from '../../documents/turns/turn-line.js';
import type { Turns } from '../../documents/turns/turns.js';
import type { Metrics } from '../../metrics.js';
import type { Caller, Quotas } from '../guard/quotas.js';
import { FlowControl } from './flow-control.js';
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
  readonly isOpen: () => boolean;
  /** A message, in its turn; `settled` once what it did is durable. */
  readonly receive: (message: Uint8Array | string, settled: () => void) => void;
  readonly pong: (payload: string) => void;
}

export interface Wire {
  readonly via: Via;
  readonly socket: Socket;
  readonly flow: FlowControl;
  /** Sends what the client asked for, which it pays for; see `FlowControl.charge`. */
  readonly answer: (messages: readonly Uint8Array[], sent: () => void) => void;
  /** Hands over each message and pong in their order, at the rate that they may come, in the turns of the user. */
  follow(receiver: Receiver): void;
}

/** A WebSocket as it was accepted. */
export interface Accepted {
  readonly ws: WebSocket;
  readonly stream: Stream;
  readonly via: Via;
  readonly caller: Caller & { readonly user: UserId };
}

/** What sockets of a protocol are held to: the same object for all of them, as each would have it for good. */
export function socketOptionsOf(via: Via, { config, metrics }: WireOptions): SocketOptions {
  const { bufferPause, bufferClose, pingInterval } = config;
  const onSent = (bytes: number) => {
    metrics.messagesOut.add(via);
    metrics.bytesOut.add(via, bytes);
  };
  return { bufferPause, bufferClose, pingInterval, onSent };
}

export function wire(accepted: Accepted, options: WireOptions, held: SocketOptions): Wire {
  const { ws, stream, via, caller } = accepted;
  const { quotas, metrics, uptime, turns } = options;
  const socket = new Socket(ws, stream, held);
  const flow = new FlowControl({
    socket,
    limiter: quotas.newLimiter(),
    received: () => stream.bytesRead,
    now: uptime,
    after: (ms, task) => void setTimeout(task, ms).unref(),
    onPause: () => metrics.pauses.add(via),
    inTurn: (task) => turns.first(caller.user, task),
  });
  const shared = quotas.sharedOf(caller);
  return {
    via,
    socket,
    flow,
    answer(messages, sent) {
      const size = messages.reduce((sum, { length }) => sum + length, 0);
      shared.take(0, size);
      flow.charge(size);
      socket.answer(messages, via === 'yjs', sent);
    },
    follow: (receiver) => follow(accepted, { socket, flow }, receiver, options),
  };
}

function follow(
  { ws, via, caller: { user } }: Accepted,
  { socket, flow }: Pick<Wire, 'socket' | 'flow'>,
  { isOpen, receive, pong }: Receiver,
  { metrics, turns }: WireOptions,
): void {
  const sender = senderOf(socket, () => metrics.pauses.add(via));
  ws.on('message', (data: RawData, isBinary) => {
    socket.noteLife();
    const message = isBinary ? copyOf(data) : data.toString();
    const bytes = message.length;
    metrics.messagesIn.add(via);
    metrics.bytesIn.add(via, bytes);
    if (!isOpen()) return;
    const run = (settled: () => void) => {
      if (!flow.take(() => receive(message, settled))) settled();
    };
    turns.enter(user, { messages: 1, bytes, sender, run });
  });
  ws.on('ping', () => flow.take(() => {}));
  ws.on('pong', (payload) => {
    const text = payload.toString();
    // It answers what we sent, so it is not on the user's account; but it keeps its place among the messages.
    const run = (settled: () => void) => {
      settled();
      flow.take(() => pong(text));
    };
    turns.enter(user, { messages: 0, bytes: text.length, sender, run });
  });
}

/** A socket that is read more slowly when its user has sent enough for now. */
function senderOf(socket: Socket, onPause: () => void): Sender {
  return {
    hold() {
      onPause();
      socket.hold('turn');
    },
    release: () => socket.release('turn'),
  };
}

/** ws may use the buffer of a message again; what is kept has to be a copy of its own (S2). */
function copyOf(data: RawData): Uint8Array {
  return new Uint8Array(Array.isArray(data) ? Buffer.concat(data) : data);
}
