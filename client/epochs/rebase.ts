/** What is pending, made once more on the document that the server has written anew (P10). */
import { equalityDeep } from 'lib0/function';
import * as Y from 'yjs';
import type { Json, JsonObject } from '../../shared/json.js';
import { isCollectionName, isRecordId } from '../../shared/names.js';
import { recordMap } from '../../shared/records.js';
import type { PendingChange } from '../connection/sync-source.js';
import { pick, type RecordWrite, readAt, writesBetween } from '../records/record-write.js';
import { type Place, placesOf, type Touched } from '../refused/update-places.js';
import { fillOf } from '../replica/gaps.js';
import { FormerDocuments } from './former.js';
import { writeLate } from './late-write.js';

export interface Rebased {
  /** The new document, with what the server has sent of it to another tab. */
  readonly state: Uint8Array;
  /** What is pending then, oldest first: each change keeps its number and its time. */
  readonly pending: readonly PendingChange[];
  /** What can't be worked out, for a person. */
  readonly unclear: readonly { readonly number: number; readonly writes: readonly RecordWrite[] }[];
}

/** A row of the local store. */
export interface StoredUpdate extends PendingChange {
  readonly isPending: boolean;
}

/**
 * What the server takes as it is stays so: another tab may be sending it. What it had got is pending no longer. Of the
 * rest, one change after the other: what it did to a record, between a document without it and one with it, is merged
 * into the new document.
 *
 * @param epoch what had arrived before it was written anew, where the server has told it
 */
export function rebase(stored: readonly StoredUpdate[], next: Uint8Array, epoch: Uint8Array | null): Rebased {
  const former = new FormerDocuments(epoch);
  const doc = docOf([next]);
  const authors = new Map<number | undefined, number>();
  const [before, after] = [baseOf(stored), baseOf(stored)];
  const state = [next];
  const unclear: Rebased['unclear'][number][] = [];
  const pending: PendingChange[] = [];
  for (const { isPending, ...change } of stored) {
    const { update } = change;
    const had = !isPending || former.had(update);
    if (former.isAfter(update, doc) && (isPending || !deletes(update))) {
      if (isPending) pending.push(change);
      else state.push(update);
      Y.applyUpdate(doc, update);
    } else if (!had) {
      const author = Y.decodeUpdate(update).structs[0]?.id.client;
      doc.clientID = authors.get(author) ?? idAbove(doc);
      authors.set(author, doc.clientID);
      const { made, left } = madeAgain(update, doc, { before, after }, had === null);
      if (made !== null) pending.push({ ...change, update: made });
      if (left.length > 0) unclear.push({ number: change.number, writes: left });
    }
    if (isPending) for (const each of [before, after]) Y.applyUpdate(each, update);
  }
  return { state: Y.mergeUpdates(state), pending, unclear };
}

/** What another tab stored may delete where the new document met the old one there; what the server deleted it tells. */
const deletes = (update: Uint8Array): boolean => Y.decodeUpdate(update).ds.clients.size > 0;

interface Again {
  readonly writes: readonly RecordWrite[];
  readonly left: RecordWrite[];
}

/**
 * `left`: what can't be worked out.
 *
 * @param mayBeDone a record that reads otherwise now may have been created anew since it was deleted
 */
function madeAgain(update: Uint8Array, doc: Y.Doc, around: Around, mayBeDone: boolean) {
  const { before, after } = around;
  let isNew = false;
  const typed = typedIn(after, () => {
    isNew = updateOf(after, () => Y.applyUpdate(after, update)) !== null;
  });
  const places = placesOf(after, [update]);
  const { writes, left }: Again = isNew
    ? { writes: writesBetween(before, after, places), left: [] }
    : withoutBase(update, places, after, doc);
  const clear = writes.filter((write) => {
    const theirs = readAt(doc, write);
    const isSame = theirs === null || (isNew && equalityDeep(write.base, theirs));
    const isClear = !mayBeDone || write.record !== null || isSame;
    if (!isClear) left.push(write);
    return isClear;
  });
  const { made, failed } = makeAgain(doc, clear, typed, around);
  return { made, left: [...left, ...failed] };
}

