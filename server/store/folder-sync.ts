import { mkdir, open, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

/** A change carries the kernel's time of its last clock tick; ticks are at most 10 ms apart. */
const TICK = 20;

/** Makes the names in a folder durable: the files that were made, renamed and removed. */
export async function syncFolder(folder: string): Promise<void> {
  // Windows opens no folders, and keeps the order of names in its journal.
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  await handle.sync().finally(() => handle.close());
}

/**
 * As `syncFolder`, where names changed since `began` (milliseconds since 1970). LevelDB goes on to a new log without
 * doing it: a write that is synced there would be gone with the name of its file.
 */
export async function syncFolderIfChanged(folder: string, began: number): Promise<void> {
  const { mtimeMs } = await stat(folder);
  const wasSetBack = Date.now() < began;
  if (mtimeMs >= began - TICK || wasSetBack) await syncFolder(folder);
}

/** Makes a folder, and those above it, where they are missing; their names are durable then. */
export async function makeFolder(folder: string): Promise<void> {
  const highest = await mkdir(folder, { recursive: true, mode: 0o700 });
  if (highest === undefined) return;
  let made = resolve(folder);
  await syncFolder(dirname(made));
  for (; made !== resolve(highest); made = dirname(made)) await syncFolder(dirname(dirname(made)));
}
