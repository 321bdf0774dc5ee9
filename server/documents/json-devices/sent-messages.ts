/** What was sent to a JSON device over one connection, and what of it its app has read for certain (L4). */

import { firstIndex } from '../first-index.js';
import { keyOf, type RecordKey } from '../records/record-key.js';
import type { DeviceState } from './device.js';
import { APP_LAG } from './seen-ranges.js';
import { type Step, Steps } from './steps.js';
import { LATEST } from './write-context.js';

/** What comes within this time of another message of its collection, or of a write, an app may lose, in ms. */
export const BURST = 250;
/** So long after it was read, what was read when stays known, in ms: a write may have been long on its way. */
const KEPT = 30_000;

/** So long after a message an app may still do something on it: it may ask over HTTP first, in ms. */
const ANSWERED = 60_000;

/** So many acknowledgements are kept in any case: to look for old ones at each would cost more than they do. */
const MIN_ROOM = 64;

/** What the app may have lost. */
export interface MaybeLost {
  readonly what: RecordKey | 'everything';
  /** How often the same had been sent once more by then: each time it was in doubt again. */
  readonly repeats: number;
}

/** So many records are sent once more one by one; more of them with all others. */
const MOST_APART = 64;

/** The same, or all where those are many: what is in doubt of more records than are told apart would stay so. */
export function allIfMany(lost: readonly MaybeLost[]): readonly MaybeLost[] {
  if (lost.length <= MOST_APART) return lost;
  return [{ what: 'everything', repeats: Math.max(...lost.map(({ repeats }) => repeats)) }];
}

/** A message that the app may not have read when it made a write. */
interface Message extends MaybeLost {
  readonly number: number;
  readonly revision: number;
  /** Of that. */
  readonly name: string;
  readonly sentAt: number;
  /** When its pong came. */
  arrivedAt: number | null;
}

export interface Acknowledgement {
  readonly at: number;
  /** The last message that was received, counted from 1. */
  readonly number: number;
  readonly revision: number;
}

/** The clock may have been set back; these bounds are in order all the same, so that one finds a time by halves. */
interface Bounded extends Acknowledgement {
  /** The earliest time of this one and those after it. */
  earliest: number;
  /** The latest time of this one and those before it. */
  readonly latest: number;
}

export class SentMessages {
  readonly #device: DeviceState;
  /** Number of the last message. */
  count = 0;
  /** The revision of the first one. */
  first: number | null = null;
  /** The newest revision in any. */
  newest = 0;
  readonly #acknowledged: Bounded[] = [];
  /** How many there may be before the old ones are forgotten. */
  #room = MIN_ROOM;
  /** By number, without gaps. */
  readonly #recent: Message[] = [];
  /** The newest revision of those that are not among these any more. */
  #forgotten = -1;
  /** Number of the last message that the device is known to have read. */
  #settled = 0;
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

