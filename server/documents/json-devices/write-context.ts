/** What is known of a write, and of the one that its device made before it (L4, L5). */
import { equalityDeep } from 'lib0/function';
import type { JsonObject } from '../../../shared/json.js';
import type { ChangeMessage } from '../../protocol/json.js';
import type { HistoryEntry } from '../history/history-entry.js';
import type { HistoryWindow, RevisionRange } from '../history/history-window.js';
import type { RecordKey } from '../records/record-key.js';
import type { DeviceState } from './device.js';
import type { OwnWrite, WriteOutcome, WriteTime } from './own-write.js';
import type { SeenRange } from './seen-ranges.js';

/** What is known of a write before it is compared with the record. */
export interface WriteContext extends WriteTime {
  readonly device: DeviceState;
  /** Whether it comes from a queue that may be older than what the device has received (L5). */
  readonly replay: boolean;
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

/** What became of one message. */
export interface WrittenMessage {
  readonly message: ChangeMessage;
  readonly context: WriteContext;
  readonly outcome: WriteOutcome;
}

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

/** Up to which change of the record it had read them when it sent this: they come in order. */
export function readUpTo(
  { key, sent, from, to }: RevisionRange & { readonly key: RecordKey; readonly sent: JsonObject | null },
  acknowledged: number,
  device: DeviceState,
  history: HistoryWindow,
): number {
  let since = from;
  for (const entry of history.changes(key, from, to)) {
    const isOwn = device.made(entry);
    if (isOwn ? entry.revision <= acknowledged : reflects(sent, entry)) since = entry.revision;
    else if (!isOwn) break;
  }
  return since;
}

/** Whether the device had read the change when it sent this record: the record has what the change made. */
function reflects(sent: JsonObject | null, { before, after }: HistoryEntry): boolean {
  if (sent === null || after === null) return sent === after;
  const made = after.json;
  if (before === null) {
    const names = Object.keys(made).filter((name) => name !== 'id');
    const isEqual = (name: string) => equalityDeep(sent[name], made[name]);
    return names.every((name) => Object.hasOwn(sent, name)) && (names.length === 0 || names.some(isEqual));
  }
  const names = new Set([...Object.keys(before.json), ...Object.keys(made)]);
  return [...names].every((name) => {
    const [old, now] = [before.json[name], made[name]];
    return old === now || equalityDeep(old, now) || equalityDeep(sent[name], now);
  });
}
