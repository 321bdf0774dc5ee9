/**
 * What of a document is alive, in bytes of its encoding and in structs. What was deleted and overwritten leaves marks
 * in a Yjs document for good, but no client can delete those: they are not counted here.
 */
import * as encoding from 'lib0/encoding';
import * as Y from 'yjs';

/** An update with nothing in it, in bytes. */
export const EMPTY = 2;

/** Of a part of a document, or of what a change does to it. */
export interface Size {
  readonly bytes: number;
  readonly structs: number;
}

/** Measured once, which passes by everything; from then on it follows the document. */
export class LivingSize {
  readonly doc: Y.Doc;
  bytes = EMPTY;
  structs = 0;
  /** Whether nothing has changed since it was measured. Afterwards it is never much below the truth. */
  isExact = true;
  /** All structs, dead ones included, when the last transaction had ended. */
  #total = 0;

  constructor(doc: Y.Doc) {
    this.doc = doc;
    this.#measure();
    doc.on('afterTransaction', this.#follow);
    doc.on('afterTransactionCleanup', this.#count);
  }

  /** Another one is used from here. */
  end(): void {
    this.doc.off('afterTransaction', this.#follow);
    this.doc.off('afterTransactionCleanup', this.#count);
  }

  #measure(): void {
    this.#count();
    for (const [client, structs] of this.doc.store.clients) {
      const before = this.structs;
      for (const struct of structs) if (struct instanceof Y.Item && !struct.deleted) this.#add(struct);
      if (this.structs > before) this.bytes += headerSize(client, this.structs - before, 0);
    }
  }

  readonly #count = (): void => {
    this.#total = countStructs(this.doc);
  };

  /** Told while a transaction ends: nothing that it deleted has been collected, nothing was joined. */
  readonly #follow = (transaction: Y.Transaction): void => {
    this.isExact = false;
    let fresh = 0;
    for (const struct of newStructs(this.doc, transaction)) {
      fresh++;
      if (struct instanceof Y.Item && !struct.deleted) this.#add(struct);
    }
    // What was there before and was cut in two.
    this.structs += Math.max(0, countStructs(this.doc) - this.#total - fresh);
    for (const item of deletedItems(this.doc, transaction)) {
      this.bytes -= freedBy(item);
      if (isWhole(item)) this.structs--;
    }
  };

  #add(item: Y.Item): void {
    this.bytes += sizeOf(item);
    this.structs++;
  }
}

export function countStructs({ store }: Y.Doc): number {
  let count = 0;
  for (const structs of store.clients.values()) count += structs.length;
  return count;
}

export function countLiving({ store }: Y.Doc): number {
  let count = 0;
  for (const structs of store.clients.values()) for (const { deleted } of structs) if (!deleted) count++;
  return count;
}

/** What stands before the structs of a client in an update. */
export const headerSize = (client: number, structs: number, clock: number): number =>
  varUintSize(structs) + varUintSize(client) + varUintSize(clock);

/** What a document is smaller by when an item, or a share of it, is deleted; never more than it takes. */
export function freedBy(item: Y.Item): number {
  if (isWhole(item)) return sizeOf(item);
  const { content } = item;
  if (content instanceof Y.ContentString) return Buffer.byteLength(content.str);
  return written((encoder) => content.write(encoder, 0)) - varUintSize(content.getLength());
}

/** What can't be cut in two: an entry of a map, an object, a list. Runs of text and of values can. */
export const isWhole = ({ parentSub, content }: Y.Item): boolean =>
  parentSub !== null ||
  !(
    content instanceof Y.ContentString ||
    content instanceof Y.ContentAny ||
    content instanceof Y.ContentJSON ||
    content instanceof Y.ContentDeleted
  );

function* newStructs(doc: Y.Doc, { beforeState, afterState }: Y.Transaction): Iterable<Y.Item | Y.GC> {
  for (const [client, after] of afterState) {
    const before = beforeState.get(client) ?? 0;
    const structs = doc.store.clients.get(client);
    if (after === before || structs === undefined) continue;
    for (let index = Y.findIndexSS(structs, before); index < structs.length; index++) {
      yield structs[index] as Y.Item | Y.GC;
    }
  }
}

/** What the transaction deleted, and was there before it. */
function* deletedItems(doc: Y.Doc, { deleteSet, beforeState }: Y.Transaction): Iterable<Y.Item> {
  for (const [client, ranges] of deleteSet.clients) {
    const structs = doc.store.clients.get(client) ?? [];
    const end = beforeState.get(client) ?? 0;
    for (const { clock, len } of ranges) {
      if (clock >= end) continue;
      for (let index = Y.findIndexSS(structs, clock); index < structs.length; index++) {
        const struct = structs[index];
        if (struct === undefined || struct.id.clock >= Math.min(clock + len, end)) break;
        if (struct instanceof Y.Item) yield struct;
      }
    }
  }
}

const sizeOf = (item: Y.Item): number => written((encoder) => item.write(encoder, 0));

/** One for all: making one for each item would cost more than writing it. */
const scratch = new Y.UpdateEncoderV1();
function written(write: (encoder: Y.UpdateEncoderV1) => void): number {
  const { restEncoder } = scratch;
  restEncoder.cpos = 0;
  restEncoder.bufs = [];
  write(scratch);
  return encoding.length(restEncoder);
}

function varUintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) size++;
  return size;
}
