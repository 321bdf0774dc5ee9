/**
 * What a message of a JSON device does to a document: it is compared with what the device may have been looking
 * at, so that only what the device changed is written (L6–L9).
 */
import * as Y from 'yjs';
import { elementId } from '../../../shared/elements.js';
import type { JsonObject, JsonRecord } from '../../../shared/json.js';
import { FORGOTTEN, mayDelete, mergeWrite, type Path } from '../../../shared/merge/merge.js';
import { assignRecord, recordMap, writeRecord } from '../../../shared/records.js';
import { isMarkup, isSharedText } from '../../../shared/rich-text.js';
import type { ChangeMessage } from '../../protocol/json.js';
import type { HistoryEntry } from '../history/history-entry.js';
import type { HistoryWindow, RevisionRange } from '../history/history-window.js';
import { plainWrite } from '../intake/plain-write.js';
import type { RecordKey } from '../records/record-key.js';
import type { Taken } from './device.js';
import { withLikelyParts } from './forgotten.js';
import { isReadOver, type OwnWrite } from './own-write.js';
import { type Repeated, withoutRepeated } from './repeats.js';
import { FLUSH_TIME } from './seen-ranges.js';
import { LATEST, NONE, type WriteContext } from './write-context.js';

/** A change that the device made. */
type Made = Taken & Pick<HistoryEntry, 'revision'>;

/** A message, with what it is compared with. */
interface ComparedWrite<Message extends ChangeMessage = ChangeMessage> {
  readonly message: Message;
  readonly context: WriteContext;
  readonly history: HistoryWindow;
  /** The record as it is in the transaction. */
  readonly current: JsonRecord | null;
}

type Update = Extract<ChangeMessage, { type: 'DATA_UPDATE' }>;

/** The oldest revision that a write has to be compared with; the history has to be in memory from there. */
export function neededFrom(
  { doc, epoch }: { readonly doc: Y.Doc; readonly epoch: unknown },
  message: ChangeMessage,
  { device, own, range }: WriteContext,
): number {
  if (epoch === null && neverExisted(doc, message)) return LATEST;
  const since = [own?.since, device.unsettled(message)?.since].map((revision) => revision ?? LATEST);
  return Math.min(range?.from ?? 0, ...since);
}

/** What a message makes of its record; `null`: there is to be none, `undefined`: nothing changes. */
export type Merged = JsonObject | null | undefined;

export function mergeMessage(doc: Y.Doc, write: ComparedWrite): Merged {
  const { message } = write;
  const map = recordMap(doc, message.collection, message.id);
  if (message.type === 'DATA_UPDATE') return update(doc, map, { ...write, message });
  return map !== null && mayRemove(write) ? null : undefined;
}

/** Makes it so, inside a transaction; `current` is the record as it is in that. */
export function writeMerged(doc: Y.Doc, key: RecordKey, merged: Merged, current: JsonRecord | null): void {
  const { collection, id } = key;
  const map = recordMap(doc, collection, id);
  if (merged === undefined) return;
  if (merged === null) doc.getMap(collection).delete(id);
  else if (map === null) writeRecord(doc, collection, id, merged);
  else assignRecord(map, merged, current ?? {});
}

/** The same as a plain write, where it is one. */
export function plainlyMerged(doc: Y.Doc, key: RecordKey, merged: Merged, current: JsonRecord | null) {
  const map = recordMap(doc, key.collection, key.id);
  return map === null || !merged || current === null ? null : plainWrite(map, merged, current);
}

function update(doc: Y.Doc, map: Y.Map<unknown> | null, write: ComparedWrite<Update>): Merged {
  const { message, context, history, current } = write;
  const { collection } = message;
  const repeated = repeatedVersions(write);
  // What became of the record since is another matter (L7).
  if (current === null && (repeated.length > 0 || wasDeletedElsewhere(context))) return undefined;
  const seen = seenVersions(write);
  const isOnOther = seen.length === 0 && wasReplaced(write);
  const versions = seen.length === 0 ? seen : [...seen, ...shownVersions(write)];
  const isText = (path: Path) => isSharedText(valueAt(map, path));
  const { device } = context;
  const timeOf = (entry: HistoryEntry) => (device.made(entry) ? device.madeAtByNow(entry) : entry.madeAt);
  const taken = [...repeated, ...takenVersions(write)];
  const incoming = incomingOf(write, { versions: taken.map(jsonOf), isText });
  const isPast = context.range !== null && context.range.from < history.oldest;
  const merged = mergeWrite({
    seen: isPast ? withLikelyParts({ seen: versions, incoming, current, isText }) : versions,
    incoming,
    current,
    deletion: map === null ? deletionOf(doc, message, context, history) : null,
    madeAt: context.madeAt,
    // What the device wrote was meant for the record that was there before: this one only gets what it has not.
    changedAt: (path) =>
      isOnOther && valueAt(map, path) !== undefined ? LATEST : history.changedAt(message, path, timeOf),
    knows: (path) => device.knows(collection, path),
    isText,
    isMarkup: (path) => isMarkup(valueAt(map, path)),
  });
  return merged === null || merged === current ? undefined : merged;
}

