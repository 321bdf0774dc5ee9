/** What is known of a write, and of the one that its device made before it (L4, L5). */
import { equalityDeep } from 'lib0/function';
import type { JsonObject } from '../../../shared/json.js';
import type { ChangeMessage } from '../../protocol/json.js';
import type { HistoryWindow, RevisionRange, WriteTime } from '../history/history-window.js';
import type { RecordKey } from '../records/record-key.js';
import type { DeviceState } from './device.js';
import type { OwnWrite, WriteOutcome } from './own-write.js';
import { FLUSH_TIME, type SeenRange } from './seen-ranges.js';

/** What is known of a write before it is compared with the record. */
export interface WriteContext extends WriteTime {
  readonly device: DeviceState;
  /** When it came. */
  readonly at: number;
  /** Whether it comes from a queue that may be older than what the device has received (L5). */
  readonly replay: boolean;
  /**
   * What its device wrote by another way than this connection, which may have brought this write already, and what was
   * made after it; `null`: nothing.
   */
  readonly elsewhere: Elsewhere | null;
  /** The revisions that the device may have been looking at; `null`: not known (L8). */
  readonly range: RevisionRange | null;
  /** The same, with what else is known of that time, where it comes from a queue. */
  readonly base: SeenRange | null;
  /** What was shown since, where nothing tells whether the write was made before or after that. */
  readonly shown: RevisionRange | null;
  /** The device's own last write of the record, where it is later than the beginning of `range`. */
  readonly own: OwnWrite | null;
  /**
   * Up to here, the last entry of this device in the history is a write of its own that it was looking at; beyond
   * it, it may be that of another connection, or something may have crossed it.
   */
  readonly ownUpTo: number;
  /** Up to here, writes of its own may be sent again. */
  readonly repeatedUpTo: number;
}

export interface Elsewhere {
  /** Whether the device may have made this revision there. */
  made(revision: number): boolean;
  /** When the device made its last deletion of the record that came there, whether it found anything or not; or `null`. */
  readonly deletedAt: number | null;
}

/** What became of one message. */
export interface WrittenMessage {
  readonly message: ChangeMessage;
  readonly context: WriteContext;
  readonly outcome: WriteOutcome;
}

/** Whether the device made it before its copy was made anew by another way than this connection, which it came after. */
export function cameLate({ device, madeAt, isCertain, at }: WriteContext, startedAt: number): boolean {
  const { renewedAt } = device;
  if (renewedAt <= startedAt) return false;
  return madeAt !== null && isCertain ? madeAt <= renewedAt : at <= renewedAt + FLUSH_TIME;
}

/** Where its clock is not known yet, and names a time ahead, a write was made when it is taken: nothing else is known. */
export function takenAs(context: WriteContext | undefined): WriteTime | undefined {
  if (context === undefined) return undefined;
  const { madeAt, isCertain, at } = context;
  return { madeAt: madeAt !== null && !isCertain && madeAt >= at ? null : madeAt, isCertain };
}

/** The later one by what is known of the clock by now; one that names no time was made when it came. */
export const later = (a: WriteContext | undefined, b: WriteContext): WriteContext =>
  a !== undefined && timeByNow(a) > timeByNow(b) ? a : b;

const timeByNow = ({ device, at, madeAt, isCertain }: WriteContext): number =>
  device.madeAtByNow({ at, madeAt: madeAt ?? at, via: 'json', uncertain: !isCertain });

/** Times tell what is sent again; without them it may be anything that the device may not know to have arrived. */
export const ownBounds = (base: SeenRange | null, madeAt: number | null) => ({
  base,
  ownUpTo: base?.isComplete ? LATEST : NONE,
  repeatedUpTo: madeAt === null ? (base?.repeatedUpTo ?? NONE) : NONE,
});

/** What a queue sends was there before anything that was received meanwhile. */
export const NOTHING_LATER = Number.MAX_SAFE_INTEGER;

/** Below and above all revisions. */
export const NONE = -1;
export const LATEST = Number.POSITIVE_INFINITY;

/** What a device sent of a record, and between which revisions it may have been looking at. */
interface SentWithin extends RevisionRange {
  readonly key: RecordKey;
  readonly sent: JsonObject | null;
}

/**
 * Up to which change of the record it had read them when it sent this: they come in order.
 *
 * @param acknowledged up to here, what it made itself is among them
 */
export function readUpTo(
  range: SentWithin,
  acknowledged: number,
  device: DeviceState,
  history: HistoryWindow,
): number {
  let since = range.from;
  for (const change of changesWithin(range, device, history)) {
    const { revision, isOwn } = change;
    if (isOwn ? revision <= acknowledged : reflects(range.sent, change)) since = revision;
    else if (!isOwn) break;
  }
  return since;
}

/** A change of a record, from one version to the next. */
interface Change {
  readonly revision: number;
  readonly isOwn: boolean;
  readonly before: JsonObject | null;
  readonly after: JsonObject | null;
  /** The fields that it changed, where the record was there before and after; asked for changes of others only. */
  readonly names: () => readonly string[];
}

/** Nothing where the first of them are not told any more: which of the others it had read nobody knows then. */
function* changesWithin(
  { key, sent, from, to }: SentWithin,
  device: DeviceState,
  history: HistoryWindow,
): Generator<Change> {
  if (from < history.oldest) {
    const [first, ...past] = history.versionsBefore(key, { key: device.key, from, to }, [sent]);
    if (first === undefined) return;
    let { json: before } = first;
    for (const { revision, json: after, changes } of past) {
      if (revision > to) return;
      const isOwn = changes.some(({ by }) => by === device.key);
      yield { revision, isOwn, before, after, names: () => changes.map(({ path }) => String(path[0])) };
      before = after;
    }
  }
  for (const entry of history.changes(key, from, to)) {
    const [before, after] = [entry.before?.json ?? null, entry.after?.json ?? null];
    const { revision } = entry;
    yield { revision, isOwn: device.made(entry), before, after, names: () => changedNames(before, after) };
  }
}

function changedNames(before: JsonObject | null, after: JsonObject | null): string[] {
  if (before === null || after === null) return [];
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...names].filter((name) => !equalityDeep(before[name], after[name]));
}

/** Whether the device had read the change when it sent this record: the record has what the change made. */
function reflects(sent: JsonObject | null, { before, after, names }: Change): boolean {
  if (sent === null || after === null) return sent === after;
  if (before !== null) return names().every((name) => equalityDeep(sent[name], after[name]));
  const made = Object.keys(after).filter((name) => name !== 'id');
  const isEqual = (name: string) => equalityDeep(sent[name], after[name]);
  return made.every((name) => Object.hasOwn(sent, name)) && (made.length === 0 || made.some(isEqual));
}
