import type { WebSocketConstructor, WebSocketLike } from '../../client/platform/platform.js';
import { decodeMessage, messages, type YjsMessage } from '../../server/protocol/yjs.js';

/** A socket that a test drives by hand: the network and the server are what the test says. */
export class FakeSocket implements WebSocketLike {
  binaryType = 'blob';
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  onerror: ((event: unknown) => void) | null = null;
  readonly url: URL;
  /** Those that the client offers. */
  readonly protocols: readonly string[];
  readonly sent: YjsMessage[] = [];
  /** Something on the way answers, not the server. */
  isForeign = false;
  /** The code that the client closed it with. */
  closedWith: number | null = null;

  constructor(url: string, protocols: readonly string[] = []) {
    this.url = new URL(url);
    this.protocols = protocols;
  }

  send(data: Uint8Array): void {
    this.sent.push(decodeMessage(data.slice()));
  }

  close(code?: number): void {
    this.closedWith ??= code ?? 1005;
  }

  /** The connection comes to be; a server proves itself first of all. */
  open(): void {
    this.onopen?.();
    this.#proves();
  }

  #proves(): void {
    if (!this.isForeign) this.says(messages.proof(this.url.searchParams.get('challenge') ?? ''));
  }

  says(message: Uint8Array): void {
    this.onmessage?.({ data: message.slice().buffer });
  }

  /** The end, by a server that has proved itself unless it is said to be another one (C10). */
  drops(code = 1006, reason = ''): void {
    this.#proves();
    this.onclose?.({ code, reason });
  }

  /** The server takes the client in: its state, all that the client lacks, and the answer to the checkpoint. */
  welcomes(stateVector: Uint8Array = Uint8Array.of(0), update: Uint8Array = Uint8Array.of(0, 0)): void {
    this.open();
    this.says(messages.syncStep1(stateVector));
    this.says(messages.syncStep2(update));
  }

  answers(n: number): void {
    this.says(messages.checkpoint(n));
  }

  get types(): string[] {
    return this.sent.map(({ type }) => type);
  }

  get checkpoints(): number[] {
    return this.sent.flatMap((message) => (message.type === 'checkpoint' ? [message.n] : []));
  }
}

/** Every socket that a client opened. */
export class FakeSockets {
  readonly all: FakeSocket[] = [];

  get WebSocket(): WebSocketConstructor {
    const { all } = this;
    return class extends FakeSocket {
      constructor(url: string, protocols?: string[]) {
        super(url, protocols);
        all.push(this);
      }
    };
  }

  get last(): FakeSocket {
    const socket = this.all[this.all.length - 1];
    if (socket === undefined) throw new Error('no socket was opened');
    return socket;
  }
}
