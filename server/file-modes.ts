/** Files and folders of the server are for nobody else: what others may read is tightened at the start. */
import { chmod, lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';

const FOR_OTHERS = 0o077;

export interface Tightened {
  /** How many were tightened that others could get at: in a folder that is closed to them, nothing is open. */
  readonly done: number;
  /** One that could not be. */
  readonly failed: string | null;
}

/** Tightens what is there, and all below it; what is not there, and what a link leads to, is left alone. */
export async function tighten(paths: readonly string[]): Promise<Tightened> {
  let done = 0;
  let failed: string | null = null;
  if (process.platform === 'win32') return { done, failed };
  for (const path of paths) {
    let isOpen = false;
    for await (const looser of looserOnes(path)) {
      isOpen ||= looser.path === path;
      try {
        await chmod(looser.path, looser.mode);
        if (isOpen) done++;
      } catch {
        failed ??= looser.path;
      }
    }
  }
  return { done, failed };
}

async function* looserOnes(path: string): AsyncGenerator<{ path: string; mode: number }> {
  const found = await lstat(path).catch(() => null);
  if (found === null || !(found.isDirectory() || found.isFile())) return;
  if ((found.mode & FOR_OTHERS) !== 0) yield { path, mode: found.mode & 0o700 };
  if (!found.isDirectory()) return;
  for (const name of await readdir(path).catch(() => [])) yield* looserOnes(join(path, name));
}
