/** What a test can't see as root, whom no mode holds off. */
import { chown } from 'node:fs/promises';

const ANYBODY = 1_000;

/** Runs it as a user who owns this folder, and nothing that root owns. */
export async function withoutRoot(folder: string, work: () => Promise<void>): Promise<void> {
  if (process.geteuid?.() !== 0) return work();
  await chown(folder, ANYBODY, ANYBODY);
  process.seteuid?.(ANYBODY);
  try {
    await work();
  } finally {
    process.seteuid?.(0);
  }
}
