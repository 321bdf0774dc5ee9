/** Runs in a worker: applies an update to a copy of the document, and cuts it into parts that are cheap to apply. */
import { readFileSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import * as Y from 'yjs';
import { SyncError } from '../../errors.js';
import { Replica, type ReplicaOptions } from '../replica.js';
import { partOf } from './admission.js';
import type { DryRunOutcome, DryRunTask } from './dry-run.js';
import { partsOf } from './parts.js';

/** The first size of parts; where one takes too long, smaller ones are tried. */
const SIZE = { structs: 2_000, bytes: 256 * 1_024, deletions: 2_000 };
const SMALLEST = 25;
/** What a part should take at most, in ms, and what is too much even for the smallest ones. */
const WANTED = 30;
const TOO_LONG = 250;

function outcomeOf(task: DryRunTask): DryRunOutcome {
  try {
    return { parts: partsFor(task) };
  } catch (error) {
    if (error instanceof SyncError) return { code: error.code, message: error.message };
    return { code: 'MALFORMED_UPDATE', message: 'The update can not be applied.' };
  }
}

function partsFor(task: DryRunTask): Uint8Array[] {
  const copy = copyOf(task);
  const before = Y.decodeStateVector(Y.encodeStateVector(copy.doc));
  // As Yjs has joined what could be joined, this is much cheaper to apply than what came in.
  const { incoming } = copy.apply(task.admitted, { saw: task.saw });
  if (incoming === null) return [];
  for (let share = 1; ; ) {
    const size = {
      structs: Math.max(SMALLEST, SIZE.structs * share),
      bytes: SIZE.bytes * share,
      deletions: Math.max(SMALLEST, SIZE.deletions * share),
    };
    const parts = partsOf(incoming, (client) => before.get(client) ?? 0, size);
    const longest = longestOf(parts, task);
    if (longest <= WANTED) return parts;
    share *= Math.min(0.25, WANTED / (2 * longest));
    if (size.structs > SMALLEST || size.deletions > SMALLEST) continue;
    if (longest <= TOO_LONG) return parts;
    throw new SyncError('UPDATE_TOO_COSTLY');
  }
}

/** Applies the parts as the server will, and says how long the longest took. */
function longestOf(parts: readonly Uint8Array[], task: DryRunTask): number {
  const { admitted, saw } = task;
  const copy = copyOf(task);
  copy.images.complete();
  let longest = 0;
  for (const part of parts) {
    const began = threadTime();
    copy.apply(partOf(admitted, part), { saw, whole: admitted.update });
    longest = Math.max(longest, threadTime() - began);
  }
  return longest;
}

/** Time that this thread was computing, in ms; where the system does not tell, time by the clock. */
function threadTime(): number {
  try {
    return Number(readFileSync('/proc/thread-self/schedstat', 'latin1').split(' ', 1)[0]) / 1e6;
  } catch {
    return performance.now();
  }
}

function copyOf({ updates, memory, ids, now, maxDepth, keepFor }: DryRunTask): Replica {
  const options: ReplicaOptions = { ids: () => ids, now: () => now, maxDepth, keepFor };
  return new Replica({ updates, memory }, options);
}

parentPort?.postMessage(outcomeOf(workerData as DryRunTask));
