/** The thread with the server, and the line to it. */
import { createRequire } from 'node:module';
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import type { FromHost, HostAsk, HostResponse, WireEvent } from '../../shared/test-host.js';

// Built for `require`, this file has no `import.meta.url`, but `__filename`.
const { resolve } = createRequire(import.meta.url ?? __filename);

const LACKING =
  "'telemed-sync/testing' needs the package 'telemed-sync-server', which is not installed: " +
  'npm install --save-dev telemed-sync-server';

/** One for all wards of a process: most of what it takes is to load the server. */
let thread: Worker | null = null;

function serverThread(): Worker {
  if (thread !== null) return thread;
  const worker = new Worker(hostFile());
  worker.on('exit', () => {
    if (thread === worker) thread = null;
  });
  worker.unref();
  thread = worker;
  return worker;
}

function hostFile(): string {
  try {
    return resolve('telemed-sync-server/testing-host');
  } catch (cause) {
    throw new Error(LACKING, { cause });
  }
}

/** What a socket of a device is told. */
export interface SocketEvents {
  opened(): void;
  said(data: Uint8Array | string): void;
  closed(code: number, reason: string): void;
}

interface Call {
  resolve(answer: HostResponse | null): void;
  reject(error: Error): void;
}

export class HostLink {
  readonly #port: MessagePort;
  readonly #now: () => number;
  readonly #calls = new Map<number, Call>();
  readonly #sockets = new Map<number, SocketEvents>();
  #last = 0;

  /** @param now the time that the server goes by: it is told with each message */
  constructor(now: () => number) {
    const { port1, port2 } = new MessageChannel();
    serverThread().postMessage(port2, [port2]);
    this.#port = port1;
    this.#now = now;
    port1.on('message', (message: FromHost) => this.#take(message));
  }

  ask(ask: HostAsk): Promise<HostResponse | null> {
    const call = ++this.#last;
    return new Promise((resolve, reject) => {
      this.#calls.set(call, { resolve, reject });
      this.#port.postMessage({ now: this.#now(), call, ask });
    });
  }

  /** The server's clock shows the new time. */
  tellTime(): void {
    this.#port.postMessage({ now: this.#now() });
  }

  open(path: string, protocols: readonly string[], events: SocketEvents): number {
    const socket = ++this.#last;
    this.#sockets.set(socket, events);
    this.say(socket, { do: 'open', path, protocols });
    return socket;
  }

  say(socket: number, event: WireEvent): void {
    this.#port.postMessage({ now: this.#now(), socket, event });
  }

  /** From now on its events are passed over. */
  forget(socket: number): void {
    this.#sockets.delete(socket);
  }

  close(): void {
    this.#port.close();
  }

  #take(message: FromHost): void {
    if ('call' in message) this.#settle(message);
    else if ('opened' in message) this.#sockets.get(message.socket)?.opened();
    else if ('data' in message) this.#sockets.get(message.socket)?.said(message.data);
    else {
      const events = this.#sockets.get(message.socket);
      this.#sockets.delete(message.socket);
      events?.closed(message.closed.code, message.closed.reason);
    }
  }

  #settle(message: Extract<FromHost, { call: number }>): void {
    const call = this.#calls.get(message.call);
    this.#calls.delete(message.call);
    if ('error' in message) call?.reject(new Error(message.error));
    else call?.resolve(message.answer);
  }
}
