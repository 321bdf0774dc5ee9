/** What the device behind one connection may be looking at (L4), and which of its writes come from a queue (L5). */
import type { ChangeMessage } from '../../protocol/json.js';
import type { HistoryWindow, RevisionRange, WriteTime } from '../history/history-window.js';
import { keyOf, type RecordKey, recordOf } from '../records/record-key.js';
import type { Arrival, DeviceState } from './device.js';
import {
  isPostedLater,
  type LiveWrite,
  type PostedWrite,
  type WritesHeard,
  withoutLive,
} from './live-write.js';
import { LiveWrites } from './live-writes.js';
import { Overtaken } from './overtaken.js';
import { aroundBoth, isReadOver, type OwnWrite, type WriteOutcome } from './own-write.js';
import { WritesOfConnection } from './recent-writes.js';
import { APP_LAG, type EndedNow, FLUSH_TIME } from './seen-ranges.js';
import { allIfMany, type MaybeLost, SentMessages } from './sent-messages.js';
import {
  cameLate,
  LATEST,
  NONE,
  NOTHING_LATER,
  ownBounds,
  readUpTo,
  type WriteContext,
  type WrittenMessage,
} from './write-context.js';

/** Who serves the connection. */
export interface Served {
  /** An answer over HTTP with the records as of a revision has gone out to the device. */
  answeredOverHttp(revision: number): void;
}

/** One connection over a WebSocket. */
export class SocketView {
  readonly device: DeviceState;
  readonly served: Served;
  readonly #writesHeard: WritesHeard;
  readonly #startedAt: number;
  /** Up to here, its own last write of a record is one that it had when the connection began. */
  readonly #ownUpTo: number;
  /** What it had read when nothing that it wrote before was left in its queue. */
  readonly #flushedFrom: number | null;
  readonly #messages: SentMessages;
  #replayedUpTo = NONE;
  /** When the device was last heard: until then, the connection was good for something. */
  #heardAt: number;
  #fullSyncAt: number | null = null;
  /** When a newer connection of the device began. */
  #supersededAt: number | null = null;
  #noteNewer: ((now: number) => void) | null = null;
  readonly #overtaken = new Overtaken();
  #settledAt: number | null = null;
  readonly #own = new LiveWrites();
  readonly #replays = new WritesOfConnection<OwnWrite>();

  constructor(device: DeviceState, { now, revision }: Arrival, writesHeard: WritesHeard, served: Served) {
    this.device = device;
    this.served = served;
    this.#writesHeard = writesHeard;
    this.#messages = new SentMessages(device);
    this.#startedAt = now;
    this.#heardAt = now;
    this.#flushedFrom = device.flushedBy(now);
    this.#ownUpTo = device.ownUpTo(revision, now);
  }

  /**
   * A message goes out that shows this record, or all, as of `revision`.
   *
   * @param repeats how often it was sent before, and may have been lost
   */
  sent(what: RecordKey | 'everything', revision: number, now: number, repeats = 0): void {
    this.#messages.add(what, revision, now, repeats);
    this.#own.shown(what, revision, this.#messages.count);
  }

  /** The last message with this record, or with all, came so close to another one that the app may have lost it. */
  doubt(what: RecordKey | 'everything', now: number): void {
    this.#messages.doubt(what, now);
  }

  /**
   * Notes, and returns, what reached the device so near to its write of another record that its app may have lost it.
   */
  overwrote(message: ChangeMessage, { replay, madeAt }: WriteContext, now: number): MaybeLost[] {
    const at = replay ? now : (madeAt ?? now);
    // A queue goes out when the full sync was stored.
    const near = this.#messages.near(message, at).filter(({ what }) => what !== 'everything' || !replay);
    const isOwn = (key: RecordKey) => this.#own.get(key)?.shownBy === null;
    const lost = near.filter(({ what }) => what === 'everything' || !isOwn(what));
    for (const { what } of lost) this.#messages.doubtAt(what, at, now);
    return lost;
  }

  /** The last message with this record, where its app may have read it only after it wrote this, though it had arrived. */
  fresh(key: RecordKey, { replay, madeAt }: WriteContext, now: number): MaybeLost | null {
    return this.#messages.lastUnread(key, replay ? now : (madeAt ?? now));
  }

  /** The first full sync goes out, or another one. */
  sentFullSync(revision: number, now: number, repeats = 0): void {
    this.#fullSyncAt ??= now;
    this.sent('everything', revision, now, repeats);
    this.#own.shownAll(revision);
  }

