/**
 * What is known of a JSON device from one connection to the next (L4–L6): which revisions it may have been
 * looking at when its connections ended, how its clock goes, which fields its app knows.
 */

import { equalityDeep } from 'lib0/function';
import type { Path } from '../../shared/merge.js';
import type { CollectionName, DeviceId } from '../../shared/names.js';
import type { ChangeMessage } from '../../shared/protocol/json.js';
import type { Json, JsonObject } from '../../shared/records.js';
import type { Made } from './device-view.js';
import type { RevisionRange } from './history.js';
import { KnownFields } from './known-fields.js';
import { keyOf, type RecordKey } from './record-key.js';

/** A connection that has ended, and what the device may have been looking at then. */
interface Ended extends RevisionRange {
  readonly startedAt: number;
  /** `null` where the server ended first, without a word. */
  readonly at: number | null;
}

/** What a device sent last of a record, where that is not what the record became, or something crossed it. */
export interface OwnWrite {
  /** `null` for a deletion. */
  readonly sent: JsonObject | null;
  /** By the server's clock; `null` if the write did not say. */
  readonly madeAt: number | null;
  /** Of the document when the write was applied. */
  readonly revision: number;
  /** The device may be looking at what came after this revision as well, but at nothing older. */
  readonly since: number;
  /** Revisions after `since` that are the device's own, older than `sent`, and were never sent to it. */
  readonly replaced: readonly number[];
  /** Whether it was sent the record as it was after this write. */
  readonly isShown: boolean;
}

/** What a device may have been looking at when a connection ended. */
export interface SeenRange extends RevisionRange {
  /** Whether the connection ended in order, so that everything of the device's own last writes is known. */
  readonly isComplete: boolean;
}

/** How many ended connections are kept, to find the one that a queued write was made after. */
const MAX_ENDED = 8;
/** A device whose queue may not have been flushed yet when its connection ended: as long as L5 waits for it. */
export const FLUSH_TIME = 30_000;
const MAX_UNSETTLED = 256;
/** How long a change that can wait may wait for the next commit of the user, in ms. */
const LAZY = 60_000;

export class DeviceState {
  readonly id: DeviceId;
  /** When the device was last connected. */
  metAt = 0;
  /** The smallest difference between arrival and the time of a message; `null` before the first one. */
  clockOffset: number | null = null;
  #ended: Ended[] = [];
  #open: { startedAt: number; from: number } | null = null;
  #connections = 0;
  #fields = new KnownFields();
  #unsettled = new Map<string, OwnWrite>();
  /** What it confirmed to have received over HTTP. */
  httpFrom: number | null = null;
  #urgent = false;
  #changed = false;
  #savedAt = Number.NEGATIVE_INFINITY;

  constructor(id: DeviceId) {
    this.id = id;
  }

