/** Folders for temporary files in which a backup is looked at, and which stay where the process is killed. */
import { readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const NAME = /^telemed-sync-(user|restore)-\w{6}$/;
/** Nobody looks at a backup for that long, in ms. */
const LONGEST = 86_400_000;

/** Only the age tells: whose they are may run in another container. */
export async function removeStaleScratch(now: number): Promise<void> {
  const names = await readdir(tmpdir()).catch(() => []);
  for (const name of names.filter((each) => NAME.test(each))) {
    const path = join(tmpdir(), name);
    const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: now }));
    // One of another user of the machine can't be removed, and is theirs to remove.
    if (now - mtimeMs > LONGEST) await rm(path, { recursive: true, force: true }).catch(() => {});
  }
}
