/**
 * What the device behind one connection may be looking at (L4), and which of its writes come from an offline
 * queue (L5).
 */
import type { ChangeMessage } from '../../shared/protocol/json.js';
import { type EndedNow, FLUSH_TIME, type Read, type SeenRange } from './device-connections.js';
import type { DeviceState, Heard, OwnWrite } from './device-state.js';
import type { History, RevisionRange } from './history.js';
import {
  type Judged,
  LATEST,
  type Made,
  NONE,
  NOTHING_LATER,
  ownBounds,
  readUpTo,
  remember,
} from './judged.js';
import { RecentWrites } from './recent-writes.js';
import { keyOf, type RecordKey } from './record-key.js';

/** A pong is the socket's word: the app has read the message by so many ms later (L4). */
const APP_LAG = 2_000;
/** Moments that are kept of what the device had read by then. */
const MAX_READS = 12;

/** The device's own last write of a record in this connection. */
interface LiveWrite extends OwnWrite {
  readonly at: number;
  readonly isReplay: boolean;
  /** Number of the first message with the record that was sent since. */
  readonly shownBy: number | null;
}

/** What the device may have missed when it wrote. */
interface Acknowledgement {
  readonly at: number;
  /** The last message that was received, counted from 1. */
  readonly number: number;
  readonly revision: number;
}

/** One connection over a WebSocket. */
export class DeviceView {
  readonly device: DeviceState;
  readonly #startedAt: number;
  readonly #lastSeen: number;
  readonly #before: SeenRange | null;
  #messages = 0;
  #replayedUpTo = NONE;
  #firstSent: number | null = null;
  #sent = 0;
  #acknowledged: Acknowledgement[] = [];
  readonly #unread: { readonly number: number; readonly revision: number }[] = [];
  /** From when on it had read what, thinned out. */
  #reads: Read[] = [];
  #fullSyncAt: number | null = null;
  /** When a newer connection of the device began. */
  #supersededAt: number | null = null;
  #settledAt: number | null = null;
  readonly #own = new RecentWrites<LiveWrite>();
  readonly #replayed = new RecentWrites<OwnWrite>();

  constructor(device: DeviceState, now: number) {
    this.device = device;
    this.#startedAt = now;
    this.#before = device.seenBefore({ madeAt: null, isCertain: false }, now);
    this.#lastSeen = device.lastSeen;
  }