/** What came in, under the `id` that the record has. */
function incomingOf({ message, current }: ComparedWrite<Update>, repeated: Repeated): JsonObject {
  const { document } = message;
  if (current === null) return document;
  return withoutRepeated({ ...document, id: current.id }, current, repeated);
}

/**
 * The versions that the device's own changes made which are later than what a queue sends, and the one that this made
 * when it was sent before. As far as its clock tells times apart, that is the last one of the same time.
 */
function repeatedVersions(write: ComparedWrite): Version[] {
  const { message, context } = write;
  const { range, madeAt, own, device } = context;
  if (!mayRepeat(context) || range === null || madeAt === null) return [];
  const notEarlier = ownChanges(write, range.from).filter(isNotEarlier(context));
  const isSame = (entry: Made) => device.madeAtByNow(entry) === madeAt;
  const versionOf = ({ revision }: Made) => versionsIn(write, revision, revision).slice(0, 1);
  const later = notEarlier.filter((entry) => !isSame(entry)).flatMap(versionOf);
  // What its queue has just sent of the same time is another one.
  const [before] = own?.madeAt === madeAt ? [] : notEarlier.filter(isSame).slice(-1).flatMap(versionOf);
  const isDeletion = message.type === 'DATA_DELETE';
  return before !== undefined && (before.json === null) === isDeletion ? [before, ...later] : later;
}

/** Of a queue without times: what its device changed over short connections, any of which it may be. */
function takenVersions(write: ComparedWrite): Version[] {
  const { range, repeatedUpTo } = write.context;
  if (range === null || repeatedUpTo === NONE) return [];
  const taken = ownChanges(write, range.from).filter(({ revision }) => revision <= repeatedUpTo);
  return taken.flatMap(({ revision }) => versionsIn(write, revision, revision).slice(0, 1));
}

/** What the device itself changed of the record after a revision, the oldest first. */
function ownChanges({ message: key, context: { device }, history }: ComparedWrite, since: number): Made[] {
  const kept = history.changes(key, since, LATEST).filter((entry) => device.made(entry));
  return [...history.madeBefore(key, since, device.key), ...kept];
}

/** Whether it may have come already: from a queue that is sent again, or by another way than its connection. */
const mayRepeat = ({ replay, elsewhere }: WriteContext): boolean => replay || elsewhere !== null;

/** Such a write may be older than what the device wrote since. */
const isNotEarlier =
  ({ replay, elsewhere, madeAt, device }: WriteContext) =>
  (entry: Made): boolean =>
    (replay || elsewhere?.made(entry.revision) === true) &&
    madeAt !== null &&
    device.madeAtByNow(entry) >= madeAt;

/**
 * The versions that the device may have been looking at when it wrote: its own last write, and what came after
 * that; or those of the revisions that it may have seen. Empty where that is not known any more (L8).
 */
function seenVersions(write: ComparedWrite): (JsonObject | null)[] {
  const { message: key, context } = write;
  const { range } = context;
  const own = context.own ?? ownBefore(key, context);
  const after = own === null ? [] : [own.sent, ...versionsAfter(own, write)];
  if (own !== null && !isOnOther(own, context)) return after;
  return range === null ? after : [...after, ...versionsOf(write, range)];
}

/** Whether what the device had seen may be a record that is gone, with another one in its place (L7). */
const wasReplaced = ({ message, context: { range, device }, history }: ComparedWrite): boolean =>
  range !== null && history.replaced(message, range.from, device.key).isOther;

/** Where something is known of what it had seen: whatever this connection has shown it since may be, too. */
function shownVersions({ message, context, history }: ComparedWrite): (JsonObject | null)[] {
  const { range, shown } = context;
  if (range === null || shown === null || shown.from < history.oldest) return [];
  return history.versions(message, shown).map((image) => image?.json ?? null);
}

