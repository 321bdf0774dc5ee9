/** Where an update stands: which ids it has, which it builds on, which records it is about. */
import * as Y from 'yjs';
import { type CollectionName, isCollectionName, isRecordId, type RecordId } from '../../shared/names.js';
import { nothingAt } from '../replica/nothing.js';

export interface Place {
  readonly collection: CollectionName;
  readonly id: RecordId;
}

type Struct = Y.Item | Y.GC;

/** Clocks of clients, as they are left out of a document. */
export class Gap {
  readonly #ranges: Y.ID[] = [];
  readonly #ends: number[] = [];

  add(update: Uint8Array): void {
    for (const { id, length } of structsOf(update)) {
      const last = this.#ranges.length - 1;
      const goesOn = this.#ranges[last]?.client === id.client && this.#ends[last] === id.clock;
      if (goesOn) this.#ends[last] = id.clock + length;
      else {
        this.#ranges.push(id);
        this.#ends.push(id.clock + length);
      }
    }
  }

  /** Whether the update would stand on something that is left out, or deletes it. */
  isUnder(update: Uint8Array): boolean {
    const { structs, ds } = Y.decodeUpdate(update);
    const hits = ({ client, clock, len = 1 }: NamedRange): boolean => this.#has(client, clock, len);
    return structs.flatMap(needsOf).some(hits) || rangesOf(ds).some(hits);
  }

  /** Takes its clocks, and is nothing: what comes behind it can be taken by who never gets it. */
  asUpdate(): Uint8Array | null {
    const all = this.#ranges.map((id, i) => nothingAt(id.client, id.clock, (this.#ends[i] ?? 0) - id.clock));
    return all.length === 0 ? null : Y.mergeUpdates(all);
  }

  #has(client: number, clock: number, length: number): boolean {
    return this.#ranges.some(
      (id, i) => id.client === client && clock < (this.#ends[i] ?? 0) && id.clock < clock + length,
    );
  }
}

/** A place with the fields there that a change is about; null among them: it makes or deletes the record. */
export interface Touched extends Place {
  readonly fields: Set<string | null>;
}

/** The records that updates are about, which the document has taken. */
export function placesOf(doc: Y.Doc, updates: readonly Uint8Array[]): Touched[] {
  const places = new Map<string, Touched>();
  const note = (client: number, clock: number, length: number): void => {
    for (const struct of structsIn(doc, client, clock, length)) {
      const { place, field } = placeOf(struct);
      if (place === null) continue;
      const key = JSON.stringify(place);
      const touched = places.get(key) ?? { ...place, fields: new Set() };
      places.set(key, touched);
      touched.fields.add(field);
    }
  };
  for (const update of updates) {
    for (const { id, length } of structsOf(update)) note(id.client, id.clock, length);
    for (const { client, clock, len } of rangesOf(Y.decodeUpdate(update).ds)) note(client, clock, len);
  }
  return [...places.values()];
}

function placeOf(struct: Struct): { readonly place: Place | null; readonly field: string | null } {
  let field: string | null = null;
  for (let item: Struct | null = struct; item instanceof Y.Item; ) {
    const type: Y.Item['parent'] = item.parent;
    if (!(type instanceof Y.AbstractType)) break;
    if (type._item === null) {
      const [collection, id] = [Y.findRootTypeKey(type), item.parentSub];
      return { place: isCollectionName(collection) && isRecordId(id) ? { collection, id } : null, field };
    }
    field = item.parentSub;
    item = type._item;
  }
  return { place: null, field };
}

function structsIn(doc: Y.Doc, client: number, clock: number, length: number): Struct[] {
  const structs = (doc.store.clients.get(client) ?? []) as Y.Item[];
  const last = structs[structs.length - 1];
  if (last === undefined || clock >= last.id.clock + last.length) return [];
  const from = Y.findIndexSS(structs, clock);
  const to = structs.findIndex(({ id }, i) => i > from && id.clock >= clock + length);
  return structs.slice(from, to < 0 ? undefined : to);
}

const structsOf = (update: Uint8Array): Struct[] =>
  Y.decodeUpdate(update).structs.filter((struct): struct is Struct => !(struct instanceof Y.Skip));

type DeleteSet = ReturnType<typeof Y.decodeUpdate>['ds'];

export const rangesOf = ({ clients }: DeleteSet) =>
  [...clients].flatMap(([client, ranges]) => ranges.map(({ clock, len }) => ({ client, clock, len })));

interface NamedRange {
  readonly client: number;
  readonly clock: number;
  readonly len?: number;
}

/** What a struct stands on. */
const needsOf = (struct: Struct | Y.Skip): Y.ID[] =>
  struct instanceof Y.Item
    ? [struct.origin, struct.rightOrigin, struct.parent].filter((id) => id instanceof Y.ID)
    : [];

/** The ids that an update has, builds on or deletes; of each row of them the last. */
export function namedIn(update: Uint8Array): Omit<NamedRange, 'len'>[] {
  const { structs, ds } = Y.decodeUpdate(update);
  const ends = [
    ...structs.map(({ id: { client, clock }, length }) => ({ client, clock, len: length })),
    ...rangesOf(ds),
  ];
  return [
    ...structs.flatMap(needsOf),
    ...ends.map(({ client, clock, len }) => ({ client, clock: clock + len - 1 })),
  ];
}

/** Up to where a document would have each client that the update has something of; null where something before is missing. */
export function endsIn(update: Uint8Array, doc: Y.Doc): ReadonlyMap<number, number> | null {
  const ends = new Map<number, number>();
  for (const struct of Y.decodeUpdate(update).structs) {
    const { client, clock } = struct.id;
    const end = ends.get(client) ?? Y.getState(doc.store, client);
    if (clock > end || struct instanceof Y.Skip) return null;
    ends.set(client, Math.max(end, clock + struct.length));
  }
  return ends;
}