  /** The oldest revision that a write of this device may have to be compared with. */
  get neededFrom(): number {
    const from = [...this.#ended, ...(this.#open === null ? [] : [this.#open])].map((each) => each.from);
    return Math.min(...from, this.httpFrom ?? Number.POSITIVE_INFINITY);
  }

  /** The newest revision that it may have received before this connection; -1 if none. */
  get lastSeen(): number {
    return Math.max(-1, ...this.#ended.map(({ to }) => to));
  }

  /** @param revision what the first full sync will show at least */
  connect(now: number, revision: number): void {
    this.#connections++;
    this.metAt = now;
    if (this.#open !== null) return;
    this.#open = { startedAt: now, from: this.#ended.at(-1)?.from ?? revision };
    this.#urgent = true;
  }

  /** Forgets connections that ended before this time. */
  forgetBefore(time: number): void {
    this.#ended = this.#ended.filter(({ startedAt, at }) => (at ?? startedAt) >= time);
  }

  /** What was proven to have been received meanwhile, should this process end without a word. */
  advance(from: number): void {
    if (this.#open === null || this.#open.from >= from) return;
    this.#open.from = from;
    this.#changed = true;
  }

  disconnect(range: RevisionRange | null, startedAt: number, now: number): void {
    this.#connections--;
    this.metAt = now;
    if (this.#connections === 0) this.#open = null;
    if (range !== null) this.#push({ ...range, startedAt, at: now });
    this.#changed = true;
  }

  /** An old connection of the device may be noticed to be dead after a newer one has ended. */
  #push(ended: Ended): void {
    this.#ended.push(ended);
    this.#ended.sort((a, b) => a.from - b.from || a.startedAt - b.startedAt);
    this.#ended.splice(0, this.#ended.length - MAX_ENDED);
  }

  /**
   * What the device may have been looking at when it made a write offline: at the end of the connection before
   * it. Without a time, a connection that was too short to flush a queue may have come after the write.
   */
  seenBefore(madeAt: number | null): SeenRange | null {
    const last = this.#ended.at(-1);
    if (last === undefined) return null;
    if (madeAt === null || this.clockOffset === null) return this.#sinceLastFlush(last);
    const index = this.#ended.findLastIndex(({ startedAt }) => startedAt <= madeAt);
    const found = this.#ended[index];
    if (found === undefined) return null;
    // Made while that connection was there: on what was seen before, or on what came over it.
    const isDuring = found.at !== null && madeAt < found.at;
    const from = isDuring ? (this.#ended[index - 1]?.from ?? found.from) : found.from;
    return { from, to: found.to, isComplete: found.at !== null && !isDuring };
  }

  /** Whether it had no connection at that time; `false` where that is not known. */
  isOfflineAt(time: number): boolean {
    if (this.clockOffset === null) return false;
    const last = this.#ended.findLast(({ startedAt }) => startedAt <= time);
    return last === undefined || (last.at !== null && last.at <= time);
  }

  #sinceLastFlush(last: Ended): SeenRange {
    const flushed = this.#ended.findLastIndex(
      ({ startedAt, at }) => at !== null && at - startedAt >= FLUSH_TIME,
    );
    const from = this.#ended[Math.max(0, flushed)]?.from ?? last.from;
    return { from, to: last.to, isComplete: last.at !== null };
  }

  /** A change came in: returns when it was made, and learns of the device's clock and of what its app knows. */
  hear(message: ChangeMessage, now: number): number | null {
    if (message.type === 'DATA_UPDATE' && this.#fields.learn(message.collection, message.document)) {
      this.#urgent = true;
    }
    return this.timeOf(message.madeAt, message.sentAt, now);
  }

  /** The time of a write by the server's clock, at most now. Learns from the time at which it says it was sent. */
  timeOf(madeAt: number | null, sentAt: number | null, now: number): number | null {
    const known = this.clockOffset;
    if (sentAt !== null && (known === null || now - sentAt < known)) {
      this.clockOffset = now - sentAt;
      this.#changed = true;
    }
    if (madeAt === null) return null;
    // A queue may have stored the time of sending, so a message alone says nothing about the clock.
    const offset = known === null ? 0 : (this.clockOffset ?? 0);
    return Math.min(now, madeAt + offset);
  }

  knows(collection: CollectionName, path: Path): boolean {
    return this.#fields.knows(collection, path);
  }

  unsettled(key: RecordKey): OwnWrite | null {
    return this.#unsettled.get(keyOf(key)) ?? null;
  }

  /** A write that is not what the record became: it has to outlive this process too. */
  keepUnsettled(key: RecordKey, write: OwnWrite): void {
    this.#unsettled.delete(keyOf(key));
    this.#unsettled.set(keyOf(key), write);
    const [oldest] = this.#unsettled.keys();
    if (this.#unsettled.size > MAX_UNSETTLED && oldest !== undefined) this.#unsettled.delete(oldest);
    this.#urgent = true;
  }

  /** A write whose author is left with something else than the record, until the correction reaches it. */
  noteWrite(key: RecordKey, own: OwnWrite, { corrected, record }: Made): void {
    if (corrected && this.#carriesOther(key, own.sent, record)) this.keepUnsettled(key, own);
    else if (this.#unsettled.delete(keyOf(key))) this.#changed = true;
  }

  /** Whether the next write on top of `sent` would carry along something that is not in the record. */
  #carriesOther({ collection }: RecordKey, sent: JsonObject | null, record: JsonObject | null): boolean {
    if (sent === null || record === null) return true;
    const isOther = Object.keys(sent).some((name) => !equalityDeep(sent[name], record[name]));
    return isOther || Object.keys(record).some((name) => !(name in sent) && this.knows(collection, [name]));
  }

  confirmHttp(revision: number, now: number): void {
    this.metAt = now;
    if ((this.httpFrom ?? -1) >= revision) return;
    this.httpFrom = revision;
    this.#changed = true;
  }

  /** Whether it should go into the next commit: some changes can't wait, others may for a while. */
  isDue(now: number): boolean {
    return this.#urgent || (this.#changed && now - this.#savedAt >= LAZY);
  }

  get isUrgent(): boolean {
    return this.#urgent;
  }

  get isChanged(): boolean {
    return this.#urgent || this.#changed;
  }

  get isConnected(): boolean {
    return this.#connections > 0;
  }

  encode(now: number): Uint8Array {
    this.#urgent = false;
    this.#changed = false;
    this.#savedAt = now;
    const saved: Saved = {
      met: this.metAt,
      offset: this.clockOffset,
      open: this.#open,
      ended: this.#ended.map(({ startedAt, at, from, to }) => [startedAt, at, from, to]),
      fields: this.#fields.toJSON(),
      unsettled: [...this.#unsettled],
      http: this.httpFrom,
    };
    return Buffer.from(JSON.stringify(saved));
  }

  /** @param revision the user's revision at load: a connection that did not end may have received all up to it */
  static decode(id: DeviceId, bytes: Uint8Array, revision: number): DeviceState {
    const saved = JSON.parse(Buffer.from(bytes).toString()) as Saved;
    const state = new DeviceState(id);
    state.metAt = saved.met;
    state.clockOffset = saved.offset;
    state.httpFrom = saved.http;
    state.#ended = saved.ended.map(([startedAt, at, from, to]) => ({ startedAt, at, from, to }));
    state.#fields = KnownFields.fromJSON(saved.fields);
    state.#unsettled = new Map(saved.unsettled);
    if (saved.open !== null) {
      const { startedAt, from } = saved.open;
      state.#push({ startedAt, at: null, from, to: revision });
    }
    return state;
  }
}

interface Saved {
  readonly met: number;
  readonly offset: number | null;
  readonly open: { startedAt: number; from: number } | null;
  readonly ended: readonly (readonly [number, number | null, number, number])[];
  readonly fields: Json;
  readonly unsettled: readonly (readonly [string, OwnWrite])[];
  readonly http: number | null;
}
