/** The messages of one collection to one JSON device: one that is under way, and what waits behind it (L4). */
import { Again } from './again.js';

/** A pong that does not come in this time, in ms, is not waited for any longer. */
const PATIENCE = 30_000;

interface Waiting<Message> {
  readonly message: Message;
  /** The oldest revision of the record that was not sent. */
  readonly since: number;
}

export class Lane<Message> {
  /** By record, the one that waits longest first. */
  readonly waiting = new Map<string, Waiting<Message>>();
  /** What the app may have lost, and is sent once more. */
  readonly again = new Again<Message>();
  /** The last one that was sent, as long as the device has written nothing over it. */
  last: Message | null = null;
  /** Number of the message whose pong has not come. */
  #underWay: number | null = null;
  #arrivedAt = Number.NEGATIVE_INFINITY;
  /** When the next one may go, as far as is known. */
  freeAt = Number.NEGATIVE_INFINITY;

  get oldest(): number {
    return Math.min(...[...this.waiting.values()].map(({ since }) => since));
  }

  left(number: number, now: number, message: Message | null): void {
    this.#underWay = number;
    this.freeAt = now + PATIENCE;
    this.last = message;
  }

  arrived(number: number, now: number, gap: number): void {
    if (this.#underWay === null || this.#underWay > number) return;
    this.#underWay = null;
    this.#arrivedAt = now;
    this.freeAt = now + gap;
  }

  /** Whether the last one is under way, or arrived after this time. */
  isNear(since: number): boolean {
    return this.#underWay !== null || this.#arrivedAt > since;
  }

  /** When the last one will have been there for so long. */
  quietAt(ms: number): number {
    return Math.max(this.freeAt, this.#arrivedAt + ms);
  }

  /** A full sync shows all of it. */
  clear(): void {
    this.waiting.clear();
    this.again.clear();
  }
}
