/**
 * How much longer a computation takes at this moment than on a machine that does nothing else: other tenants of the
 * machine take the caches, and memory that the system has to bring first, and both count as time of the process.
 */
import * as Y from 'yjs';

/** In ms of CPU, as it was at best on the cores of the benchmarks (3.7 to 4.9). */
const UNDISTURBED = 5;
/** A machine that is slower than that is none for limits of time. */
const SLOWEST = 3;
/** The first ones are compiled meanwhile. */
const COLD = 6;
const RUNS = 15;

function cpuOf(work: () => void): number {
  const began = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(began);
  return (user + system) / 1_000;
}

/** From 1 to 3. */
export function slowness(): number {
  const doc = new Y.Doc();
  const list = doc.getArray<number>('numbers');
  for (let n = 0; n < 10_000; n++) list.insert(0, [n]); // so that none is joined with the one before
  const update = Y.encodeStateAsUpdate(doc);
  const apply = () => Y.applyUpdate(new Y.Doc(), update);
  const times = Array.from({ length: COLD + RUNS }, () => cpuOf(apply)).slice(COLD);
  const median = times.sort((a, b) => a - b)[Math.floor(RUNS / 2)] ?? UNDISTURBED;
  return Math.min(SLOWEST, Math.max(1, median / UNDISTURBED));
}
