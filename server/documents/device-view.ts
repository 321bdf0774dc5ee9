/**
 * What the device behind one connection may be looking at (L4), and which of its writes come from an offline
 * queue (L5).
 */
import { equalityDeep } from 'lib0/function';
import type { ChangeMessage } from '../../shared/protocol/json.js';
import type { JsonObject, JsonRecord } from '../../shared/records.js';
import { type DeviceState, FLUSH_TIME, type OwnWrite, type SeenRange } from './device-state.js';
import type { History, RevisionRange } from './history.js';
import type { HistoryEntry } from './history-entry.js';
import { keyOf, type RecordKey } from './record-key.js';

/** What is known of a write before it is compared with the record. */
export interface Judged {
  readonly device: DeviceState;
  /** Whether it comes from a queue that may be older than what the device has received (L5). */
  readonly replay: boolean;
  /** When it was made by the server's clock; `null` if it does not say. */
  readonly madeAt: number | null;
  /** The revisions that the device may have been looking at; `null`: not known (L8). */
  readonly range: RevisionRange | null;
  /** The device's own last write of the record, where it is later than the beginning of `range`. */
  readonly own: OwnWrite | null;
  /**
   * Up to here, the last entry of this device in the history is a write of its own that it was looking at; beyond
   * it, it may be that of another connection, or something may have crossed it.
   */
  readonly ownUpTo: number;
}

/** What a queue sends was there before anything that was received meanwhile. */
export const NOTHING_LATER = Number.MAX_SAFE_INTEGER;

/** Below and above all revisions. */
const NONE = -1;
const LATEST = Number.POSITIVE_INFINITY;

/** A pong is the socket's word: the app has read the message by so many ms later (L4). */
const APP_LAG = 2_000;

/** One connection over a WebSocket. */
export class DeviceView {
  readonly device: DeviceState;
  readonly #startedAt: number;
  readonly #lastSeen: number;
  readonly #before: SeenRange | null;
  #firstSent: number | null = null;
  #sent: number | null = null;
  #acknowledged: { at: number; revision: number }[] = [];
  #fullSyncAt: number | null = null;
  #isSynced = false;
  readonly #own = new Map<string, OwnWrite & { readonly at: number }>();
  readonly #replayed = new Map<string, OwnWrite>();

  constructor(device: DeviceState, now: number) {
    this.device = device;
    this.#startedAt = now;
    this.#before = device.seenBefore(null);
    this.#lastSeen = device.lastSeen;
  }

  /** Something was sent that shows the state at `revision`. */
  sent(revision: number): void {
    this.#firstSent ??= revision;
    this.#sent = Math.max(this.#sent ?? 0, revision);
  }

  /** A full sync goes out: it shows every record as it is at `revision`. */
  sentFullSync(revision: number, now: number): void {
    this.#fullSyncAt ??= now;
    this.sent(revision);
    for (const [name, own] of this.#own) {
      if (own.revision <= revision) this.#own.set(name, { ...own, isShown: true });
    }
  }

  /** A pong proves that everything up to `revision` was received. */
  acknowledged(revision: number, now: number): void {
    this.#isSynced ||= this.#fullSyncAt !== null;
    this.#acknowledged.push({ at: now, revision });
  }

  /** The oldest revision that a live write may have to be compared with. */
  from(now: number): number | null {
    const settled = this.#acknowledged.findLastIndex(({ at }) => at <= now - APP_LAG);
    if (settled > 0) this.#acknowledged.splice(0, settled);
    const oldest = settled < 0 ? undefined : this.#acknowledged[0];
    if (oldest !== undefined) this.device.advance(oldest.revision);
    return oldest?.revision ?? this.#before?.from ?? this.#firstSent;
  }

  judge(message: ChangeMessage, now: number): Judged {
    const { device } = this;
    const madeAt = device.hear(message, now);
    const replay = this.#isReplay(madeAt, now);
    const key = keyOf(message);
    const ownUpTo = this.#before?.isComplete ? this.#lastSeen : NONE;
    if (!replay)
      return { device, replay, madeAt, range: this.#range(now), own: this.#own.get(key) ?? null, ownUpTo };
    const range = device.seenBefore(madeAt);
    const own = this.#replayed.get(key) ?? null;
    return { device, replay, madeAt, range, own, ownUpTo: range?.isComplete ? LATEST : NONE };
  }

  #range(now: number): RevisionRange | null {
    const from = this.from(now);
    return from === null || this.#sent === null ? null : { from, to: Math.max(from, this.#sent) };
  }

