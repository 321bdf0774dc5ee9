/**
 * What is known of a JSON device from one connection to the next (L4–L6): what it may have been looking at, how
 * its clock goes, which fields its app knows.
 */
import { equalityDeep } from 'lib0/function';
import type { JsonObject } from '../../../shared/json.js';
import type { Path } from '../../../shared/merge/merge.js';
import type { CollectionName, DeviceKey, UserId } from '../../../shared/names.js';
import type { ChangeMessage } from '../../protocol/json.js';
import type { HistoryEntry } from '../history/history-entry.js';
import type { WriteTime } from '../history/history-window.js';
import { keyOf, type RecordKey } from '../records/record-key.js';
import { DeviceClock } from './clock.js';
import { type DeviceOrigin, deviceKey } from './device-key.js';
import { NEVER_MET, type Saved } from './device-saved.js';
import type { HttpAnswers } from './http-answers.js';
import { KnownFields } from './known-fields.js';
import { carriesOther, type OwnWrite, type WriteOutcome } from './own-write.js';
import { type EndedNow, type SeenRange, SeenRanges } from './seen-ranges.js';
import { UnsettledWrites } from './unsettled-writes.js';
import { UnsureRecords } from './unsure-records.js';

/** How long a change that can wait may wait for the next commit of the user, in ms. */
const LAZY = 60_000;
/** A change of the clock's offset by so much is kept at once, in ms: less is the way of the messages. */
const COARSE = 1_000;
/** That a device comes again and again over HTTP is worth a write no more often than this, in ms. */
export const STILL_THERE = 3_600_000;

export class DeviceState {
  readonly key: DeviceKey;
  readonly #owner: UserId;
  /** When the device was last connected. */
  metAt: number;
  /** The same as it is stored, or is being stored. */
  #storedMetAt: number;
  /** When it last came over HTTP, to this process: its request may have to wait before the device is met. */
  cameAt = 0;
  /** When it had first read the document, as far as is known; null before that. */
  syncedFrom: number | null;
  #largestSent: number;
  /** The newest that it said over HTTP that it has, and when. */
  #confirmed = { revision: -1, at: 0 };
  readonly #clock: DeviceClock;
  readonly #connections: SeenRanges;
  readonly #fields: KnownFields;
  readonly #unsure: UnsureRecords;
  readonly #unsettled: UnsettledWrites;
  #urgent = false;
  #changed = false;
  #savedAt = Number.NEGATIVE_INFINITY;

  /**
   * @param owner whose document it is
   * @param revision the user's revision as `saved` was read
   */
  constructor(key: DeviceKey, owner: UserId, saved: Saved = NEVER_MET, revision = 0) {
    this.key = key;
    this.#owner = owner;
    this.metAt = saved.met;
    this.#storedMetAt = saved.met;
    this.syncedFrom = saved.synced ?? null;
    this.#largestSent = saved.largest ?? 0;
    this.#clock = new DeviceClock(saved);
    this.#connections = new SeenRanges(saved.connections, revision);
    this.#fields = KnownFields.fromJSON(saved.fields, saved.learned);
    this.#unsettled = new UnsettledWrites(saved.unsettled);
    this.#unsure = new UnsureRecords(saved.unsure);
    if (saved.connections?.version === 2) this.#savedAt = saved.connections.savedAt;
  }

