/**
 * Loaded before the server. Where `HELD_WRITES` is set, so many batches of LevelDB are written; the others wait until
 * the server process is asked by IPC.
 */
import { ClassicLevel } from 'classic-level';

const most = Number(process.env.HELD_WRITES ?? Number.POSITIVE_INFINITY);
let release = () => {};
const released = new Promise((resolve) => {
  release = resolve;
});
const { batch } = ClassicLevel.prototype;
let count = 0;

ClassicLevel.prototype.batch = function held(...args) {
  const made = batch.apply(this, args);
  if (args.length > 0) return made;
  const write = made.write.bind(made);
  made.write = (...options) => (++count > most ? released.then(() => write(...options)) : write(...options));
  return made;
};

process.on('message', () => {
  release();
  process.send?.(count);
});
process.channel?.unref();
