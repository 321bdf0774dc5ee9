/** Folders that are made for good: their names are on disk, and they are for nobody else to read. */
import { mkdir, open, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { SyncError } from './errors.js';

/** Makes the names in a folder durable: the files that were made, renamed and removed. */
export async function syncFolder(folder: string): Promise<void> {
  // Windows opens no folders, and keeps the order of names in its journal.
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  await handle.sync().finally(() => handle.close());
}

/** Makes a folder, and those above it, where they are missing; their names are durable then. */
export async function makeFolder(folder: string): Promise<void> {
  const path = resolve(folder);
  if (await isFolder(path)) return;
  const parent = dirname(path);
  if (parent !== path) await makeFolder(parent);
  // One by one: with `recursive`, Node never ends where a folder takes no new one, such as /proc.
  await mkdir(path, { mode: 0o700 }).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code === 'EEXIST' && (await isFolder(path))) return;
    const sentence = `Can't make the folder ${path} (${error.code}): set DATA_DIR or ACCESS_DIR to one that can be made.`;
    throw new SyncError('STORE_UNAVAILABLE', sentence, { cause: error });
  });
  await syncFolder(parent);
}

const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
