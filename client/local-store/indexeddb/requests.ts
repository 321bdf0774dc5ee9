/** Promises over the requests of IndexedDB. */

export function answerOf<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

export interface DatabaseEvents {
  /** Makes the stores of a new database. */
  create(db: IDBDatabase): void;
  /** Another tab wants to delete the database (`null`), or wants it in this version. */
  onVersionChange?(version: number | null): void;
  /** The browser closed it. */
  onTerminated?(): void;
}

export async function openDatabase(
  name: string,
  version: number,
  { create, onVersionChange, onTerminated }: DatabaseEvents,
): Promise<IDBDatabase> {
  const request = indexedDB.open(name, version);
  request.onupgradeneeded = () => create(request.result);
  const db = await answerOf(request);
  db.onversionchange = ({ newVersion }) => onVersionChange?.(newVersion);
  db.onclose = () => onTerminated?.();
  return db;
}

/** Resolves when the transaction is committed; rejects with what it was aborted for. */
export function committed(tx: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    tx.oncomplete = () => resolve();
    tx.onabort = () => reject(tx.error);
  });
}