/** Whether the write may be built on something else than the own write before it. */
function isOnOther(own: OwnWrite, { isCertain, replay, base }: WriteContext): boolean {
  if (!replay) return false;
  // Where the times are known, a copy that was made anew between the two; else, a queue that is sent again.
  if (own.madeAt === null || !isCertain) return own.isRepeat;
  return base !== null && base.syncedAt >= own.madeAt;
}

/** A queue is built on what the device wrote before it, if that is known, was before it, and was not replaced since. */
function ownBefore(key: RecordKey, context: WriteContext): OwnWrite | null {
  const { device, madeAt, isCertain, replay, range, repeatedUpTo } = context;
  const unsettled = replay ? device.unsettled(key) : null;
  if (unsettled === null || unsettled.revision <= repeatedUpTo) return null;
  if (isCertain && range !== null && isReadOver(unsettled, range.from)) return null;
  return (madeAt ?? LATEST) >= (unsettled.madeAt ?? 0) ? unsettled : null;
}

function versionsOf(write: ComparedWrite, range: RevisionRange): (JsonObject | null)[] {
  const { message: key, context, history } = write;
  const { device, base, isCertain, madeAt, replay, ownUpTo, repeatedUpTo } = context;
  const own = ownChanges(write, range.from);
  const isLater = isNotEarlier(context);
  const to = Math.min(range.to, (own.find(isLater)?.revision ?? LATEST) - 1);
  // Its copy was made anew when the connection began: what it had written before was only in it if it had arrived.
  const isInCopy = (entry: Made) =>
    entry.revision <= range.to || base === null || entry.madeAt > base.syncedAt;
  // Long after its own write, nothing is left on its way to it, however the server ended.
  const longBefore = isCertain && madeAt !== null ? madeAt - FLUSH_TIME : 0;
  const isBound = (entry: Made) =>
    isInCopy(entry) && (entry.revision <= ownUpTo || (replay && entry.madeAt <= longBefore));
  const last = own.some(isLater) ? undefined : own.findLast(isBound);
  if (last !== undefined && last.revision > repeatedUpTo)
    return [...versionsIn(write, last.revision, to).map(jsonOf), ...sentAt(write, last)];
  // Of what is remembered, each own change is told, whenever it came.
  const laterOwn = new Set(own.filter(isLater).map(({ revision }) => revision));
  const earlier = versionsIn(write, range.from, to).filter(({ revision }) => !laterOwn.has(revision));
  const versions = earlier.map(jsonOf);
  if (versions.length === 0) return [];
  // Its own writes were never sent to it, but it has them.
  const kept = history.changes(key, Math.max(to, range.from), LATEST);
  const unsent = replay ? kept.filter((entry) => device.made(entry) && !isLater(entry)) : [];
  const unsettled = replay && madeAt === null ? device.unsettled(key) : null;
  const sent = own.filter((entry) => !isLater(entry)).flatMap((entry) => sentAt(write, entry));
  return [...versions, ...unsent.map(jsonAfter), ...sent, ...(unsettled === null ? [] : [unsettled.sent])];
}

/** What it sent in a write of its own, where that was less than what became of it, and it knows the rest by now. */
function sentAt(write: ComparedWrite, { revision }: Made): JsonObject[] {
  const { message, context } = write;
  const { device } = context;
  if (!device.hasLearnedSince(revision)) return [];
  const [made] = versionsIn(write, revision, revision).map(jsonOf);
  return made ? [device.sendable(message.collection, made, revision)] : [];
}

/** A version of a record, and from which revision on it was one. */
interface Version {
  readonly revision: number;
  readonly json: JsonObject | null;
}

/** The oldest first; empty where one of them is not known any more. */
function versionsIn(write: ComparedWrite, from: number, to: number): readonly Version[] {
  const { message, context, history, current } = write;
  if (from >= history.oldest) return versionsKept(write, from, to);
  const known = [message.type === 'DATA_UPDATE' ? message.document : null, current];
  const past = history.versionsBefore(message, { key: context.device.key, from, to }, known);
  const isAll = past.length === 0 || to <= history.oldest;
  return isAll ? past : [...past, ...versionsKept(write, history.oldest, to)];
}

function versionsKept({ message: key, history }: ComparedWrite, from: number, to: number): Version[] {
  const [first] = history.versions(key, { from, to: from });
  const later = history.changes(key, from, to);
  return [
    { revision: from, json: first?.json ?? null },
    ...later.map((entry) => ({ revision: entry.revision, json: jsonAfter(entry) })),
  ];
}

const jsonOf = ({ json }: Version): JsonObject | null => json;
const jsonAfter = ({ after }: HistoryEntry): JsonObject | null => after?.json ?? null;

