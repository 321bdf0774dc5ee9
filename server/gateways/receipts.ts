/**
 * What a JSON device may not have received yet. After what is sent goes a ping whose payload says how far; the
 * pong, which every WebSocket client answers by itself, proves receipt. At most one ping is under way.
 */
import type { RecordKey } from '../documents/replica.js';

const EVERYTHING = 'everything';
const keyOf = ({ collection, id }: RecordKey) => JSON.stringify([collection, id]);

export class Receipts {
  readonly #ping: (payload: string) => void;
  /** Number of the last message that carried a record, while its receipt is not proven. */
  readonly #open = new Map<string, number>();
  #sent = 0;
  #pinged = 0;
  #revision = 0;
  #underWay: string | null = null;

  constructor(ping: (payload: string) => void) {
    this.#ping = ping;
  }

  /** A message with this record, or with everything, was sent; it showed the state at `revision`. */
  sent(what: RecordKey | typeof EVERYTHING, revision: number): void {
    this.#sent++;
    this.#revision = revision;
    this.#open.set(what === EVERYTHING ? EVERYTHING : keyOf(what), this.#sent);
    if (this.#underWay === null) this.#send();
  }

  /** A pong arrived; any other payload than that of the ping under way is the socket's own business. */
  confirm(payload: string): void {
    if (payload !== this.#underWay) return;
    this.#underWay = null;
    for (const [key, number] of this.#open) if (number <= this.#pinged) this.#open.delete(key);
    if (this.#open.size > 0) this.#send();
  }

  /** Whether something that carried this record may not have been received yet. */
  isOpen(key: RecordKey): boolean {
    return this.#open.has(EVERYTHING) || this.#open.has(keyOf(key));
  }

  /** How many messages were sent that carried a record. */
  get count(): number {
    return this.#sent;
  }

  /** Whether something that carried this record was sent after the first `count` messages. */
  sentSince(key: RecordKey, count: number): boolean {
    const last = Math.max(this.#open.get(EVERYTHING) ?? 0, this.#open.get(keyOf(key)) ?? 0);
    return last > count;
  }

  #send(): void {
    this.#pinged = this.#sent;
    this.#underWay = `${this.#revision}.${this.#sent}`;
    this.#ping(this.#underWay);
  }
}
