/**
 * How large a document may become. What counts is what is alive in it, so that deleting makes room; what was deleted
 * leaves marks, for which there is a ceiling of their own. What would take it over a limit is refused; what only
 * deletes is not, nor, below the ceiling, what frees as much as it brings. Beyond the ceiling a deletion may not cut
 * what stays, such as a text, into more pieces: that could go on without end.
 *
 * Exact sizes cost a pass over the whole document. They are taken only when all that is stored could be too large;
 * from then on what is alive is followed from change to change.
 */
import { equalityDeep } from 'lib0/function';
import * as Y from 'yjs';
import type { Json, JsonObject } from '../../../shared/json.js';
import { SyncError } from '../../errors.js';
import type { StoredSize } from '../compaction/stored-size.js';
import { growthBy } from './growth.js';
import { countStructs, EMPTY, LivingSize, type Size } from './living-size.js';

export interface QuotaLimits {
  /** Of what is alive: in bytes, encoded as one update. */
  readonly maxDocument: number;
  readonly maxDocumentStructs: number;
}

/** By how much a change makes a document larger, at most. */
export type Growth = Size;

/** What may be left of what was deleted, beside what is alive: as much again as that may be, and at least this. */
const LEAST_REMAINS: Size = { bytes: 8 * 2 ** 20, structs: 250_000 };
/** At most, of an update: two bytes delete a letter, and cut its text into three. */
const STRUCTS_PER_BYTE = 1;
/** Bytes of a document whose measuring is worth a millisecond of waiting until the next one. */
const MEASURED_PER_MS = 1_024;
/** What a value takes beside itself and its key, at most: client, clock, parent, neighbours. */
const OVERHEAD = 32;

const IN_PIECES =
  'The document is in as many pieces as the server allows; delete whole texts, lists or records first.';

export class DocumentQuota {
  readonly #doc: () => Y.Doc;
  readonly #size: StoredSize;
  readonly #limits: QuotaLimits;
  readonly #now: () => number;
  #living: LivingSize | null = null;
  #nextMeasure = Number.NEGATIVE_INFINITY;
  /** All structs when they were last counted, and what had been added by then. */
  #counted: { readonly structs: number; readonly added: number } | null = null;
  /** The same of the bytes of the whole document. */
  #encoded: { readonly bytes: number; readonly added: number } | null = null;
  #nextEncoding = Number.NEGATIVE_INFINITY;

  constructor(doc: () => Y.Doc, size: StoredSize, limits: QuotaLimits, now: () => number) {
    this.#doc = doc;
    this.#size = size;
    this.#limits = limits;
    this.#now = now;
  }

