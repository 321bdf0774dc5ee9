import * as Y from 'yjs';
import type { HistoryRow, RestRow, Store, StoredDocument } from '../../server/store/store.js';
import type { UserId } from '../../shared/names.js';

export const user = (name: string): UserId => name as UserId;

/** A writer of updates that build on one another. */
export class Author {
  readonly doc = new Y.Doc();

  apply(updates: readonly Uint8Array[]): void {
    for (const update of updates) Y.applyUpdate(this.doc, update);
  }

  set(key: string, value: unknown): Uint8Array {
    const before = Y.encodeStateVector(this.doc);
    this.doc.getMap('notes').set(key, value);
    return Y.encodeStateAsUpdate(this.doc, before);
  }

  snapshot(): { update: Uint8Array; stateVector: Uint8Array } {
    return { update: Y.encodeStateAsUpdate(this.doc), stateVector: Y.encodeStateVector(this.doc) };
  }
}

export function notesOf(document: StoredDocument): Record<string, unknown> {
  const author = new Author();
  author.apply(document.updates);
  return author.doc.getMap('notes').toJSON();
}

/** Stores `count` notes n0, n1, … of one user, whose document is empty and loaded. */
export async function writeNotes(store: Store, name: UserId, count: number): Promise<Author> {
  const author = new Author();
  const commits = Array.from({ length: count }, (_, i) =>
    store.commit(name, { update: author.set(`n${i}`, i), revision: i + 1 }),
  );
  await Promise.all(commits);
  return author;
}

/** The entry of a revision, as `writeHistory` stores it. */
export const entry = (name: UserId, revision: number): Buffer => Buffer.from(`${name} ${revision}`);
export const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
export const entriesOf = (rows: readonly HistoryRow[]): string[] => rows.map((row) => text(row.entry));
export const revisionsOf = (rows: readonly HistoryRow[]): number[] => rows.map(({ revision }) => revision);

/** As `writeNotes`, each note with its entry. */
export async function writeHistory(store: Store, name: UserId, count: number): Promise<Author> {
  const author = new Author();
  const commits = Array.from({ length: count }, (_, i) =>
    store.commit(name, {
      update: author.set(`n${i}`, i),
      revision: i + 1,
      history: [entry(name, i + 1)],
    }),
  );
  await Promise.all(commits);
  return author;
}

/** Resolves when the store is in that state. */
export function stateReached(store: Store, wanted: Store['state']): Promise<void> {
  if (store.state === wanted) return Promise.resolve();
  return new Promise((resolve) => {
    const off = store.onState((state) => {
      if (state !== wanted) return;
      off();
      resolve();
    });
  });
}

/** Some notes, compacted, and what is noted of them. */
export async function putToRest(
  store: Store,
  name: UserId,
  deletions = Uint8Array.of(0, 0),
): Promise<RestRow> {
  await store.load(name);
  const snapshot = (await writeNotes(store, name, 3)).snapshot();
  await store.compact(name, { ...snapshot, revision: 3 });
  const row = { revision: 3, stateVector: snapshot.stateVector, deletions, isWhole: true, hasView: false };
  await store.putToRest(name, row);
  store.forget(name);
  return row;
}
