import type { SyncError } from '../../errors.js';
import type { JsonOutbox, Text } from '../json/options.js';
import type { Wire } from './wire.js';

/** What the session of a JSON device sends goes over its wire. */
export class WireOutbox implements JsonOutbox {
  readonly #wire: Wire;

  constructor(wire: Wire) {
    this.#wire = wire;
  }

  send(text: Text): void {
    this.#wire.socket.sendText(text);
  }

  answer(text: Buffer, sent: () => void): void {
    this.#wire.answer([text], sent);
  }

  ping(payload: string): void {
    this.#wire.socket.ping(payload);
  }

  behind(task: () => void): void {
    this.#wire.behind(task);
  }

  together<Result>(work: () => Result): Result {
    return this.#wire.socket.together(work);
  }

  close(error: SyncError): void {
    this.#wire.socket.end(error);
  }
}
