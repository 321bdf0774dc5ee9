/**
 * The folders of the tests are in memory where it has room: no test waits for a disk, or for what else is written to
 * it. What a disk may do to data is played by the tests that are about that; the fault tests have the real one.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
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

/** Tests start programs that they have written there, which a folder mounted with `noexec` refuses. */
function runsPrograms(folder: string): boolean {
  const program = join(folder, 'trial');
  writeFileSync(program, '#!/bin/sh\n', { mode: 0o700 });
  const { status } = spawnSync(program);
  rmSync(program);
  return status === 0;
}

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'; // it may be somebody else's
  }
}

/** A run that was killed removed nothing, and memory is not emptied by a restart of the tests. */
function removeThoseOfTheDead(): void {
  for (const name of readdirSync(MEMORY)) {
    const pid = /^sync-tests-(\d+)-/.exec(name)?.[1];
    if (pid !== undefined && !lives(Number(pid)))
      rmSync(join(MEMORY, name), { recursive: true, force: true });
  }
}

/** Vitest calls it before it starts the processes of the tests, once for each project. */
export default function setUp(): (() => void) | undefined {
  if (process.env.TMPDIR !== undefined) return undefined;
  try {
    removeThoseOfTheDead();
  } catch {
    // There is no such place, or the folder is another user's: nothing leans on it.
  }
  if (!hasRoom()) return undefined;
  const folder = mkdtempSync(join(MEMORY, `sync-tests-${process.pid}-`));
  if (!runsPrograms(folder)) {
    rmSync(folder, { recursive: true });
    return undefined;
  }
  chmodSync(folder, 0o1777); // as that of the system: some programs run as nobody
  process.env.TMPDIR = folder;
  return () => rmSync(folder, { recursive: true, force: true });
}
