/** How long processes had to wait for a core: a machine that others use, too, makes everything late by that. */
import { readFileSync } from 'node:fs';

/** Since its start the main thread of a process was ready for so long, and did not run, in ms; 0 where nobody tells. */
function waited(pid: number | undefined): number {
  try {
    return Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[1]) / 1_000_000;
  } catch {
    return 0;
  }
}

export interface Waits {
  /** The process of all devices. */
  readonly own: number;
  /** The node that waited longest. */
  readonly node: number;
}

/** Begins to count; the result tells what it has come to. */
export function countWaits(nodes: readonly (number | undefined)[]): () => Waits {
  const own = waited(process.pid);
  const before = nodes.map(waited);
  return () => ({
    own: Math.round(waited(process.pid) - own),
    node: Math.round(Math.max(...nodes.map((pid, n) => waited(pid) - (before[n] ?? 0)))),
  });
}
