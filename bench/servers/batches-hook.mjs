/** Counts the batches that the server writes, from the outside: loaded by `node --import`, asked by IPC. */
import { ClassicLevel } from 'classic-level';

const { batch } = ClassicLevel.prototype;
let batches = 0;

ClassicLevel.prototype.batch = function countedBatch(...args) {
  batches += 1;
  return batch.apply(this, args);
};

process.on('message', () => process.send?.(batches));
process.channel?.unref();
