/** What was sent to a JSON device over one connection, and what of it its app has read for certain (L4). */
import type { DeviceState } from './device-state.js';
import { LATEST } from './judged.js';
import { keyOf, type RecordKey } from './record-key.js';
import { type Step, Steps } from './steps.js';

/** A pong is the socket's word: the app has read the message by so many ms later (L4). */
export const APP_LAG = 2_000;

/** A message that the app may not have read. */
interface Message {
  readonly number: number;
  readonly revision: number;
  readonly what: RecordKey | 'everything';
  /** When its pong came. */
  arrivedAt: number | null;
  /** Whether the app may have lost it. */
  isUnsure: boolean;
}

export interface Acknowledgement {
  readonly at: number;
  /** The last message that was received, counted from 1. */
  readonly number: number;
  readonly revision: number;
}

export class SentMessages {
  readonly #device: DeviceState;
  /** Number of the last message. */
  count = 0;
  /** The revision of the first one. */
  first: number | null = null;
  /** The newest revision in any. */
  newest = 0;
  #acknowledged: Acknowledgement[] = [];
  #unread: Message[] = [];
  /** From when on it may have had what. */
  readonly #steps = new Steps('up');

  constructor(device: DeviceState) {
    this.#device = device;
  }

  get steps(): readonly Step[] {
    return this.#steps.toJSON();
  }

  get lastAcknowledged(): Acknowledgement | null {
    return this.#acknowledged.at(-1) ?? null;
  }

  add(what: RecordKey | 'everything', revision: number, now: number): void {
    this.count++;
    this.#steps.add(now, revision);
    this.first ??= revision;
    this.newest = Math.max(this.newest, revision);
    this.#unread.push({ number: this.count, revision, what, arrivedAt: null, isUnsure: false });
  }

  acknowledged(number: number, revision: number, now: number): void {
    this.#acknowledged.push({ at: now, number, revision });
    for (const message of this.#unread) if (message.number <= number) message.arrivedAt ??= now;
    this.#device.noteRead(now + APP_LAG, revision);
    this.unreadFrom(now);
  }

  /** The app may have lost the last message with this record, or with all. */
  doubt(what: RecordKey | 'everything', now: number): void {
    const name = nameOf(what);
    const message = this.#unread.findLast((each) => nameOf(each.what) === name);
    if (message === undefined) return;
    message.isUnsure = true;
    this.#device.noteUnsure(what, this.from(now) ?? message.revision);
  }

  /** Whether the app may not have read the last message with this record. */
  isUnread(key: RecordKey, now: number): boolean {
    this.unreadFrom(now);
    const name = keyOf(key);
    return this.#unread.some(({ what }) => what === 'everything' || keyOf(what) === name);
  }

  /** What the app has read for certain. */
  read(now: number): Acknowledgement | null {
    const last = this.#acknowledged.findLastIndex(({ at }) => at <= now - APP_LAG);
    if (last > 0) this.#acknowledged.splice(0, last);
    return last < 0 ? null : (this.#acknowledged[0] ?? null);
  }

  /** The oldest revision that it may be looking at. */
  from(now: number): number | null {
    return this.read(now)?.revision ?? this.#device.readAt(now) ?? this.first;
  }

  /** The oldest revision in a message that the app may not have read. */
  unreadFrom(now: number): number {
    const read = this.read(now)?.number ?? 0;
    const next = this.#unread.findIndex(({ number }) => number > read);
    for (const message of this.#unread.splice(0, next < 0 ? this.#unread.length : next)) {
      if (!message.isUnsure) this.#device.noteSure(message.what, (message.arrivedAt ?? now) + APP_LAG);
    }
    return this.first === null ? 0 : Math.min(LATEST, ...this.#unread.map(({ revision }) => revision));
  }

  /** The connection ends: what has arrived will be read. */
  end(now: number): void {
    this.unreadFrom(now);
    for (const { what, arrivedAt, isUnsure } of this.#unread) {
      if (arrivedAt !== null && !isUnsure) this.#device.noteSure(what, arrivedAt + APP_LAG);
    }
  }
}

const nameOf = (what: RecordKey | 'everything'): string => (what === 'everything' ? what : keyOf(what));