  /** A message goes out that shows this record, or all, as of `revision`. */
  sent(what: RecordKey | 'everything', revision: number): void {
    this.#messages++;
    this.#firstSent ??= revision;
    // Of what is not read, only the oldest revision counts: older messages that show a newer one say nothing.
    while ((this.#unread.at(-1)?.revision ?? -1) >= revision) this.#unread.pop();
    this.#unread.push({ number: this.#messages, revision });
    this.#sent = Math.max(this.#sent, revision);
    const names = what === 'everything' ? [...this.#own.keys()] : [keyOf(what)];
    for (const name of names) {
      const own = this.#own.get(name);
      if (own?.shownBy === null && own.revision <= revision) {
        this.#own.set(name, { ...own, shownBy: this.#messages });
      }
    }
  }

  /** The first full sync goes out, or another one. */
  sentFullSync(revision: number, now: number): void {
    this.#fullSyncAt ??= now;
    this.sent('everything', revision);
    for (const [name, own] of this.#own) {
      // One that was made before the write shows the record without it.
      const isOlder = revision < own.revision;
      const crossing = { since: Math.min(own.since, revision), withBase: true };
      const shown = Math.max(-1, ...own.replaced.filter((each) => each <= revision));
      const replaced = own.replaced.filter((each) => each !== shown);
      this.#own.set(name, isOlder ? { ...own, ...crossing, replaced } : { ...own, replaced, isShown: true });
    }
  }

  /** The record as it is after the device's own write goes out to it. */
  sentBack(key: RecordKey, written: number | null, revision: number): void {
    this.sent(key, revision);
    const own = this.#own.get(keyOf(key));
    if (own === undefined) return;
    const replaced = own.replaced.filter((each) => each !== written);
    this.#own.set(keyOf(key), { ...own, replaced, isShown: true });
  }

  /** A pong proves that as many messages were received, and with them everything up to `revision`. */
  acknowledged(number: number, revision: number, now: number): void {
    this.#settledAt ??= now;
    this.device.noteSynced(now);
    this.#acknowledged.push({ at: now, number, revision });
    this.#reads.push([now + APP_LAG, revision]);
    // Every other one of the older ones: the further back, the less exact.
    if (this.#reads.length > MAX_READS)
      this.#reads = this.#reads.filter((_, k) => k % 2 === 0 || k > MAX_READS / 2);
    this.from(now);
    this.#unreadFrom(now);
  }

  /** Its own writes before the oldest message that it may not have read are older than what may cross them. */
  #unreadFrom(now: number): number {
    const read = this.#read(now)?.number ?? 0;
    while ((this.#unread[0]?.number ?? LATEST) <= read) this.#unread.shift();
    return this.#firstSent === null ? 0 : (this.#unread[0]?.revision ?? LATEST);
  }

  /** The oldest revision that a live write may have to be compared with. */
  from(now: number): number | null {
    const oldest = this.#read(now);
    if (oldest !== null) this.device.advance(oldest.revision);
    return oldest?.revision ?? this.#before?.from ?? this.#firstSent;
  }

  /** What the app has read for certain. */
  #read(now: number): Acknowledgement | null {
    const last = this.#acknowledged.findLastIndex(({ at }) => at <= now - APP_LAG);
    if (last > 0) this.#acknowledged.splice(0, last);
    return last < 0 ? null : (this.#acknowledged[0] ?? null);
  }

  hearClock(sentAt: number | null, now: number): void {
    this.device.hearClock(sentAt, null, true, now);
  }

  judge(message: ChangeMessage, now: number): Judged {
    const { device } = this;
    const isSettled = this.#acknowledged.length > 0;
    const heard = device.hear(message, isSettled && now - this.#startedAt >= FLUSH_TIME, now);
    const replay = !isSettled || this.#mayBeQueued(heard, now);
    const { madeAt } = heard;
    if (!replay) {
      const own = this.#ownWrite(message, madeAt, now);
      // As long as the clock is not known, a queue can look like something new.
      const mayBeOld = !heard.isCertain && now - this.#startedAt < FLUSH_TIME;
      const range = this.#range(now, mayBeOld ? this.#before?.from : undefined);
      const bounds = { base: null, ownUpTo: this.#lastSeen, repeatedUpTo: NONE };
      return { device, replay, madeAt, heard, range, own, ...bounds };
    }
    const range = device.seenBefore(heard, now);
    const isNew = madeAt !== null && madeAt >= this.#startedAt;
    const own = isNew ? this.#ownWrite(message, madeAt, now) : (this.#replayed.get(keyOf(message)) ?? null);
    return { device, replay, madeAt, heard, range, own, ...ownBounds(range, madeAt) };
  }

  #mayBeQueued({ madeAt }: Heard, now: number): boolean {
    if (madeAt === null || this.#fullSyncAt === null) return now - this.#startedAt < FLUSH_TIME;
    return madeAt < this.#fullSyncAt;
  }

  #range(now: number, before?: number): RevisionRange | null {
    const from = before ?? this.from(now);
    return from === null ? null : { from, to: Math.max(from, this.#sent) };
  }

  /** Its own last write of the record, unless it has certainly read what came after it. */
  #ownWrite(key: RecordKey, madeAt: number | null, now: number): OwnWrite | null {
    const own = this.#own.get(keyOf(key));
    const read = this.#read(now)?.number ?? 0;
    if (own !== undefined && (own.shownBy === null || own.shownBy > read)) {
      // Made between the full sync and the replay: on what the full sync showed.
      const isEarly =
        own.isReplay || (own.madeAt !== null && this.#settledAt !== null && own.madeAt < this.#settledAt);
      const isBetween = isEarly && madeAt !== null && madeAt <= own.at && this.#firstSent !== null;
      return isBetween ? { ...own, since: Math.min(own.since, this.#firstSent ?? 0), withBase: true } : own;
    }
    if (own !== undefined) {
      this.#own.delete(keyOf(key));
      this.device.settle(key);
    }
    // Of an earlier connection, until the first full sync was read.
    const before = own === undefined && read === 0 ? this.device.unsettled(key) : null;
    return before === null ? null : { ...before, isShown: true };
  }

  /**
   * What the device has of this record from now on, until something else reaches it.
   *
   * @param crossed whether something with the record was on its way to the device
   */
  wrote(
    message: ChangeMessage,
    judged: Judged,
    made: Made,
    crossed: boolean,
    history: History,
    now: number,
  ): void {
    const name = keyOf(message);
    const { madeAt, range } = judged;
    const { revision } = history;
    const sent = message.type === 'DATA_UPDATE' ? message.document : null;
    const isRepeat = judged.replay && made.revision === null;
    const common = { sent, madeAt, revision };
    if (judged.replay) {
      this.#replayedUpTo = made.revision ?? this.#replayedUpTo;
      const seen = range === null ? undefined : readUpTo(message, sent, range, this.device, NONE, history);
      const since = this.device.wasOffline(judged.heard) ? NOTHING_LATER : (seen ?? NOTHING_LATER);
      remember(this.#replayed, name, {
        ...common,
        since,
        withBase: false,
        replaced: [],
        isShown: false,
        isRepeat,
      });
    }
    const from = this.from(now) ?? 0;
    const acknowledged = Math.max(this.#acknowledged.at(-1)?.revision ?? 0, this.#unreadFrom(now));
    const to = (made.revision ?? LATEST) - 1;
    const since = readUpTo(message, sent, { from, to }, this.device, acknowledged, history);
    const old = this.#own.get(name)?.replaced ?? [];
    const replaced = made.revision === null || made.corrected ? old : [...old, made.revision];
    const own = {
      ...common,
      since,
      withBase: crossed,
      replaced: replaced.filter((each) => each > since),
      isShown: made.corrected,
      isRepeat: false,
    };
    remember(this.#own, name, { ...own, at: now, isReplay: judged.replay, shownBy: null });
    this.device.noteWrite(message, own, made);
  }

  /** The connection is gone. */
  end(now: number): void {
    this.#settleWrites(now);
    const isDead = this.#supersededAt !== null && (this.#acknowledged.at(-1)?.at ?? 0) <= this.#supersededAt;
    this.device.disconnect(isDead ? { ...this.#ended(now), range: null } : this.#ended(now), now);
  }

  /** A newer connection of the device begins. */
  supersede(now: number): void {
    this.#supersededAt = now;
    this.#settleWrites(now);
    this.device.noteEnd(this.#ended(now), now);
  }

  #settleWrites(now: number): void {
    const read = this.#read(now)?.number ?? 0;
    for (const [name, { at, shownBy, isReplay: _, ...own }] of this.#own) {
      const [collection, id] = name.split('\n') as [RecordKey['collection'], RecordKey['id']];
      const isOpen = at > now - APP_LAG || (shownBy !== null && shownBy > read);
      if (isOpen) this.device.keepUnsettled({ collection, id }, own);
      else this.device.settle({ collection, id });
    }
  }

  #ended(now: number): EndedNow {
    return {
      range: this.#firstSent === null ? null : this.#range(now),
      startedAt: this.#startedAt,
      syncedAt: this.#settledAt,
      replayedUpTo: this.#replayedUpTo,
      read: this.#reads,
    };
  }
}
