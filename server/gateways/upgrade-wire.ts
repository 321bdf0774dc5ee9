/** One open WebSocket with what it is held to: its socket, its flow, and what both count. */
import type { Socket as Stream } from 'node:net';
import type { RawData, WebSocket } from 'ws';
import type { Config } from '../config.js';
import type { Metrics } from '../metrics.js';
import type { Admission, Caller } from './admission.js';
import { Socket } from './socket.js';
import { Flow } from './socket-flow.js';
import type { Via } from './upgrade-request.js';

export interface WireOptions {
  readonly config: Config;
  readonly admission: Admission;
  readonly metrics: Metrics;
  /** Milliseconds from any moment on; never jumps. */
  readonly uptime: () => number;
}

export interface Wire {
  readonly via: Via;
  readonly socket: Socket;
  readonly flow: Flow;
  /** Sends what the client asked for, which it pays for; see `Flow.charge`. */
  readonly answer: (messages: readonly (Uint8Array | string)[], sent: () => void) => void;
  /** Calls `receive` for each message, at the rate that it may come; and `pong` in their order. */
  follow(receive: (message: Uint8Array | string) => void, pong: (payload: string) => void): void;
}

export function wire(
  ws: WebSocket,
  stream: Stream,
  via: Via,
  caller: Caller,
  { config, admission, metrics, uptime }: WireOptions,
): Wire {
  const onSent = (bytes: number) => {
    metrics.messagesOut.add(via);
    metrics.bytesOut.add(via, bytes);
  };
  const socket = new Socket(ws, stream, { ...config, onSent });
  const flow = new Flow({
    socket,
    allowance: admission.newAllowance(),
    received: () => stream.bytesRead,
    now: uptime,
    after: (ms, task) => void setTimeout(task, ms).unref(),
    onPause: () => metrics.pauses.add(via),
  });
  const shared = admission.sharedOf(caller);
  return {
    via,
    socket,
    flow,
    answer(messages, sent) {
      const size = messages.reduce((sum, message) => sum + Buffer.byteLength(message), 0);
      shared.take(0, size);
      flow.charge(size);
      socket.answer(messages, sent);
    },
    follow(receive, pong) {
      ws.on('message', (data: RawData, isBinary) => {
        socket.noteLife();
        const message = isBinary ? copyOf(data) : data.toString();
        metrics.messagesIn.add(via);
        metrics.bytesIn.add(via, message.length);
        flow.take(() => receive(message));
      });
      ws.on('ping', () => flow.take(() => {}));
      ws.on('pong', (payload) => {
        const text = payload.toString();
        flow.take(() => pong(text));
      });
    },
  };
}

/** ws may use the buffer of a message again; what is kept has to be a copy of its own (S2). */
function copyOf(data: RawData): Uint8Array {
  return new Uint8Array(Array.isArray(data) ? Buffer.concat(data) : data);
}
