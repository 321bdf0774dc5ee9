/** Runs in a worker: makes one update of those that are stored, or writes their content anew. */
import { parentPort, workerData } from 'node:worker_threads';
import { writtenAnew } from '../epochs/rewrite.js';
import { Replica } from '../replica.js';
import type { Compacted, CompactionTask } from './compactions.js';

function compacted({ updates, memory, rewriteAs }: CompactionTask): Compacted {
  const never = () => {
    throw new Error('Nothing is written here.');
  };
  // What lost is let go of by time, which is for the document itself to decide.
  const keepFor = Number.POSITIVE_INFINITY;
  const replica = new Replica({ updates, memory }, { ids: never, now: () => 0, maxDepth: 0, keepFor });
  if (rewriteAs !== undefined) return writtenAnew(replica.doc, rewriteAs);
  const { update, stateVector } = replica.snapshot();
  return { update, stateVector };
}

const result = compacted(workerData as CompactionTask);
parentPort?.postMessage(result, [result.update.buffer as ArrayBuffer]);