/** All that is stored but what is pending. */
function baseOf(stored: readonly StoredUpdate[]): Y.Doc {
  const doc = docOf(stored.flatMap(({ isPending, update }) => (isPending ? [] : update)));
  const fill = fillOf(docOf(stored.map(({ update }) => update)), NOTHING); // behind a damaged row, say
  if (fill !== null) Y.applyUpdate(doc, fill);
  return doc;
}

/** A text that a change is about; `delta`: null where it can't be done once more like that. */
interface Typed {
  readonly place: Place;
  readonly name: string;
  readonly delta: Y.YTextEvent['delta'] | null;
  /** Marks or embeds. */
  readonly hasMarks: boolean;
}

/** The documents without a change, and with it. */
interface Around {
  readonly before: Y.Doc;
  readonly after: Y.Doc;
}

const keyOf = ({ collection, id }: Place, name = ''): string => JSON.stringify([collection, id, name]);

const onlyFields = (write: RecordWrite, which: (name: string) => boolean): RecordWrite => ({
  ...write,
  fields: write.fields.filter(which),
});

/** A field, of a text with its marks. */
function shownAt(doc: Y.Doc, place: Place, name: string): unknown {
  const value = recordMap(doc, place.collection, place.id)?.get(name);
  return value instanceof Y.Text ? value.toDelta() : readAt(doc, place)?.[name];
}

/** The state vector of a document without content. */
const NOTHING = Uint8Array.of(0);

/** All writes of a change, as one change; `failed`: what can't be written so that it reads as it was made. */
function makeAgain(
  doc: Y.Doc,
  writes: readonly RecordWrite[],
  typed: readonly Typed[],
  { before, after }: Around,
) {
  const failed: RecordWrite[] = [];
  const isTyped = new Set<string>();
  const made = updateOf(doc, () => {
    for (const each of typed) {
      const { place, name, hasMarks } = each;
      const base = readAt(before, place);
      if (base === null || readAt(doc, place) === null) continue; // it comes as a whole, or is deleted
      if (typeAgain(doc, before, each)) isTyped.add(keyOf(place, name));
      else if (hasMarks)
        failed.push({ ...place, record: readAt(after, place), base: pick(base, [name]), fields: [name] });
    }
    for (const all of writes) {
      const write = onlyFields(all, (name) => !isTyped.has(keyOf(all, name)));
      const theirs = readAt(doc, write);
      writeLate(doc, write, after);
      const fields = notWritten(write, theirs, readAt(doc, write));
      if (fields.length > 0) failed.push({ ...write, fields, base: write.base && pick(write.base, fields) });
    }
  });
  return { made, failed };
}

/** Where nobody else has changed the text: with marks and embeds, which its string does not show. */
function typeAgain(doc: Y.Doc, before: Y.Doc, { place, name, delta }: Typed): boolean {
  const [was, theirs] = [before, doc].map((each) => recordMap(each, place.collection, place.id)?.get(name));
  const isSame =
    was instanceof Y.Text && theirs instanceof Y.Text && equalityDeep(was.toDelta(), theirs.toDelta());
  if (!isSame || delta === null) return false;
  theirs.applyDelta(delta);
  return true;
}

/** What `change` does to texts. */
function typedIn(doc: Y.Doc, change: () => void): Typed[] {
  const typed: Typed[] = [];
  const collections = [...doc.share.keys()].filter(isCollectionName);
  const notes = collections.map((collection) => {
    const note = (events: Y.YEvent<Y.AbstractType<unknown>>[]): void => {
      for (const event of events) {
        const [id, name] = event.path;
        if (!(event instanceof Y.YTextEvent) || !isRecordId(id) || typeof name !== 'string') continue;
        const { delta } = event;
        const isOwn =
          event.path.length === 2 && !delta.some(({ insert }) => insert instanceof Y.AbstractType);
        const hasMarks = delta.some(
          ({ insert = '', attributes }) => attributes || typeof insert !== 'string',
        );
        typed.push({ place: { collection, id }, name, delta: isOwn ? delta : null, hasMarks });
      }
    };
    doc.getMap(collection).observeDeep(note);
    return () => doc.getMap(collection).unobserveDeep(note);
  });
  change();
  for (const end of notes) end();
  return typed;
}

