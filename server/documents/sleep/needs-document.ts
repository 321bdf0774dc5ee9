/**
 * What can be answered of a document at rest, and what needs it: the only place where that is decided. In doubt it is
 * needed; malformed bytes are judged where they always are.
 */
import { ByteReader } from '../../protocol/bytes.js';
import { decodeStateVector, type YjsMessage } from '../../protocol/yjs.js';
import type { RestRow } from '../../store/store.js';

type Sleeper = Pick<RestRow, 'stateVector' | 'deletions' | 'isWhole'>;

export function needsDocument(message: YjsMessage, rest: Sleeper): boolean {
  switch (message.type) {
    case 'syncStep1':
      return answerFor(message.stateVector, rest) === null;
    case 'syncStep2':
    case 'update':
      return bringsNews(message.update, rest.deletions);
    case 'timed':
      return message.changes.some(({ update }) => bringsNews(update, rest.deletions));
    case 'awareness':
    case 'queryAwareness':
    case 'checkpoint':
    case 'auth':
      return false;
  }
}

/**
 * What answers a device that has this: all deletions, where it has every struct (equal state vectors don't mean equal
 * deletions), and nothing of clients that are not known, which may be those of a document before this one; the whole document, where it has nothing. `null` where only the document itself can tell.
 */
export function answerFor(stateVector: Uint8Array, rest: Sleeper): 'deletions' | 'whole' | null {
  if (covers(stateVector, rest.stateVector)) return 'deletions';
  return stateVector.length === 1 && stateVector[0] === 0 && rest.isWhole ? 'whole' : null;
}

function covers(theirs: Uint8Array, ours: Uint8Array): boolean {
  if (isSame(theirs, ours)) return true;
  const clocks = decodeStateVector(theirs);
  const known = decodeStateVector(ours);
  if (clocks.size !== known.size) return false;
  for (const [client, clock] of known) {
    if ((clocks.get(client) ?? 0) < clock) return false;
  }
  return true;
}

/** Whether an update has more than deletions that are known. */
function bringsNews(update: Uint8Array, known: Uint8Array): boolean {
  if (isSame(update, known)) return false;
  const theirs = deletionsIn(update);
  if (theirs === null) return true;
  if (theirs.size === 0) return false;
  const ours = deletionsIn(known) ?? new Map<number, Range[]>();
  for (const [client, ranges] of theirs) {
    const deleted = ours.get(client) ?? [];
    if (!ranges.every((range) => isAmong(range, deleted))) return true;
  }
  return false;
}

type Range = readonly [from: number, to: number];

/** Yjs writes what is deleted in order; were it not, the document would be asked once too often. */
function isAmong([from, to]: Range, deleted: readonly Range[]): boolean {
  let [low, high] = [0, deleted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((deleted[middle]?.[0] ?? 0) <= from) low = middle + 1;
    else high = middle;
  }
  const before = deleted[low - 1];
  return before !== undefined && to <= before[1];
}

/** Of an update that has nothing else; `null` of any other. */
function deletionsIn(update: Uint8Array): Map<number, Range[]> | null {
  const reader = new ByteReader(update);
  const deletions = new Map<number, Range[]>();
  try {
    if (reader.uint() !== 0) return null; // structs
    for (let clients = reader.count(); clients > 0; clients--) {
      const client = reader.uint();
      if (deletions.has(client)) return null;
      const ranges: Range[] = [];
      for (let left = reader.count(); left > 0; left--) {
        const from = reader.uint();
        ranges.push([from, from + reader.uint()]);
      }
      deletions.set(client, ranges);
    }
    reader.end();
  } catch {
    return null;
  }
  return deletions;
}

const isSame = (one: Uint8Array, two: Uint8Array): boolean => Buffer.compare(one, two) === 0;