  /** Whether this device, in these hands, made a change. */
  made(change: DeviceOrigin): boolean {
    return deviceKey(this.#owner, change) === this.key;
  }

  /** The oldest revision that any write of it may have to be compared with. */
  get neededFrom(): number {
    return this.neededSince(0);
  }

  /** The same for writes that were made since. */
  neededSince(time: number): number {
    const unsure = this.#unsure.oldestSince(time);
    return Math.min(this.#connections.neededAt(this.metAt, time), unsure, ...this.#unsettled.since);
  }

  get lastSeen(): number {
    return this.#connections.lastSeen;
  }

  /** The newest revision that it may have received by then: over HTTP, or over what was noted of its connections. */
  sentBy(time: number): number {
    return this.#connections.sentBy(time);
  }

  get isConnected(): boolean {
    return this.#connections.isConnected;
  }

  connect(now: number, revision: number): void {
    this.metAt = now;
    this.#connections.begin(now, revision);
    this.#urgent = true;
  }

  disconnect(ended: EndedNow, now: number): void {
    this.metAt = now;
    this.#connections.end(ended, now);
    // What it wrote before this connection has arrived by now.
    if (ended.flushedAt !== null) this.#unsure.forgetBefore(ended.startedAt);
    this.#changed = true;
  }

  /** What it may have been looking at by now, over a connection that is not known to be gone. */
  noteEnd(ended: EndedNow, now: number): void {
    this.#connections.note(ended, now);
    this.#changed = true;
  }

  noteSynced(at: number): void {
    if (this.syncedFrom !== null) return;
    this.syncedFrom = at;
    this.#urgent = true;
  }

  /** The largest record that it was ever sent, in bytes, where that is more than a message may have. */
  get largestSent(): number {
    return this.#largestSent;
  }

  /** It may send that record back, from a queue in days as well. */
  noteLargest(size: number): void {
    if (size <= this.#largestSent) return;
    this.#largestSent = size;
    this.#urgent = true;
  }

  /** Whether it was connected for so long that nothing of before can be in its queue. */
  get hasFlushed(): boolean {
    return this.#connections.hasFlushed;
  }

  /** By `at`, it will have read everything up to this revision. */
  noteRead(at: number, revision: number): void {
    this.#connections.noteRead(at, revision);
    this.#changed = true;
  }

  /** What it has read by now for certain, over whichever connection; `null`: nothing was ever sent to it. */
  readAt(now: number): number | null {
    return this.#connections.readAt(now);
  }

  get http(): HttpAnswers {
    return this.#connections.http;
  }

  /** It will be answered over HTTP, with this revision or a later one. Returns whether that has to be durable before. */
  asked(revision: number, now: number): boolean {
    this.#meet(now);
    const isToMark = this.#connections.asked(revision, now);
    if (isToMark && !this.http.areMarked) this.#urgent = true;
    return isToMark;
  }

  /** An answer over HTTP leaves, with the records or without; that it arrived only the next request can say. */
  answered(revision: number, now: number, isWhole = true): void {
    this.#meet(now);
    if (this.sentBy(now) < revision) this.#changed = true;
    const isNamed = this.hasConfirmed(revision, 0);
    if (this.#connections.answered(revision, { isNamed, isWhole }, now) && !this.http.areMarked)
      this.#urgent = true;
  }

  /** It is there, and may be so every few seconds: to be saved once more history than needed would be kept for it, too. */
  #meet(now: number): void {
    this.metAt = now;
    const neededAt = (time: number) => this.#connections.neededAt(time, 0);
    const isLater = Math.abs(now - this.#storedMetAt) >= STILL_THERE;
    if (isLater || neededAt(now) !== neededAt(this.#storedMetAt)) this.#changed = true;
  }

  /** When its copy was last made anew, if what was sent for that arrived; -1: not in this process. */
  get renewedAt(): number {
    return this.#connections.renewedAt;
  }

  /** It said over HTTP what it has: nothing older is of any account any more. */
  confirm(revision: number, sentAt: number, now: number): void {
    this.#meet(now);
    this.noteSynced(sentAt);
    // What it changes in that, it may send after a kill, or when its user has long left the memory.
    if (this.#connections.confirm(revision, sentAt)) this.#urgent = true;
    if (this.#unsettled.settleUpTo(revision)) this.#changed = true;
    // A request that is sent again may name what it had before.
    if (revision >= this.#confirmed.revision) this.#confirmed = { revision, at: now };
  }

  /** Whether it has said over HTTP since that it has what stood at this revision. */
  hasConfirmed(revision: number, since: number): boolean {
    return revision <= this.#confirmed.revision && since <= this.#confirmed.at;
  }

  seenBefore({ madeAt, isCertain }: WriteTime, key: RecordKey, now: number): SeenRange | null {
    const time = isCertain ? madeAt : null;
    const seen = this.#connections.seenBefore(time, now);
    return seen && { ...seen, from: Math.min(seen.from, this.#unsure.since(key, time)) };
  }

  /** From when on nothing that it wrote before waits in a queue, and what it had read by then. */
  flushedBy(now: number): number | null {
    return this.#connections.seenBefore(null, now)?.from ?? null;
  }

  /**
   * Up to which revision its own last write of a record is what it had, where it is not known to be unsettled: what
   * crossed a write is not known where a connection ended without a word, or is there still.
   */
  ownUpTo(revision: number, now: number): number {
    const isKnown = !this.isConnected && this.#connections.seenBefore(null, now)?.isComplete;
    return isKnown ? revision : this.lastSeen;
  }

  /** A message with this record, or with all, came so close to another one that its app may have lost it. */
  noteUnsure(what: RecordKey | 'everything', since: number, at: number, isUrgent = false): void {
    this.#unsure.mark(what, since, at);
    this.#changed = true;
    if (isUrgent) this.#urgent = true;
  }

  /** By `at`, it has read this record, or all, in a message that was sent then. */
  noteSure(what: RecordKey | 'everything', sentAt: number, at: number): void {
    if (this.#unsure.clear(what, sentAt, at)) this.#changed = true;
  }

  /** From which revision on it may be looking at this record; infinity: nothing is unsure. */
  unsureSince(key: RecordKey, now: number): number {
    return this.#unsure.since(key, now);
  }

  /** Whether it certainly had no connection when it made a write. */
  wasOffline({ madeAt, isCertain }: WriteTime): boolean {
    return madeAt !== null && isCertain && this.#connections.isOfflineAt(madeAt);
  }

  /**
   * A change came in: when it was made, by the server's clock and at most now; `null` if it does not say.
   *
   * @param isLive whether it can't come from a queue
   */
  hear(message: ChangeMessage, isLive: boolean, { now, revision }: Arrival): WriteTime {
    const { sentAt, madeAt } = message;
    const isNew =
      message.type === 'DATA_UPDATE' && this.#fields.learn(message.collection, message.document, revision);
    if (isNew) this.#urgent = true;
    // What this very message says of the clock counts only where something did before it.
    const isCertain = madeAt !== null && this.#clock.offset !== null;
    const before = madeAt === null ? null : this.#clock.correct(madeAt, now);
    this.hearClock(sentAt, madeAt, isLive, now);
    return { madeAt: isCertain ? this.#clock.correct(madeAt, now) : before, isCertain };
  }

  hearClock(sentAt: number | null, madeAt: number | null, isLive: boolean, now: number): void {
    const before = this.#clock.offset;
    if (!this.#clock.hear(sentAt, madeAt, isLive, now)) return;
    this.#changed = true;
    // Without it, a queue that comes after a kill tells nothing of when it was made.
    if (before === null || Math.abs((this.#clock.offset ?? 0) - before) >= COARSE) this.#urgent = true;
  }

  /** When it made a change that was taken at `at`, by what is known of its clock by now. */
  madeAtByNow({ at, madeAt, via, uncertain }: Taken): number {
    // What it restored, or wrote as a native device, is not by this clock.
    if (at === undefined || (via !== 'json' && via !== 'http')) return madeAt;
    if (uncertain !== true) return madeAt - this.#clock.correctedSince(at);
    return madeAt === at ? at : this.#clock.correct(madeAt, at);
  }

  /** The same write, made when it was by what is known of its clock by now. */
  byNow<Own extends OwnWrite>(own: Own | null): Own | null {
    if (own === null || own.madeAt === null || own.at === undefined) return own;
    const madeAt = this.madeAtByNow({
      at: own.at,
      madeAt: own.madeAt,
      via: 'json',
      uncertain: !own.isCertain,
    });
    return madeAt === own.madeAt ? own : { ...own, madeAt };
  }

  knows(collection: CollectionName, path: Path): boolean {
    return this.#fields.knows(collection, path);
  }

  /** Whether it has sent fields that it did not know when it wrote this revision. */
  hasLearnedSince(revision: number): boolean {
    return this.#fields.hasLearnedSince(revision);
  }

  /** What it can have sent of a record in its write of this revision. */
  sendable(collection: CollectionName, record: JsonObject, revision: number): JsonObject {
    return this.#fields.sendable(collection, record, revision);
  }

  /** The last write of a record in an earlier connection, where the device may be left with something else. */
  unsettled(key: RecordKey): OwnWrite | null {
    return this.byNow(this.#unsettled.get(keyOf(key)));
  }

  /** It has to outlive this process too. The last ones are kept, as far as they are not too large. */
  keepUnsettled(key: RecordKey, write: OwnWrite): void {
    if (this.#unsettled.keep(keyOf(key), write)) this.#urgent = true;
  }

  /** Its copy may be without this write, and be the record as it was before that, or before others that came late. */
  noteLate(key: RecordKey, write: OwnWrite): void {
    const since = Math.min(write.since, this.unsettled(key)?.since ?? write.since);
    this.keepUnsettled(key, { ...write, since, withBase: true, replaced: [] });
  }

  settle(key: RecordKey): void {
    if (this.#unsettled.delete(keyOf(key))) this.#changed = true;
  }

  /** It has read what became of its writes of before this time, and nothing else of then comes from its queue. */
  settleBefore(time: number, now: number): void {
    for (const key of this.#unsettled.before(time))
      if (this.unsureSince(key, now) === Number.POSITIVE_INFINITY) this.settle(key);
  }

  /** A write; its author may be left with something else than the record, until the correction reaches it. */
  noteWrite(key: RecordKey, own: OwnWrite, outcome: WriteOutcome): void {
    const { corrected, record } = outcome;
    if (corrected && carriesOther(own.sent, record) && !this.#isTold(key, own, outcome))
      this.keepUnsettled(key, own);
    else this.settle(key);
  }

  /** Whether the history tells what it sent: the record without the fields that it does not know yet. */
  #isTold({ collection }: RecordKey, { sent }: OwnWrite, { record, revision }: WriteOutcome): boolean {
    if (sent === null || record === null || revision === null) return false;
    const sendable = this.#fields.sendable(collection, record, revision);
    return equalityDeep({ ...sent, id: record.id }, sendable);
  }

  /** Whether it should go into the next commit: some changes can't wait, others may for a while. */
  isDue(now: number): boolean {
    return this.#urgent || (this.isChanged && Math.abs(now - this.#savedAt) >= LAZY);
  }

  get isUrgent(): boolean {
    return this.#urgent;
  }

  get isChanged(): boolean {
    return this.#urgent || this.#changed || this.isToClose;
  }

  /** Whether what is stored leaves open what it was sent, and that is known by now. */
  get isToClose(): boolean {
    return this.#connections.isToClose;
  }

  encode(now: number): Uint8Array {
    this.#urgent = false;
    this.#changed = false;
    this.#savedAt = now;
    this.#storedMetAt = this.metAt;
    const saved = {
      met: this.metAt,
      synced: this.syncedFrom,
      largest: this.#largestSent || undefined,
      ...this.#clock.toJSON(),
      connections: this.#connections.toJSON(now),
      unsure: this.#unsure.toJSON(),
      fields: this.#fields.toJSON(),
      learned: this.#fields.learnedAfter(this.neededFrom),
      unsettled: this.#unsettled.toJSON(),
    } satisfies Saved;
    return Buffer.from(JSON.stringify(saved));
  }

  /** @param revision the user's revision at load */
  static decode(key: DeviceKey, owner: UserId, bytes: Uint8Array, revision: number): DeviceState {
    const json = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString();
    return new DeviceState(key, owner, JSON.parse(json) as Saved, revision);
  }
}

/** When a message came, and the revision of the document by then. */
export interface Arrival {
  readonly now: number;
  readonly revision: number;
}

/** A change that it made; of what is remembered alone, `at` is not known. */
export type Taken = Pick<HistoryEntry, 'madeAt'> & Partial<Pick<HistoryEntry, 'at' | 'via' | 'uncertain'>>;