  /** @throws SyncError `DOCUMENT_FULL` when the update, which was checked, does not fit */
  mustTakeUpdate(update: Uint8Array): void {
    const { length } = update;
    if (this.#surelyFits({ bytes: length, structs: length * STRUCTS_PER_BYTE })) return;
    const { doesWrite, cuts, ...growth } = growthBy(update, this.#doc());
    if (doesWrite) this.mustTake(growth);
    else if (cuts > 0 && !this.#holds(cuts, this.#mostRemains.structs))
      throw new SyncError('DOCUMENT_FULL', IN_PIECES);
  }

  /** @throws SyncError `DOCUMENT_FULL`; `index` is that of the item of a batch which does not fit any more */
  mustTake(growth: Growth, index?: number): void {
    if (this.#surelyFits(growth)) return;
    if (this.#fits(growth) && this.#hasRoomForRemains()) return;
    throw new SyncError('DOCUMENT_FULL', undefined, index === undefined ? {} : { index });
  }

  /** Whether it would fit even if everything that was ever stored were alive. */
  #surelyFits({ bytes, structs }: Growth): boolean {
    const { maxDocument, maxDocumentStructs } = this.#limits;
    const stored = Math.max(this.#size.bytes, EMPTY);
    return stored + bytes <= maxDocument && this.#holds(structs, maxDocumentStructs);
  }

  #fits({ bytes, structs }: Growth): boolean {
    const { maxDocument, maxDocumentStructs } = this.#limits;
    const isIn = (living: Size) =>
      (bytes <= 0 || living.bytes + bytes <= maxDocument) &&
      (structs <= 0 || living.structs + structs <= maxDocumentStructs);
    const known = this.#known();
    if (isIn(known)) return true;
    if (known.isExact || this.#now() < this.#nextMeasure) return false;
    return isIn(this.#measure());
  }

  #known(): LivingSize {
    return this.#living?.doc === this.#doc() ? this.#living : this.#measure();
  }

  #measure(): LivingSize {
    this.#living?.end();
    const living = new LivingSize(this.#doc());
    this.#living = living;
    this.#nextMeasure = this.#now() + living.bytes / MEASURED_PER_MS;
    return living;
  }

  /** The ceiling: what can't be deleted must not grow without end either. */
  #hasRoomForRemains(): boolean {
    const { bytes, structs } = this.#mostRemains;
    return this.#holds(0, structs) && (this.#size.bytes <= bytes || this.#encodedBytes() <= bytes);
  }

  get #mostRemains(): Size {
    return {
      bytes: ceiling(this.#limits.maxDocument, LEAST_REMAINS.bytes),
      structs: ceiling(this.#limits.maxDocumentStructs, LEAST_REMAINS.structs),
    };
  }

  /** Whether all structs, alive or not, are at most so many when some come on top; counted where it may matter. */
  #holds(more: number, most: number): boolean {
    return this.#mostStructs() + more <= most || this.#count() + more <= most;
  }

  #encodedBytes(): number {
    const { added } = this.#size;
    const now = this.#now();
    if (this.#encoded?.added !== added && now >= this.#nextEncoding) {
      const bytes = Y.encodeStateAsUpdate(this.#doc()).length;
      this.#encoded = { bytes, added };
      this.#nextEncoding = now + bytes / MEASURED_PER_MS;
    }
    return this.#encoded === null ? this.#size.bytes : this.#encoded.bytes + added - this.#encoded.added;
  }

  #mostStructs(): number {
    const { structs, added } = this.#counted ?? { structs: this.#count(), added: this.#size.added };
    return structs + (this.#size.added - added) * STRUCTS_PER_BYTE;
  }

  #count(): number {
    const structs = countStructs(this.#doc());
    this.#counted = { structs, added: this.#size.added };
    return structs;
  }
}

const ceiling = (limit: number, least: number): number => limit + Math.max(limit, least);

/** What a write of a whole record makes of one that is there: only fields that differ are written. */
export function growthOfRecord(current: JsonObject | null, incoming: JsonObject): Growth {
  const grown = { bytes: 0, structs: 0 };
  if (current === null) add(grown, OVERHEAD);
  for (const name of Object.keys(incoming)) {
    const value = incoming[name] as Json;
    const old = current !== null && Object.hasOwn(current, name) ? current[name] : undefined;
    if (old !== undefined && equalityDeep(old, value)) continue;
    addField(grown, name, value);
    // The new value takes the place of the old one, so what goes with it takes no more than it did.
    if (old !== undefined) subtract(grown, { bytes: OVERHEAD + Buffer.byteLength(name), structs: 1 });
    if (old !== undefined) subtract(grown, remainsOf(old));
  }
  return grown;
}

/** What the deletion of a record frees, at least. */
export function growthOfDeletion(current: JsonObject | null): Growth {
  const grown = { bytes: 0, structs: 0 };
  if (current === null) return grown;
  subtract(grown, { bytes: 0, structs: 1 });
  subtract(grown, remainsOf(current));
  return grown;
}

type Growing = { -readonly [Key in keyof Growth]: Growth[Key] };

function addField(grown: Growing, name: string, value: Json): void {
  add(grown, Buffer.byteLength(name));
  addValue(grown, value);
}

function add(grown: Growing, bytes: number): void {
  grown.bytes += OVERHEAD + bytes;
  grown.structs++;
}

function subtract(grown: Growing, { bytes, structs }: Size): void {
  grown.bytes -= bytes;
  grown.structs -= structs;
}

function addValue(grown: Growing, value: Json): void {
  if (typeof value !== 'object' || value === null) {
    grown.bytes += contentOf(value);
    return;
  }
  const isList = Array.isArray(value);
  for (const [name, inner] of Object.entries(value)) addField(grown, isList ? '' : name, inner);
}

/** What is free when a value goes, at least; a list of plain values is one struct. */
function remainsOf(value: Json): Size {
  const bytes = contentOf(value);
  if (typeof value !== 'object' || value === null) return { bytes, structs: 0 };
  let structs = 0;
  for (const inner of Object.values(value)) {
    if (!Array.isArray(value)) structs++;
    structs += remainsOf(inner).structs;
  }
  return { bytes, structs };
}

const contentOf = (value: Json): number => Buffer.byteLength(JSON.stringify(value));
