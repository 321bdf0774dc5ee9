import WebSocket from 'ws';
import { handled } from '../handled.js';
import { Watched } from '../wait.js';

export interface Close {
  readonly code: number;
  readonly reason: string;
}

interface Typed {
  readonly type: string;
}

/** The messages of a type, where the types of messages differ by it. */
type OfType<Message extends Typed, Type> = [Extract<Message, { type: Type }>] extends [never]
  ? Message
  : Extract<Message, { type: Type }>;

/** The socket of a device: what came over it, in the order of arrival, and how it ended. */
export abstract class DeviceSocket<Message extends Typed> {
  readonly ws: WebSocket;
  readonly messages: Message[] = [];
  closed: Close | null = null;
  protected readonly events = new Watched();
  readonly #url: string;
  readonly #name: string;
  readonly #taken = new Map<string, number>();

  /** Opens a connection to a path of the server, and does not wait for anything. */
  constructor(url: string, path: string, name: string, options: WebSocket.ClientOptions = {}) {
    this.#url = url;
    this.#name = name;
    this.ws = new WebSocket(`${url.replace(/^http/, 'ws')}${path}`, options);
    this.ws.on('message', (data: Buffer) => {
      this.messages.push(this.read(data));
      this.events.changed();
    });
    this.ws.on('error', () => {}); // 'close' follows
    this.ws.on('open', () => this.events.changed());
    this.ws.on('close', (code, reason) => {
      this.closed = { code, reason: reason.toString() };
      this.events.changed();
    });
  }

  protected abstract read(data: Buffer): Message;

  /** The messages of this type so far. */
  of<Type extends Message['type']>(type: Type): OfType<Message, Type>[] {
    return this.messages.filter((message) => message.type === type) as OfType<Message, Type>[];
  }

  /** The next message of this type that `next` has not given yet; waits for it. */
  async next<Type extends Message['type']>(type: Type): Promise<OfType<Message, Type>> {
    const taken = this.#taken.get(type) ?? 0;
    this.#taken.set(type, taken + 1);
    return this.events.until(
      () => {
        const message = this.of(type)[taken];
        if (message === undefined && this.closed !== null) {
          throw new Error(`closed with ${this.closed.code} ${this.closed.reason}, waiting for ${type}`);
        }
        return message;
      },
      () => `${type} for ${this.#name}`,
    );
  }

  /** Resolves when the server has handled everything that was sent before, durable or not. */
  async heard(): Promise<void> {
    let answered = false;
    this.ws.once('pong', () => {
      answered = true;
      this.events.changed();
    });
    this.ws.ping();
    await this.until(() => answered); // it has arrived; its user's turn may be still to come
    await handled(this.#url);
  }

  /** Resolves with the first value of `look` that says yes; looks at each message and at the close. */
  until<T>(look: () => T | null | undefined | false): Promise<T> {
    return this.events.until(look, () => `what ${this.#name} waits for`);
  }

  /** Resolves when the connection is gone, whoever closed it. */
  end(): Promise<Close> {
    return this.until(() => this.closed);
  }

  close(): Promise<Close> {
    this.ws.close();
    return this.end();
  }
}
