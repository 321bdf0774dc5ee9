/** Runs in a worker: writes the content of stored updates anew. */
import { parentPort, workerData } from 'node:worker_threads';
import { Replica } from '../replica.js';
import { type Anew, writtenAnew } from './rewrite.js';
import type { RewritingTask } from './rewriting-workers.js';

function rewritten({ updates, memory, client }: RewritingTask): Anew {
  const never = () => {
    throw new Error('Nothing is written here.');
  };
  // What lost is let go of by time, which is for the document itself to decide.
  const keepFor = Number.POSITIVE_INFINITY;
  const { doc } = new Replica({ updates, memory }, { ids: never, now: () => 0, maxDepth: 0, keepFor });
  return writtenAnew(doc, client);
}

const result = rewritten(workerData as RewritingTask);
parentPort?.postMessage(result, [result.update.buffer as ArrayBuffer]);
