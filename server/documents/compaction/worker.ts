/** Runs in a worker: makes one update of those that are stored. */
import { parentPort, workerData } from 'node:worker_threads';
import { Replica } from '../replica.js';
import type { Compacted, CompactionTask } from './compactions.js';

function compacted({ updates, memory }: CompactionTask): Compacted {
  const never = () => {
    throw new Error('Nothing is written here.');
  };
  // What lost is let go of by time, which is for the document itself to decide.
  const keepFor = Number.POSITIVE_INFINITY;
  const { update, stateVector } = new Replica(
    { updates, memory },
    { ids: never, now: () => 0, maxDepth: 0, keepFor },
  ).snapshot();
  return { update, stateVector };
}

const result = compacted(workerData as CompactionTask);
parentPort?.postMessage(result, [result.update.buffer as ArrayBuffer]);
