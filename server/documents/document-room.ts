/**
 * How large a document may become. What would take it over a limit is refused; what only deletes, or frees as much
 * as it brings, never is. The exact size costs an encoding of the whole document, so it is taken only when what was
 * added since the last time could have used up the room, and not too often.
 */
import { equalityDeep } from 'lib0/function';
import * as Y from 'yjs';
import { SyncError } from '../../shared/errors.js';
import type { Json, JsonObject } from '../../shared/records.js';
import type { StoredSize } from './stored-size.js';
import { growthBy } from './update-growth.js';

export interface RoomLimits {
  /** In bytes, encoded as one update. */
  readonly maxDocument: number;
  readonly maxDocumentStructs: number;
}

/** By how much a change makes a document larger, at most. */
export interface Growth {
  readonly bytes: number;
  readonly structs: number;
}

/** An update with nothing in it, in bytes. */
const EMPTY = 2;
/** No struct of an update takes less, in bytes. */
const SMALLEST_STRUCT = 2;
/** Bytes of a document whose measuring is worth a millisecond of waiting until the next one. */
const MEASURED_PER_MS = 1_024;
/** What a value takes beside itself and its key, at most: client, clock, parent, neighbours. */
const OVERHEAD = 32;

export class DocumentRoom {
  readonly #doc: () => Y.Doc;
  readonly #size: StoredSize;
  readonly #limits: RoomLimits;
  readonly #now: () => number;
  #bytes: number;
  /** What had been added when the bytes, and when the structs, were last counted. */
  #measuredAt = 0;
  #isExact = false;
  #structs = 0;
  #countedAt: number | null = null;
  #nextMeasure = Number.NEGATIVE_INFINITY;

  constructor(doc: () => Y.Doc, size: StoredSize, limits: RoomLimits, now: () => number) {
    this.#doc = doc;
    this.#size = size;
    this.#limits = limits;
    this.#now = now;
    this.#bytes = Math.max(size.bytes, EMPTY);
  }

  /** @throws SyncError `DOCUMENT_FULL` when the update, which was checked, does not fit */
  mustTakeUpdate(update: Uint8Array): void {
    const { length } = update;
    if (this.#fits({ bytes: length, structs: length / SMALLEST_STRUCT })) return;
    this.mustTake(growthBy(update, this.#doc()));
  }

  /** @throws SyncError `DOCUMENT_FULL`; `index` is that of the item of a batch which does not fit any more */
  mustTake(growth: Growth, index?: number): void {
    if (this.#fits(growth)) return;
    this.#count();
    this.#measure();
    if (!this.#fits(growth))
      throw new SyncError('DOCUMENT_FULL', undefined, index === undefined ? {} : { index });
  }

  #fits({ bytes, structs }: Growth): boolean {
    const { maxDocument, maxDocumentStructs } = this.#limits;
    const { added } = this.#size;
    if (this.#countedAt === null) this.#count();
    const mostStructs = this.#structs + (added - (this.#countedAt ?? 0)) / SMALLEST_STRUCT;
    return (
      (bytes <= 0 || this.#bytes + (added - this.#measuredAt) + bytes <= maxDocument) &&
      (structs <= 0 || mostStructs + structs <= maxDocumentStructs)
    );
  }

  #count(): void {
    this.#structs = 0;
    for (const structs of this.#doc().store.clients.values()) this.#structs += structs.length;
    this.#countedAt = this.#size.added;
  }

  #measure(): void {
    const { added } = this.#size;
    const now = this.#now();
    if (now < this.#nextMeasure || (this.#isExact && added === this.#measuredAt)) return;
    this.#bytes = Y.encodeStateAsUpdate(this.#doc()).length;
    this.#measuredAt = added;
    this.#isExact = true;
    this.#nextMeasure = now + this.#bytes / MEASURED_PER_MS;
  }
}

/** What a write of a whole record makes of one that is there: only fields that differ are written. */
export function growthOfRecord(current: JsonObject | null, incoming: JsonObject): Growth {
  const grown = { bytes: 0, structs: 0 };
  if (current === null) add(grown, OVERHEAD);
  for (const [name, value] of Object.entries(incoming)) {
    const old = current !== null && Object.hasOwn(current, name) ? current[name] : undefined;
    if (old !== undefined && equalityDeep(old, value)) continue;
    add(grown, Buffer.byteLength(name));
    addValue(grown, value);
    if (old !== undefined) grown.bytes -= contentOf(old);
  }
  return grown;
}

/** What the deletion of a record frees. */
export const growthOfDeletion = (current: JsonObject | null): Growth => ({
  bytes: current === null ? 0 : -contentOf(current),
  structs: 0,
});

function add(grown: { bytes: number; structs: number }, bytes: number): void {
  grown.bytes += OVERHEAD + bytes;
  grown.structs++;
}

function addValue(grown: { bytes: number; structs: number }, value: Json): void {
  if (typeof value !== 'object' || value === null) {
    grown.bytes += contentOf(value);
    return;
  }
  const isList = Array.isArray(value);
  for (const [name, inner] of Object.entries(value)) {
    add(grown, isList ? 0 : Buffer.byteLength(name));
    addValue(grown, inner);
  }
}

const contentOf = (value: Json): number => Buffer.byteLength(JSON.stringify(value));