  /** What was sent is the record as it is after the device's own write. */
  sentBack(key: RecordKey, written: number | null): void {
    this.#own.sentBack(key, written);
  }

  /**
   * An answer over HTTP has gone out: it takes the place of all that this connection brought, and of what the device
   * wrote. Returns what of that is newer than the answer.
   */
  replacedBy(revision: number, now: number): readonly MaybeLost[] {
    const newer = this.#messages.shownSince(revision, now);
    for (const [name, write] of this.#own.replacedBy(revision)) {
      const key = recordOf(name);
      this.device.keepUnsettled(key, withoutLive(write));
      if (!newer.has(name)) newer.set(name, { what: key, repeats: this.#messages.repeatsOf(key, now) });
    }
    const lost = allIfMany([...newer.values()]);
    for (const { what } of lost) this.device.noteUnsure(what, revision, now, true);
    return lost;
  }

  /** A pong proves that as many messages were received, and with them everything up to `revision`. */
  acknowledged(number: number, revision: number, now: number): void {
    this.heard(now);
    this.#settledAt ??= now;
    this.device.noteSynced(now);
    this.#messages.acknowledged(number, revision, now);
  }

  /**
   * All that was sent has been received, and this revision is a write of its own that was taken as it came: it has all up
   * to that. A device that writes, and is sent nothing, would be compared with all that it ever wrote; every few seconds
   * is enough against that. A newer connection may have made its copy anew without this write.
   */
  hasAll(revision: number, now: number): void {
    const last = this.#messages.lastAcknowledged;
    if (this.#supersededAt !== null || last === null) return;
    if (now - last.at >= APP_LAG && revision > last.revision) this.#messages.hasAll(last, revision, now);
  }

  /** The oldest revision that a live write may have to be compared with. */
  from(now: number): number | null {
    return this.#messages.from(now);
  }

  /** Whatever came: the connection is there. */
  heard(now: number): void {
    this.#heardAt = now;
  }

  hearClock(sentAt: number | null, now: number): void {
    this.heard(now);
    this.device.hearClock(sentAt, null, true, now);
  }

  /** What is known of a write that came now. */
  contextOf(message: ChangeMessage, arrival: Arrival): WriteContext {
    const { device } = this;
    const { now } = arrival;
    this.heard(now);
    this.#messages.settle(now);
    const isSettled = this.#settledAt !== null;
    const time = device.hear(message, isSettled && now >= this.#flushedAt, arrival);
    const isQueued = !isSettled || this.#mayBeQueued(time, now);
    return isQueued ? this.#replayed(message, time, now) : this.#live(message, time, now);
  }

  #live(message: ChangeMessage, time: WriteTime, now: number): WriteContext {
    const { device } = this;
    const at = time.madeAt ?? now;
    this.#noteNewer?.(now);
    const own = this.#ownWrite(message, time, at);
    // As long as the clock is not known, a queue can look like something new.
    const mayBeOld = !time.isCertain && now < this.#flushedAt;
    const { madeAt, isCertain } = time;
    const sent = isCertain ? this.#messages.sentBy(at) : this.#messages.newest;
    // Its app may have made its copy anew by another way, while this connection brought nothing.
    const to = Math.max(sent, device.sentBy(isCertain ? at : now));
    const range = this.#range(message, { at, to }, mayBeOld ? this.#flushedFrom : null);
    const [replay, base, shown, ownUpTo, repeatedUpTo] = [false, null, null, this.#ownUpTo, NONE];
    const kind = { replay, elsewhere: this.#overtaken.elsewhere(message, madeAt, device) };
    return { device, at: now, ...kind, madeAt, isCertain, range, base, shown, own, ownUpTo, repeatedUpTo };
  }

  #replayed(message: ChangeMessage, time: WriteTime, now: number): WriteContext {
    const { device } = this;
    const { madeAt } = time;
    const range = device.seenBefore(time, message, now);
    const isNew = madeAt !== null && madeAt >= this.#startedAt;
    const queued = device.byNow(this.#replays.get(keyOf(message)) ?? null);
    const own = isNew ? aroundBoth(this.#ownWrite(message, time, madeAt), queued) : queued;
    const shown = madeAt === null ? this.#shown : null;
    const kind = { replay: true, elsewhere: null };
    return { device, at: now, ...kind, ...time, range, own, shown, ...ownBounds(range, madeAt) };
  }

  /** From then on, nothing comes from a queue: the app sends that when it has its first full sync, which may be late. */
  get #flushedAt(): number {
    return (this.#fullSyncAt ?? LATEST) + FLUSH_TIME;
  }

  get #isFlushed(): boolean {
    return this.#heardAt >= this.#flushedAt;
  }

  get #shown(): RevisionRange | null {
    const { first, newest } = this.#messages;
    return first === null ? null : { from: first, to: newest };
  }

  #mayBeQueued({ madeAt }: WriteTime, now: number): boolean {
    if (madeAt === null || this.#fullSyncAt === null) return now < this.#flushedAt;
    return madeAt < this.#fullSyncAt;
  }

  /**
   * @param at when it was made, as far as is known: it may have been long on its way
   * @param to the newest revision that had been sent by then
   */
  #range(
    key: RecordKey,
    { at, to }: { at: number; to: number },
    before: number | null,
  ): RevisionRange | null {
    const known = before ?? this.#messages.from(at);
    if (known === null) return null;
    const from = Math.min(known, this.device.unsureSince(key, at));
    return { from, to: Math.max(from, to) };
  }

  /** Its own last write of the record, unless it had certainly read by then what came after it. */
  #ownWrite(key: RecordKey, { madeAt, isCertain }: WriteTime, at: number): OwnWrite | null {
    const own = this.device.byNow(this.#own.get(key) ?? null) ?? undefined;
    if (isPostedLater(own, madeAt)) return null;
    const read = this.#messages.read(at)?.number ?? 0;
    const unsure = this.device.unsureSince(key, at);
    if (own !== undefined && (own.shownBy === null || own.shownBy > read || unsure < LATEST)) {
      // Made between the full sync and the replay, or before the app had read that: on what the full sync showed.
      const isEarly = own.isReplay || (this.#settledAt !== null && own.at < this.#settledAt + APP_LAG);
      const { first } = this.#messages;
      const isBetween = isEarly && madeAt !== null && madeAt <= own.at && first !== null;
      // What came late, and was overtaken by what the device sent over another connection, was made before its answer.
      const isShown = own.isShown && !(isCertain && at < own.at);
      if (!isBetween && isShown === own.isShown) return own; // a spread, for each write, is a call into V8's runtime
      const since = isBetween ? Math.min(own.since, first) : own.since;
      return { ...own, since, isShown, withBase: own.withBase || isBetween };
    }
    if (own !== undefined) {
      this.#own.delete(key);
      this.device.settle(key);
    }
    // Of an earlier connection, until the first full sync was read, or where what was read may lack it by now.
    const before = own === undefined ? this.device.unsettled(key) : null;
    if (before === null || (read > 0 && isReadOver(before, unsure))) return null;
    return { ...before, isShown: true };
  }

  /**
   * What the device has of this record from now on, until something else reaches it. Returns whether something may have
   * taken the write out of its copy.
   *
   * @param crossed whether something with the record was on its way to the device
   */
  wrote(written: WrittenMessage, crossed: boolean, history: HistoryWindow, now: number): boolean {
    const { message, context, outcome } = written;
    const sent = message.type === 'DATA_UPDATE' ? message.document : null;
    const { madeAt, isCertain } = context;
    const { revision } = history;
    if (context.replay) this.#noteReplay(written, { sent, madeAt, isCertain, at: now, revision }, history);
    // What a queue sends has been put over what the full sync showed.
    const at = context.replay ? now : (context.madeAt ?? now);
    const built = this.#builtOn(written, { key: message, sent, at }, history);
    // One that it asked for, and reads only after this, takes this write out of its copy.
    const sync = context.replay ? null : this.#messages.unreadSync(at);
    const since = Math.min(built, sync ?? built);
    const old = this.#own.get(message)?.replaced ?? [];
    const replaced = outcome.revision === null || outcome.corrected ? old : [...old, outcome.revision];
    const later = replaced.filter((each) => each > since);
    const withBase = crossed || sync !== null;
    const isShown = outcome.corrected;
    const { replay: isReplay } = context;
    // Not spread: this runs for each write, and that costs more than all the rest.
    const own: LiveWrite = {
      sent,
      madeAt,
      isCertain,
      revision,
      since,
      withBase,
      replaced: later,
      isShown,
      isRepeat: false,
      at: now,
      isReplay,
      shownBy: null,
      isLate: cameLate(context, this.#startedAt),
      isOverHttp: false,
    };
    this.#own.add(message, own);
    if (outcome.revision !== null) this.#overtaken.wrote(outcome.revision);
    this.#writesHeard.wroteLive(this, message, own);
    if (own.isLate) this.device.noteLate(message, own);
    else this.device.noteWrite(message, own, outcome);
    return withBase;
  }

  /**
   * The device wrote over HTTP.
   *
   * @param before the revision before its batch
   */
  wroteOverHttp(key: RecordKey, own: PostedWrite, outcome: WriteOutcome, before: number): void {
    this.#overtaken.wroteElsewhere(key, own);
    if (this.#supersededAt !== null) return;
    this.#overtaken.byRequest(own.at, before);
    const unread = this.#messages.oldestUnread(key, (own.isCertain ? own.madeAt : null) ?? own.at);
    this.#own.posted(key, own, outcome.corrected, unread);
  }

  /** The device wrote over another connection. */
  wroteElsewhere(key: RecordKey, own: LiveWrite): void {
    if (this.#supersededAt !== null) this.#overtaken.wroteElsewhere(key, own);
  }

  /** The next write of the queue may be built on this one. */
  #noteReplay(
    { message, context, outcome }: WrittenMessage,
    common: Pick<OwnWrite, 'sent' | 'madeAt' | 'isCertain' | 'at' | 'revision'>,
    history: HistoryWindow,
  ): void {
    const { range } = context;
    this.#replayedUpTo = outcome.revision ?? this.#replayedUpTo;
    const read = () =>
      range && readUpTo({ key: message, sent: common.sent, ...range }, NONE, this.device, history);
    const since = this.device.wasOffline(context) ? NOTHING_LATER : (read() ?? NOTHING_LATER);
    const isRepeat = outcome.revision === null;
    const own = { ...common, since, withBase: false, replaced: [], isShown: false, isRepeat };
    this.#replays.add(keyOf(message), own);
  }

  /** Up to which change of the record the device had read them when it made this write. */
  #builtOn(
    { outcome }: WrittenMessage,
    { key, sent, at }: { key: RecordKey; sent: OwnWrite['sent']; at: number },
    history: HistoryWindow,
  ): number {
    const unsure = this.device.unsureSince(key, at);
    const from = Math.min(this.#messages.from(at) ?? 0, unsure);
    const read = Math.max(this.#messages.lastAcknowledged?.revision ?? 0, this.#messages.unreadFrom(at));
    const to = (outcome.revision ?? LATEST) - 1;
    return readUpTo({ key, sent, from, to }, Math.min(read, unsure), this.device, history);
  }

  /** What others made of a record since, before the device's own write of it, will not be sent to it. */
  neverSent(key: RecordKey, since: number, history: HistoryWindow): void {
    this.#own.neverSent(key, (upTo) => history.changes(key, since - 1, upTo).map(({ revision }) => revision));
  }

  /** The connection is gone. */
  end(now: number): void {
    this.#settleWrites(now);
    const isDead =
      this.#supersededAt !== null && (this.#messages.lastAcknowledged?.at ?? 0) <= this.#supersededAt;
    this.device.disconnect(isDead ? { ...this.#ended(now), sent: [] } : this.#ended(now), now);
  }

  /**
   * A newer connection of the device begins.
   *
   * @param noteNewer what the newest one has shown it by now is noted
   */
  supersede({ now, revision }: Arrival, noteNewer: (now: number) => void): void {
    this.#note(now);
    this.#supersededAt = now;
    this.#overtaken.byConnection(revision);
    this.#noteNewer = noteNewer;
  }

  /** The device comes by another way: over HTTP, or an older connection. */
  meanwhile(now: number): void {
    if (this.#supersededAt === null) this.#note(now);
  }

  /** It may be dead without a close: what the device had seen is noted now. */
  #note(now: number): void {
    this.#settleWrites(now);
    this.device.noteEnd(this.#ended(now), now);
  }

  #settleWrites(now: number): void {
    this.#messages.end(now);
    const read = this.#messages.read(now)?.number ?? 0;
    if (this.#isFlushed && read > 0 && this.#supersededAt === null)
      this.device.settleBefore(this.#startedAt, now);
    this.#own.settle(this.device, { read, supersededAt: this.#supersededAt, now });
  }

  #ended(now: number): EndedNow {
    return {
      startedAt: this.#startedAt,
      flushedAt: this.#isFlushed ? this.#flushedAt : null,
      sent: this.#messages.steps,
      read: this.#messages.read(now)?.revision ?? null,
      syncedAt: this.#settledAt,
      replayedUpTo: this.#replayedUpTo,
    };
  }
}