/** What may have taken the place of its own write. */
function versionsAfter(own: OwnWrite, write: ComparedWrite): (JsonObject | null)[] {
  const to = write.context.range?.to ?? 0;
  const told = versionsIn(write, own.since, to);
  // Where that is not told any more, the history that is kept still tells what crossed it later.
  const [base, ...later] = told.length > 0 ? told : versionsKept(write, write.history.oldest, to);
  const isCrossing = ({ revision }: Version) => revision <= to && !own.replaced.includes(revision);
  const shown = own.isShown ? versionsIn(write, own.revision, own.revision).slice(0, 1) : [];
  const versions = [...later.filter(isCrossing), ...shown].map(jsonOf);
  if (told.length > 0) return base !== undefined && own.withBase ? [base.json, ...versions] : versions;
  return own.sent !== null && own.since < to ? [forgottenVersion(write), ...versions] : versions;
}

/** Of what crossed its own write, and is not told any more: nothing that the device did not send was in it (L8). */
function forgottenVersion({ message }: ComparedWrite): JsonObject {
  const names = message.type === 'DATA_UPDATE' ? Object.keys(message.document) : [];
  return Object.fromEntries(names.map((name) => [name, FORGOTTEN]));
}

/** The deletion of a record that is not there; one of which nothing is known was before everything that is. */
function deletionOf(doc: Y.Doc, key: RecordKey, { device, range }: WriteContext, history: HistoryWindow) {
  const deletion = history.deletion(key);
  if (deletion === null) return neverExisted(doc, key) ? null : { at: history.oldestTime(), unseen: false };
  const seenUpTo = range === null ? device.lastSeen : range.to;
  const { by, revision } = deletion;
  const [past] = by === null ? history.madeBefore(key, revision - 1, device.key) : [];
  const isOwn = by === null ? past?.revision === revision : device.made(by);
  const isSeen = isOwn || seenUpTo < 0 || revision <= seenUpTo;
  return { at: deletion.at, unseen: !isSeen };
}

function mayRemove(write: ComparedWrite): boolean {
  const { message, context, history } = write;
  const { replay, madeAt, own, range } = context;
  if (!replay) return context.elsewhere === null || mayRemoveLate(write);
  if (repeatedVersions(write).length > 0) return false;
  if (takenVersions(write).some(({ json }) => json === null)) return false;
  const seen = seenVersions(write);
  const built = own !== null && !isOnOther(own, context) ? own.revision : null;
  const since = built ?? range?.to ?? 0;
  const again =
    history.changes(message, since, LATEST).findLast(isMadeAnew(context)) ??
    history.replaced(message, since, context.device.key).anew;
  if (seen.length > 0) return mayDelete({ replay, seen, createdAgain: again !== null });
  // Whatever it was looking at, it had received nothing of that one.
  if (again !== null && range !== null) return false;
  // Not known what it was looking at: it must not delete what was made anew after a deletion.
  const deletion = history.deletion(message);
  if (again === null || deletion === null || deletion.revision > again.revision) return true;
  return madeAt !== null && again.madeAt <= madeAt;
}

/** Whether its device has deleted the record since, by another way than this write came. */
const wasDeletedElsewhere = ({ elsewhere, madeAt }: WriteContext): boolean =>
  madeAt !== null && (elsewhere?.deletedAt ?? NONE) >= madeAt;

/** One that may have come already has not seen what took the place of the record that it was meant for. */
function mayRemoveLate(write: ComparedWrite): boolean {
  const { message, context, history } = write;
  const { range, madeAt, device } = context;
  if (wasDeletedElsewhere(context) || repeatedVersions(write).some(({ json }) => json === null)) return false;
  const since = range?.to ?? 0;
  const again =
    history.changes(message, since, LATEST).findLast(isMadeAnew(context)) ??
    history.replaced(message, since, device.key).anew;
  return again === null || (range === null && madeAt !== null && again.madeAt <= madeAt);
}

const isMadeAnew =
  ({ device }: WriteContext) =>
  (entry: HistoryEntry): boolean =>
    entry.before === null && (!device.made(entry) || entry.via === 'restore');

/** A key that a map ever had stays known to Yjs, so this needs no history; a rewrite leaves what was deleted out (P10). */
const neverExisted = (doc: Y.Doc, { collection, id }: RecordKey): boolean =>
  !doc.share.has(collection) || !doc.getMap(collection)._map.has(id);

function valueAt(map: Y.Map<unknown> | null, path: Path): unknown {
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
