/**
 * The folders of the tests are in memory where it has room: no test waits for a disk, or for what else is written to
 * it. What a disk may do to data is played by the tests that are about that; the fault tests have the real one.
 */
import { chmodSync, mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';

const MEMORY = '/dev/shm';
const ROOM = 2 ** 31;

function hasRoom(): boolean {
  try {
    const { bavail, bsize } = statfsSync(MEMORY);
    return bavail * bsize > ROOM;
  } catch {
    return false; // there is none
  }
}

/** Vitest calls it before it starts the processes of the tests, once for each project. */
export default function setUp(): (() => void) | undefined {
  if (process.env.TMPDIR !== undefined || !hasRoom()) return undefined;
  const folder = mkdtempSync(join(MEMORY, 'sync-tests-'));
  chmodSync(folder, 0o1777); // as that of the system: some programs run as nobody
  process.env.TMPDIR = folder;
  return () => rmSync(folder, { recursive: true, force: true });
}