  add(what: RecordKey | 'everything', revision: number, now: number, repeats = 0): void {
    this.count++;
    this.#steps.add(now, revision);
    this.first ??= revision;
    this.newest = Math.max(this.newest, revision);
    this.#recent.push({
      number: this.count,
      revision,
      // Not what it is a part of, such as a message with its text: this is kept for long.
      what: what === 'everything' ? what : { collection: what.collection, id: what.id },
      repeats,
      name: nameOf(what),
      sentAt: now,
      arrivedAt: null,
    });
  }

  acknowledged(number: number, revision: number, now: number): void {
    for (const message of this.#between(this.lastAcknowledged?.number ?? 0, number)) message.arrivedAt = now;
    this.#acknowledge(number, revision, now);
    this.#device.noteRead(now + APP_LAG, revision);
    this.settle(now);
    this.#forget(now);
  }

  /**
   * Nothing was sent since the last acknowledgement, and the device has everything up to this revision in this
   * connection. By another way its copy may be made anew without that: so the device is not noted to have read it.
   */
  hasAll({ number }: Acknowledgement, revision: number, now: number): void {
    this.#acknowledge(number, revision, now);
    this.#forget(now);
  }

  #acknowledge(number: number, revision: number, now: number): void {
    const latest = Math.max(now, this.#acknowledged.at(-1)?.latest ?? now);
    this.#boundBy(now);
    this.#acknowledged.push({ at: now, number, revision, earliest: now, latest });
  }

  #boundBy(now: number): void {
    for (let index = this.#acknowledged.length - 1; index >= 0; index--) {
      const each = this.#acknowledged[index] as Bounded;
      if (each.earliest <= now) return;
      each.earliest = now;
    }
  }

  /** The app may have lost the last message with this record, or with all. */
  doubt(what: RecordKey | 'everything', now: number): void {
    const name = nameOf(what);
    const read = this.read(now)?.number ?? 0;
    const message = this.#recent.findLast((each) => each.number <= read || each.name === name);
    if (message === undefined || message.number <= read) return;
    this.#device.noteUnsure(what, this.from(now) ?? message.revision, now);
  }

  /**
   * What came so near to a write of this record that the app may have lost it: it changed its stored list, too.
   * Of a write that was long on its way, that was at the time when it was made.
   */
  near(key: RecordKey, at: number): MaybeLost[] {
    const isNear = ({ sentAt, arrivedAt }: Message) =>
      sentAt < at + BURST && (arrivedAt ?? Number.POSITIVE_INFINITY) > at - BURST;
    const isOther = ({ what }: Message) =>
      what === 'everything' || (what.collection === key.collection && what.id !== key.id);
    const first = firstIndex(this.#acknowledged, ({ latest }) => latest > at - BURST);
    const recent = this.#recent.slice(this.#indexAfter(this.#acknowledged[first - 1]?.number ?? 0));
    return recent.filter((message) => isOther(message) && isNear(message));
  }

  /** The app may have lost this when it made a write. */
  doubtAt(what: RecordKey | 'everything', at: number, now: number): void {
    this.#device.noteUnsure(what, this.from(at) ?? 0, now);
  }

  /** The last message with this record, where the app may not have read it at that time. */
  lastUnread(key: RecordKey, at: number): MaybeLost | null {
    return this.#unreadAt(at).findLast(isAbout(key)) ?? null;
  }

  /** The oldest revision in a message with this record that the app may not have read by then; `null`: none. */
  oldestUnread(key: RecordKey, at: number): number | null {
    return this.#unreadAt(at).find(isAbout(key))?.revision ?? null;
  }

  /** What the app had read for certain at that time. */
  read(at: number): Acknowledgement | null {
    const isPast = ({ earliest }: Bounded) => earliest > at - APP_LAG;
    return this.#acknowledged[firstIndex(this.#acknowledged, isPast) - 1] ?? null;
  }

  /** The oldest revision that it may have been looking at. */
  from(at: number): number | null {
    return this.read(at)?.revision ?? this.#device.readAt(at) ?? this.first;
  }

  /** The newest revision that was sent by then, or somewhat newer. */
  sentBy(at: number): number {
    return Math.min(this.newest, this.#steps.at(at) ?? this.first ?? 0);
  }

  /** The oldest revision in a message that the app may not have read by then. */
  unreadFrom(at: number): number {
    if (this.first === null) return 0;
    return Math.min(LATEST, ...this.#unreadAt(at).map(({ revision }) => revision));
  }

  /** The revision of a full sync after the first that the app may not have read by then; `null`: none. */
  unreadSync(at: number): number | null {
    const isSync = ({ what, number }: Message) => what === 'everything' && number > 1;
    return this.#unreadAt(at).find(isSync)?.revision ?? null;
  }

  /** What was sent that is newer than this revision, by its name; all, where that is not known any more. */
  shownSince(revision: number, now: number): Map<string, MaybeLost> {
    const shown = new Map<string, MaybeLost>();
    for (const message of this.#recent)
      if (message.revision > revision)
        shown.set(message.name, { what: message.what, repeats: repeatsBy(message, now) });
    if (this.#forgotten > revision && !shown.has(EVERYTHING))
      shown.set(EVERYTHING, { what: EVERYTHING, repeats: 0 });
    return shown;
  }

  /** How often the last message with this record had been sent once more, if what the app does now may come of it. */
  repeatsOf(key: RecordKey, now: number): number {
    const last = this.#recent.findLast(isAbout(key));
    return last === undefined ? 0 : repeatsBy(last, now);
  }

  /** What has been read is no longer in doubt. */
  settle(now: number): void {
    const read = this.read(now)?.number ?? 0;
    if (read <= this.#settled) return;
    for (const { what, sentAt, arrivedAt } of this.#between(this.#settled, read)) {
      this.#device.noteSure(what, sentAt, (arrivedAt ?? now) + APP_LAG);
    }
    this.#settled = read;
  }

  /** The connection ends: what has arrived will be read. */
  end(now: number): void {
    this.settle(now);
    for (const { what, sentAt, arrivedAt } of this.#unreadAt(now)) {
      if (arrivedAt !== null) this.#device.noteSure(what, sentAt, arrivedAt + APP_LAG);
    }
  }

  #unreadAt(at: number): Message[] {
    return this.#recent.slice(this.#indexAfter(this.read(at)?.number ?? 0));
  }

  /** Those after the first number, up to and including the second. */
  #between(after: number, upTo: number): Message[] {
    return this.#recent.slice(this.#indexAfter(after), this.#indexAfter(upTo));
  }

  #indexAfter(number: number): number {
    const [oldest] = this.#recent;
    return oldest === undefined ? 0 : Math.max(0, number + 1 - oldest.number);
  }

  #forget(now: number): void {
    if (this.#acknowledged.length < this.#room) return;
    // Not by halves, since the clock may have been set back: the last one that is old enough.
    const last = this.#acknowledged.findLastIndex(({ at }) => at <= now - APP_LAG - KEPT);
    if (last > 0) {
      this.#acknowledged.splice(0, last);
      const forgotten = this.#recent.splice(0, this.#indexAfter(this.#acknowledged[0]?.number ?? 0));
      for (const message of forgotten) this.#forgotten = Math.max(this.#forgotten, message.revision);
    }
    this.#room = Math.max(MIN_ROOM, 2 * this.#acknowledged.length);
  }
}

/** No key of a record: that has a line break. */
const EVERYTHING = 'everything';

function isAbout(key: RecordKey): (message: Message) => boolean {
  const of = keyOf(key);
  return ({ name }) => name === EVERYTHING || name === of;
}

const repeatsBy = ({ sentAt, repeats }: Message, now: number): number =>
  now - sentAt < ANSWERED ? repeats : 0;

const nameOf = (what: RecordKey | typeof EVERYTHING): string => (what === EVERYTHING ? what : keyOf(what));
