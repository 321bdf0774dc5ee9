/**
 * Among concurrent writes Yjs chooses by client ids, and it draws these from the platform. They can be drawn otherwise,
 * so that one seed is one life: Yjs takes what is here when it is loaded, so each process of tests loads this first.
 */
import { webcrypto } from 'node:crypto';

interface Ids {
  draw: (() => number) | null;
}

/** One for all files of a process, each of which loads this module anew, and Yjs not. */
const { drawnIds: ids } = Object.assign(globalThis, {
  drawnIds: (globalThis as { drawnIds?: Ids }).drawnIds ?? patched(),
});

function patched(): Ids {
  const native = webcrypto.getRandomValues.bind(webcrypto);
  const made: Ids = { draw: null };
  webcrypto.getRandomValues = (array) => {
    if (made.draw === null || !(array instanceof Uint32Array)) return native(array);
    for (let at = 0; at < array.length; at++) array[at] = made.draw() * 2 ** 32;
    return array;
  };
  return made;
}

/** @param random from 0 to 1; null: as the platform draws them */
export function drawIdsFrom(random: (() => number) | null): void {
  ids.draw = random;
}
