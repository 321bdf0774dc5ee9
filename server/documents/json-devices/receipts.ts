/**
 * What a JSON device may not have received yet. After what is sent goes a ping whose payload says how far; the
 * pong, which every WebSocket client answers by itself, proves receipt. At most one ping is under way.
 */
import { keyOf, type RecordKey } from '../records/record-key.js';

const EVERYTHING = 'everything';

export class Receipts {
  readonly #ping: (payload: string) => void;
  readonly #oldestUnsent: () => number;
  /** Number of the last message that carried a record, while its receipt is not proven. */
  readonly #open = new Map<string, number>();
  /** By record; made with the first one, as most connections write nothing. */
  #watches: Map<string, Set<{ crossed: boolean }>> | null = null;
  #sent = 0;
  #pinged = 0;
  #revision = 0;
  #pingedRevision = 0;
  #underWay: string | null = null;

  /** @param oldestUnsent the oldest revision that waits to be sent */
  constructor(ping: (payload: string) => void, oldestUnsent: () => number) {
    this.#ping = ping;
    this.#oldestUnsent = oldestUnsent;
  }

  /**
   * A message with this record, or with everything, was sent; it showed the state at `revision`. Returns its number.
   */
  sent(what: RecordKey | typeof EVERYTHING, revision: number): number {
    this.#sent++;
    this.#revision = Math.max(this.#revision, revision);
    this.#open.set(what === EVERYTHING ? EVERYTHING : keyOf(what), this.#sent);
    this.#noteCrossing(what);
    if (this.#underWay === null) this.#send();
    return this.#sent;
  }

  /**
   * A pong arrived: says how many messages, and which revision, it proves the receipt of. Any other payload than
   * that of the ping under way is the socket's own business (`null`).
   */
  confirm(payload: string): { readonly number: number; readonly revision: number } | null {
    if (payload !== this.#underWay) return null;
    this.#underWay = null;
    const received = { number: this.#pinged, revision: this.#pingedRevision };
    for (const [key, number] of this.#open) if (number <= this.#pinged) this.#open.delete(key);
    if (this.#open.size > 0) this.#send();
    return received;
  }

  /** Whether all that was sent has been received. */
  get isEmpty(): boolean {
    return this.#open.size === 0;
  }

  /** Whether something with this record is on its way. */
  isOpen(key: RecordKey): boolean {
    return this.#open.has(EVERYTHING) || this.#open.has(keyOf(key));
  }

  /**
   * A write of this record came in. The function that it returns ends the watch and tells whether something that
   * carried the record without the write may have been applied after it: it was on its way, or was sent since
   * (its receipt may be proven by then, which makes no difference).
   */
  watch(key: RecordKey): () => boolean {
    const name = keyOf(key);
    const watch = { crossed: this.isOpen(key) };
    this.#watches ??= new Map();
    const all = this.#watches;
    const watches = all.get(name) ?? new Set();
    all.set(name, watches.add(watch));
    return () => {
      watches.delete(watch);
      if (watches.size === 0 && all.get(name) === watches) all.delete(name);
      return watch.crossed;
    };
  }

  #noteCrossing(what: RecordKey | typeof EVERYTHING): void {
    if (this.#watches === null) return;
    const hit = what === EVERYTHING ? [...this.#watches.values()] : [this.#watches.get(keyOf(what)) ?? []];
    for (const watches of hit) for (const watch of watches) watch.crossed = true;
  }

  #send(): void {
    this.#pinged = this.#sent;
    this.#pingedRevision = Math.min(this.#revision, this.#oldestUnsent() - 1);
    this.#underWay = `${this.#revision}.${this.#sent}`;
    this.#ping(this.#underWay);
  }
}
