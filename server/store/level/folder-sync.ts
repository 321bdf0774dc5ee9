import { stat } from 'node:fs/promises';
import { syncFolder } from '../../folders.js';

/** A change carries the kernel's time of its last clock tick; ticks are at most 10 ms apart. */
const TICK = 20;

/**
 * As `syncFolder`, where names changed since `began` (milliseconds since 1970). LevelDB goes on to a new log without
 * doing it: a write that is synced there would be gone with the name of its file.
 */
export async function syncFolderIfChanged(folder: string, began: number): Promise<void> {
  const { mtimeMs } = await stat(folder);
  const wasSetBack = Date.now() < began;
  if (mtimeMs >= began - TICK || wasSetBack) await syncFolder(folder);
}
