/**
 * What a message of a JSON device does to a document: it is compared with what the device may have been looking
 * at, so that only what the device changed is written (L6–L9).
 */
import * as Y from 'yjs';
import { elementId } from '../../shared/elements.js';
import { mayDelete, mergeWrite, type Path } from '../../shared/merge.js';
import type { ChangeMessage } from '../../shared/protocol/json.js';
import {
  assignRecord,
  type JsonObject,
  type JsonRecord,
  recordMap,
  writeRecord,
} from '../../shared/records.js';
import type { OwnWrite } from './device-state.js';
import type { Judged } from './device-view.js';
import type { History } from './history.js';
import type { HistoryEntry } from './history-entry.js';
import type { RecordKey } from './record-key.js';

type Update = Extract<ChangeMessage, { type: 'DATA_UPDATE' }>;

/** The oldest revision that a write has to be compared with; the history has to be in memory from there. */
export function neededFrom(doc: Y.Doc, message: ChangeMessage, { range }: Judged): number {
  if (neverExisted(doc, message)) return Number.POSITIVE_INFINITY;
  return range === null ? 0 : range.from;
}

/**
 * Applies a message inside a transaction.
 *
 * @param current the record as it is in the transaction
 */
export function applyMessage(
  doc: Y.Doc,
  message: ChangeMessage,
  current: JsonRecord | null,
  judged: Judged,
  history: History,
): void {
  const map = recordMap(doc, message.collection, message.id);
  if (message.type === 'DATA_UPDATE') update(doc, map, message, current, judged, history);
  else if (map !== null && mayRemove(message, judged, history)) {
    doc.getMap(message.collection).delete(message.id);
  }
}

function update(
  doc: Y.Doc,
  map: Y.Map<unknown> | null,
  message: Update,
  current: JsonRecord | null,
  judged: Judged,
  history: History,
): void {
  const { collection, id, document } = message;
  const merged = mergeWrite({
    seen: seenVersions(message, judged, history),
    incoming: current === null ? document : { ...document, id: current.id },
    current,
    deletion: deletionOf(message, judged, history),
    madeAt: judged.madeAt,
    changedAt: (path) => history.changedAt(message, path, () => history.oldestTime()),
    knows: (path) => judged.device.knows(collection, path),
    isText: (path) => map !== null && valueAt(map, path) instanceof Y.Text,
  });
  if (merged === null || merged === current) return;
  if (map === null) writeRecord(doc, collection, id, merged);
  else assignRecord(map, merged, current ?? {});
}

/**
 * The versions that the device may have been looking at when it wrote: its own last write, and what came after
 * that; or those of the revisions that it may have seen. Empty where that is not known any more (L8).
 */
function seenVersions(key: RecordKey, judged: Judged, history: History): (JsonObject | null)[] {
  const { device, madeAt, replay, range } = judged;
  const unsettled = device.unsettled(key);
  const isBase = replay && unsettled !== null && isInOrder(unsettled.madeAt, madeAt);
  const own = judged.own ?? (isBase ? unsettled : null);
  if (own !== null) return [own.sent, ...versionsAfter(own, key, range?.to ?? 0, history)];
  if (range === null || range.from < history.floor) return [];
  const ownEntries = history.changes(key, range.from, LATEST).filter((entry) => entry.device === device.id);
  // What a queue sends again may be older than what the device wrote since.
  const later = replay && madeAt !== null ? ownEntries.find((entry) => entry.madeAt >= madeAt) : undefined;
  const to = later === undefined ? range.to : Math.min(range.to, later.revision - 1);
  const isCertain = unsettled === null && later === undefined && (madeAt !== null || !replay);
  const last = isCertain ? ownEntries.findLast(({ revision }) => revision <= judged.ownUpTo) : undefined;
  if (last !== undefined) return [last, ...history.changes(key, last.revision, to)].map(jsonAfter);
  const versions = history.versions(key, { from: range.from, to }).map((image) => image?.json ?? null);
  const isLater = replay && unsettled !== null && isInOrder(madeAt, unsettled.madeAt);
  return unsettled === null || isLater ? versions : [unsettled.sent, ...versions];
}

const LATEST = Number.POSITIVE_INFINITY;

const jsonAfter = ({ after }: HistoryEntry): JsonObject | null => after?.json ?? null;

const isInOrder = (first: number | null, second: number | null): boolean =>
  first !== null && second !== null && first <= second;

function versionsAfter(own: OwnWrite, key: RecordKey, to: number, history: History) {
  const changes = history
    .changes(key, own.since, to)
    .filter(({ revision }) => !own.replaced.includes(revision));
  const shown = own.isShown ? history.versions(key, { from: own.revision, to: own.revision }) : [];
  return [...changes.map(jsonAfter), ...shown.map((image) => image?.json ?? null)];
}

function deletionOf(key: RecordKey, { device, range }: Judged, history: History) {
  const deletion = history.deletion(key);
  if (deletion === null) return null;
  const seenUpTo = range === null ? device.lastSeen : range.to;
  return { at: deletion.at, unseen: seenUpTo >= 0 && deletion.revision > seenUpTo };
}

function mayRemove(message: ChangeMessage, judged: Judged, history: History): boolean {
  const { replay, madeAt, own, range } = judged;
  if (!replay) return true;
  const seen = seenVersions(message, judged, history);
  const since = own?.revision ?? range?.to ?? 0;
  const again = history.changes(message, since, Number.POSITIVE_INFINITY).findLast(isCreatedByOther(judged));
  if (seen.length > 0) return mayDelete({ replay, seen, createdAgain: again !== undefined });
  // Not known what it was looking at: it must not delete what was made anew after a deletion.
  const deletion = history.deletion(message);
  if (again === undefined || deletion === null || deletion.revision > again.revision) return true;
  return madeAt !== null && again.madeAt <= madeAt;
}

const isCreatedByOther =
  ({ device }: Judged) =>
  (entry: HistoryEntry): boolean =>
    entry.before === null && entry.device !== device.id;

/** A key that a map ever had stays known to Yjs, so this needs no history. */
const neverExisted = (doc: Y.Doc, { collection, id }: RecordKey): boolean =>
  !doc.share.has(collection) || !doc.getMap(collection)._map.has(id);

function valueAt(map: Y.Map<unknown>, path: Path): unknown {
  let value: unknown = map;
  for (const step of path) {
    if (typeof step === 'string') value = value instanceof Y.Map ? value.get(step) : undefined;
    else if (value instanceof Y.Array) value = value.toArray().find((each) => idIn(each) === step.id);
    else return undefined;
  }
  return value;
}

const idIn = (element: unknown): string | null =>
  element instanceof Y.Map ? elementId({ id: element.get('id') as string }) : elementId(element);