  #isReplay(madeAt: number | null, now: number): boolean {
    if (!this.#isSynced || this.#fullSyncAt === null) return true;
    return madeAt === null ? now - this.#startedAt < FLUSH_TIME : madeAt < this.#fullSyncAt;
  }

  /** What the device has of this record from now on, until something else reaches it. */
  wrote(message: ChangeMessage, judged: Judged, made: Made, history: History, now: number): void {
    const name = keyOf(message);
    const sent = message.type === 'DATA_UPDATE' ? message.document : null;
    const { revision } = history;
    const { madeAt, range } = judged;
    const isOther = (entry: HistoryEntry) => entry.device !== this.device.id;
    if (judged.replay) {
      const others = range === null ? [] : history.changes(message, range.from, range.to).filter(isOther);
      const seen = others.findLast((entry) => reflects(sent, entry))?.revision ?? range?.from;
      const since = this.#wasOffline(madeAt) ? NOTHING_LATER : (seen ?? NOTHING_LATER);
      this.#replayed.set(name, { sent, madeAt, revision, since, replaced: [], isShown: false });
    }
    const from = this.from(now) ?? 0;
    const old = this.#own.get(name)?.replaced ?? [];
    const replaced = made.revision === null || made.corrected ? old : [...old, made.revision];
    const acknowledged = this.#acknowledged.at(-1)?.revision ?? 0;
    const wasRead = (entry: HistoryEntry): boolean =>
      isOther(entry) ? reflects(sent, entry) : entry.revision <= acknowledged;
    const before = history.changes(message, from, (made.revision ?? Number.POSITIVE_INFINITY) - 1);
    const since = before.findLast(wasRead)?.revision ?? from;
    const own = {
      sent,
      madeAt,
      revision,
      since,
      replaced: replaced.filter((each) => each > since),
      isShown: made.corrected,
    };
    this.#own.set(name, { ...own, at: now });
    this.device.noteWrite(message, own, made);
  }

  /** The record as it was after the device's own write goes out to it: it may be looking at that again. */
  sentBack(key: RecordKey, revision: number | null): void {
    const own = this.#own.get(keyOf(key));
    if (own === undefined) return;
    const replaced = own.replaced.filter((each) => each !== revision);
    this.#own.set(keyOf(key), { ...own, replaced, isShown: true });
  }

  /** Made after the last connection had ended, so that nothing can have crossed it. */
  #wasOffline(madeAt: number | null): boolean {
    return madeAt !== null && this.device.isOfflineAt(madeAt);
  }

  /** The connection is gone. */
  end(now: number): void {
    for (const [name, { at, ...own }] of this.#own) {
      const [collection, id] = name.split('\n') as [RecordKey['collection'], RecordKey['id']];
      if (at > now - APP_LAG) this.device.keepUnsettled({ collection, id }, own);
    }
    this.device.disconnect(this.#range(now), this.#startedAt, now);
  }
}

/** What became of a write. */
export interface Made {
  /** Of the change; `null` if there was none. */
  readonly revision: number | null;
  /** What the record is now. */
  readonly record: JsonRecord | null;
  /** Whether the device is sent the record, since it is not what the device sent. */
  readonly corrected: boolean;
}

/** Whether who sent this had the change in front of it: what it sent has what the change made. */
function reflects(sent: JsonObject | null, { before, after }: HistoryEntry): boolean {
  if (sent === null || after === null) return sent === after;
  const made = after.json;
  if (before === null) return Object.keys(made).every((name) => Object.hasOwn(sent, name));
  const names = new Set([...Object.keys(before.json), ...Object.keys(made)]);
  return [...names].every((name) => {
    const [old, now] = [before.json[name], made[name]];
    return old === now || equalityDeep(old, now) || equalityDeep(sent[name], now);
  });
}
