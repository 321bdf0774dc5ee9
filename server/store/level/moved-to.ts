/** What lies in a folder from which all was moved elsewhere, so that no server goes on with it by mistake (063). */
import { open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { SyncError } from '../../errors.js';
import { syncFolder } from '../../folders.js';

/** A file, and no note: where the other store is lost, whoever wants this one back has only to remove it. */
export const MOVED_TO = 'moved-to';

/** Resolves when it is durable. */
export async function noteMovedTo(folder: string, target: string): Promise<void> {
  const file = await open(join(folder, MOVED_TO), 'w', 0o600);
  try {
    await file.writeFile(`${target}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await syncFolder(folder);
}

export async function forgetMovedTo(folder: string): Promise<void> {
  await rm(join(folder, MOVED_TO), { force: true });
  await syncFolder(folder);
}

/** Where all was moved; where that can't be read, to another store. `null` where nothing was. */
export async function movedTo(folder: string): Promise<string | null> {
  const target = await readFile(join(folder, MOVED_TO), 'utf8').catch((error: NodeJS.ErrnoException) =>
    error.code === 'ENOENT' ? null : '',
  );
  return target === null ? null : target.trim() || 'another store';
}

/** @throws SyncError with a sentence; where it can't be read, too */
export async function mustNotHaveMovedTo(folder: string): Promise<void> {
  const target = await movedTo(folder);
  if (target === null) return;
  throw new SyncError(
    'STORE_UNAVAILABLE',
    `What is in ${folder} was moved to ${target}, and may be out of date: start the server with that. Where that one is lost, and this is better than nothing, remove ${join(folder, MOVED_TO)}.`,
  );
}
