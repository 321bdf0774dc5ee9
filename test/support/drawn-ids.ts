/**
 * Among concurrent writes Yjs chooses by client ids, and it draws these from the platform. Whoever imports this before
 * anything that imports Yjs can have them drawn otherwise, so that one seed is one life.
 */
const native = crypto.getRandomValues.bind(crypto);
let draw: (() => number) | null = null;

crypto.getRandomValues = (array) => {
  if (draw === null || !(array instanceof Uint32Array)) return native(array);
  for (let at = 0; at < array.length; at++) array[at] = draw() * 2 ** 32;
  return array;
};

/** @param random from 0 to 1; null: as the platform draws them */
export function drawIdsFrom(random: (() => number) | null): void {
  draw = random;
}
