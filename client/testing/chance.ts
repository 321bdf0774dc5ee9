/** Chance that comes out the same each time. */

/** Numbers in [0, 1) that are the same for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');

/** UUIDs of version 7, as the client makes them: in the order of time. */
export function newIdFrom(now: () => number, random: () => number): () => string {
  const part = (digits: number): string => hex(Math.floor(random() * 16 ** digits), digits);
  return () => {
    const time = hex(now(), 12);
    return `${time.slice(0, 8)}-${time.slice(8)}-7${part(3)}-a${part(3)}-${part(6)}${part(6)}`;
  };
}