/** What it changes of the document; null: nothing. */
function updateOf(doc: Y.Doc, change: () => void): Uint8Array | null {
  const made: Uint8Array[] = [];
  const note = (update: Uint8Array): void => void made.push(update);
  doc.on('update', note);
  doc.transact(change);
  doc.off('update', note);
  return made[0] ?? null;
}

/** Nobody else has changed these fields, and yet they do not read as they were written: those of a text with tags. */
function notWritten(
  { base, record, fields }: RecordWrite,
  theirs: JsonObject | null,
  now: JsonObject | null,
) {
  if (record === null || now === null) return [];
  return fields.filter(
    (name) => equalityDeep(base?.[name], theirs?.[name]) && !equalityDeep(record[name], now[name]),
  );
}

/**
 * The base has the change in it: the store was compacted, or filled again, while it was pending. What it wrote in a
 * plain field is written, whoever wrote there before; of a list or a text what it did can't be told.
 */
function withoutBase(update: Uint8Array, places: readonly Touched[], mine: Y.Doc, doc: Y.Doc) {
  const writes: RecordWrite[] = [];
  const left: RecordWrite[] = [];
  for (const { fields: touched, ...place } of places) {
    const [now, theirs] = [readAt(mine, place), readAt(doc, place)];
    const own = now === null ? {} : plainIn(update, mine, place);
    const record = now && { ...now, ...own };
    const isWhole = touched.has(null);
    if (!isWhole && (record === null || theirs === null)) continue; // deleted by somebody else
    const names = isWhole ? Object.keys({ ...record }) : ([...touched] as string[]);
    const fields = names.filter(
      (name) =>
        !equalityDeep(
          Object.hasOwn(own, name) ? own[name] : shownAt(mine, place, name),
          shownAt(doc, place, name),
        ),
    );
    const isUnclear = (name: string): boolean => {
      const both = [mine, doc].map((each) => recordMap(each, place.collection, place.id)?.get(name));
      return !both.includes(undefined) && both.some(isInside);
    };
    const write = (some: readonly string[]): RecordWrite => {
      const isKnown = (name: string): boolean => record?.[name] === undefined || isOwn(doc, place, name);
      return { ...place, record, fields: some, base: theirs && pick(theirs, some.filter(isKnown)) };
    };
    writes.push(write(fields.filter((name) => !isUnclear(name))));
    const unclear = fields.filter(isUnclear);
    if (unclear.length > 0) left.push(write(unclear));
  }
  return { writes, left };
}

/** What an update writes in plain fields of a record, though something else may stand there now. */
function plainIn(update: Uint8Array, doc: Y.Doc, { collection, id }: Place): JsonObject {
  const map = recordMap(doc, collection, id);
  const written = Y.decodeUpdate(update).structs.flatMap((struct) => {
    const { client, clock } = struct.id;
    if (!(struct instanceof Y.Item && struct.content instanceof Y.ContentAny)) return [];
    if (clock >= Y.getState(doc.store, client)) return []; // behind a damaged row
    const { parent, parentSub } = Y.getItem(doc.store, struct.id) as Y.Item;
    return parent === map && parentSub !== null ? [[parentSub, struct.content.arr[0] as Json] as const] : [];
  });
  return Object.fromEntries(written);
}

/** The same author has written it on this document a moment ago. */
const isOwn = (doc: Y.Doc, { collection, id }: Place, name: string): boolean =>
  recordMap(doc, collection, id)?._map.get(name)?.id.client === doc.clientID;

/** Others may have changed another part of it. */
const isInside = (value: unknown): boolean => typeof value === 'object' && value !== null;

/** Of concurrent values Yjs shows that of the higher id: this device shows its own until the server has compared them. */
function idAbove(doc: Y.Doc): number {
  const highest = Math.max(0, ...doc.store.clients.keys());
  const fresh = highest + 1 + Math.floor((doc.clientID / 2 ** 32) * (2 ** 32 - 1 - highest));
  return fresh < 2 ** 32 ? fresh : doc.clientID;
}

/** Nothing is collected: where a change stood can be told as long as its neighbours are there. */
function docOf(updates: readonly Uint8Array[]): Y.Doc {
  const doc = new Y.Doc({ gc: false });
  for (const update of updates) Y.applyUpdate(doc, update);
  return doc;
}
