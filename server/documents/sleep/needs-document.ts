/**
 * What can be answered of a document at rest, and what needs it: the only place where that is decided. In doubt it is
 * needed; malformed bytes are judged where they always are.
 */
import { ByteReader } from '../../protocol/bytes.js';
import { decodeStateVector, type YjsMessage } from '../../protocol/yjs.js';
import type { RestRow } from '../../store/store.js';

/**
 * So many bytes are read at most to find out what a message brings. With more the document is asked: it need not read
 * all that was ever deleted, and is there for the next messages.
 */
const MAX_READ = 32 * 1_024;

/** An update without structs and deletions. */
const NOTHING = Uint8Array.of(0, 0);

type Sleeper = Pick<RestRow, 'stateVector' | 'deletions' | 'isWhole'>;

export function needsDocument(message: YjsMessage, rest: Sleeper): boolean {
  switch (message.type) {
    case 'syncStep1':
      return answerFor(message.stateVector, rest) === null;
    case 'syncStep2':
    case 'update':
      return bringNews([message], rest.deletions);
    case 'timed':
      return bringNews(message.changes, rest.deletions);
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
  if (theirs.length + ours.length > MAX_READ) return false;
  const clocks = decodeStateVector(theirs);
  const known = decodeStateVector(ours);
  if (clocks.size !== known.size) return false;
  for (const [client, clock] of known) {
    if ((clocks.get(client) ?? 0) < clock) return false;
  }
  return true;
}

/** Whether there is more in them than deletions that are known. */
function bringNews(updates: readonly { readonly update: Uint8Array }[], known: Uint8Array): boolean {
  let read = known.length;
  for (const { update } of updates) {
    if (isSame(update, known) || isSame(update, NOTHING)) continue;
    read += update.length;
    if (read > MAX_READ || bringsNews(update, known)) return true;
  }
  return false;
}

function bringsNews(update: Uint8Array, known: Uint8Array): boolean {
  const theirs = deletionsIn(update);
  if (theirs === null) return true;
  const ours = knownDeletions(known);
  for (const [client, ranges] of theirs) {
    const deleted = ours.get(client) ?? [];
    if (!ranges.every((range) => isAmong(range, deleted))) return true;
  }
  return false;
}

/** Those of the document that was asked about last: a message may bring many changes, and each is looked at twice. */
let last: { readonly known: Uint8Array; readonly deletions: Deletions } | null = null;

function knownDeletions(known: Uint8Array): Deletions {
  if (last?.known !== known) last = { known, deletions: deletionsIn(known) ?? new Map() };
  return last.deletions;
}

type Deletions = ReadonlyMap<number, readonly Range[]>;
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
function deletionsIn(update: Uint8Array): Deletions | null {
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
