/**
 * The living content of a document, written into a new one under one client id (P10). Nothing of the old structs is
 * left: not what was overwritten or deleted, nor what lost its place and was kept for late edits.
 */
import { equalityDeep } from 'lib0/function';
import * as Y from 'yjs';
import type { Snapshot } from '../../store/store.js';

type AnyType = Y.AbstractType<Y.YEvent<Y.Map<unknown>>>;

/** What is in the document can't be written anew. */
export class NotRewritable extends Error {}

/** A document that was written anew. */
export type Anew = Pick<Snapshot, 'update' | 'stateVector'>;

/**
 * The same as bytes, which are read and compared before anybody goes by them.
 *
 * @throws NotRewritable
 */
export function writtenAnew(old: Y.Doc, client: number): Anew {
  const made = rewritten(old, client);
  const update = Y.encodeStateAsUpdate(made);
  const read = new Y.Doc({ guid: '' });
  Y.applyUpdate(read, update);
  for (const name of old.share.keys()) {
    if (equalityDeep(contentOf(read.getMap(name)), contentOf(old.getMap(name)))) continue;
    throw new NotRewritable('What was written anew is not the same.');
  }
  return { update, stateVector: Y.encodeStateVector(made) };
}

/** A sub-document is a name here: what is in it is not in this document. */
const contentOf = (root: Y.Map<unknown>): unknown => named(root.toJSON());

function named(value: unknown): unknown {
  if (value instanceof Y.Doc) return ['sub-document', value.guid];
  if (Array.isArray(value)) return value.map(named);
  if (typeof value !== 'object' || value?.constructor !== Object) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, named(each)]));
}

/** @param client a Yjs client id that the old document does not have */
export function rewritten(old: Y.Doc, client: number): Y.Doc {
  if (old.store.clients.has(client)) throw new NotRewritable('The client id is one of the old document.');
  if (old.store.pendingStructs !== null || old.store.pendingDs !== null)
    throw new NotRewritable('Something waits for what is missing.');
  const doc = new Y.Doc({ guid: '' });
  doc.clientID = client;
  doc.transact((transaction) => {
    const copy = new Copy(transaction, client);
    for (const [name, root] of old.share) copy.root(doc.getMap(name), root);
  });
  return doc;
}

class Copy {
  readonly #transaction: Y.Transaction;
  readonly #client: number;
  #clock = 0;

  constructor(transaction: Y.Transaction, client: number) {
    this.#transaction = transaction;
    this.#client = client;
  }

  root(to: Y.Map<unknown>, from: AnyType): void {
    const before = this.#clock;
    this.#content(to as unknown as AnyType, from);
    if (this.#clock === before) this.#emptied(to);
  }

  /** A collection that has no record any more is still shown (D7), and is known by what was deleted from it. */
  #emptied(root: Y.Map<unknown>): void {
    root.set('deleted', 0);
    root.delete('deleted');
    this.#clock++;
  }

  #content(to: AnyType, from: AnyType): void {
    for (const [key, item] of from._map) if (!item.deleted) this.#item(to, item, { key, left: null });
    let left: Y.Item | null = null;
    for (let item = from._start; item !== null; item = item.right) {
      if (!item.deleted) left = this.#item(to, item, { key: null, left });
    }
  }

  /** An item of the same content, behind `left` or at a key. */
  #item(
    to: AnyType,
    { content, length }: Y.Item,
    place: { key: string | null; left: Y.Item | null },
  ): Y.Item {
    const { key, left } = place;
    const id = Y.createID(this.#client, this.#clock);
    const copy = new Y.Item(id, left, left?.lastId ?? null, null, null, to, key, content.copy());
    copy.integrate(this.#transaction, 0);
    this.#clock += length;
    if (content instanceof Y.ContentType && copy.content instanceof Y.ContentType) {
      this.#content(copy.content.type, content.type);
    }
    return copy;
  }
}
