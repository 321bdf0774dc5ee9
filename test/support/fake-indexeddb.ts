import 'fake-indexeddb/auto'; // the classes of its keys and requests
import { IDBFactory, IDBObjectStore } from 'fake-indexeddb';

/** An IndexedDB with nothing in it takes the place of the last one. */
export function emptyIndexedDb(): void {
  globalThis.indexedDB = new IDBFactory();
}

/** A connection that the store knows nothing of, as of another app or of a tab that hangs. */
export function rawOpen(name: string, version?: number): Promise<IDBDatabase> {
  return settled(indexedDB.open(name, version));
}

export function settled<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** Keeps a transaction that can write open, so that all others wait; the returned function lets it end. */
export function holdTransaction(db: IDBDatabase): () => void {
  const store = db.transaction('changes', 'readwrite').objectStore('changes');
  let held = true;
  const again = (): void => {
    if (held) store.count().onsuccess = again;
  };
  again();
  return () => {
    held = false;
  };
}

/** The next transaction that writes is aborted for want of room, as browsers do it. */
export function fillIndexedDb(): void {
  const methods = ['add', 'put', 'delete'] as const;
  const originals = methods.map((name) => [name, IDBObjectStore.prototype[name]] as const);
  for (const [name, original] of originals) {
    IDBObjectStore.prototype[name] = function (this: IDBObjectStore, ...args: never[]) {
      for (const [each, before] of originals) IDBObjectStore.prototype[each] = before as never;
      const request = (original as (...all: never[]) => IDBRequest).apply(this, args);
      (this.transaction as unknown as { _abort(name: string): void })._abort('QuotaExceededError');
      return request;
    } as never;
  }
}
