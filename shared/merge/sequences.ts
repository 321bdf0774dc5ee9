/** Lines up sequences of tokens: what stayed, what is gone, what came, and between which neighbours. */

import { commonEnds, longestCommon, longestRising, MAX_COMPARISONS, type Pair } from '../longest.js';

export type Tokens = readonly string[];

/** How often what is between them is searched for tokens that occur once there. */
const MAX_ROUNDS = 3;

/**
 * For each token of `from` its place in `to`, -1 where it is gone; places only grow. Of equal neighbours the
 * first ones stay, so that two sides that remove one of them are taken to remove the same.
 *
 * @example align(['a', 'b', 'c'], ['x', 'a', 'c']) // [1, -1, 2]
 */
export function align(from: Tokens, to: Tokens, rounds = MAX_ROUNDS): number[] {
  const [start, end] = commonEnds(from, to, same);
  const tail = from.length - end;
  const places = from.map((_, k) => (k < start ? k : k < tail ? -1 : k + to.length - from.length));
  for (const [a, b] of pairs(from.slice(start, tail), to.slice(start, to.length - end), rounds)) {
    places[start + a] = start + b;
  }
  return firstOfEquals(from, places);
}

function firstOfEquals(from: Tokens, places: number[]): number[] {
  let free = 0;
  for (const [k, place] of places.entries()) {
    if (k > 0 && from[k] !== from[k - 1]) free = k;
    if (place === -1) continue;
    places[k] = -1;
    places[free++] = place;
  }
  return places;
}

const same = (a: string, b: string): boolean => a === b;

/** Where that is too much, tokens that occur once are paired first, and only what is between them is aligned. */
function pairs(from: Tokens, to: Tokens, rounds: number): Pair[] {
  if (from.length === 0 || to.length === 0) return [];
  if (from.length * to.length <= MAX_COMPARISONS) return longestCommon(from, to, same);
  return rounds > 0 ? pairsByAnchors(from, to, rounds) : risingPairs(from, to, 'often');
}

/** Tokens that both have once come first, then what stands between them. */
function pairsByAnchors(from: Tokens, to: Tokens, rounds: number): Pair[] {
  const anchors = risingPairs(from, to, 'once');
  if (anchors.length === 0) return risingPairs(from, to, 'often');
  const found: Pair[] = [];
  let [i, j] = [0, 0];
  for (const [a, b] of [...anchors, [from.length, to.length] as const]) {
    for (const [k, place] of align(from.slice(i, a), to.slice(j, b), rounds - 1).entries()) {
      if (place !== -1) found.push([i + k, j + place]);
    }
    if (a < from.length) found.push([a, b]);
    [i, j] = [a + 1, b + 1];
  }
  return found;
}

/** Pairs the n-th occurrence of a token with its n-th on the other side. */
function risingPairs(from: Tokens, to: Tokens, occurs: 'once' | 'often'): Pair[] {
  const others = occurrences(to);
  const found = [...occurrences(from)].flatMap(([token, places]) => {
    const there = others.get(token) ?? [];
    if (occurs === 'once' && (places.length > 1 || there.length > 1)) return [];
    return places.slice(0, there.length).map((place, n): Pair => [place, there[n] ?? 0]);
  });
  return longestRising(
    found.sort(([a], [b]) => a - b),
    1,
  );
}

function occurrences(tokens: Tokens): Map<string, number[]> {
  const found = new Map<string, number[]>();
  for (const [place, token] of tokens.entries()) {
    const places = found.get(token);
    if (places === undefined) found.set(token, [place]);
    else places.push(place);
  }
  return found;
}

/**
 * What a side inserted, by gap: at n the places right after the n-th token of the base that stayed or before
 * all of them.
 *
 * @example insertions([1, -1, 2], 3) // [[0], [], [], []]
 */
export function insertions(places: readonly number[], length: number): number[][] {
  const gaps: number[][] = Array.from({ length: places.length + 1 }, () => []);
  let gap = gaps[0];
  let at = 0;
  for (const [k, place] of [...places, length].entries()) {
    if (place === -1) continue;
    while (at < place) gap?.push(at++);
    at++;
    gap = gaps[k + 1];
  }
  return gaps;
}

/**
 * Of several bases the one from which the fewest insertions and removals lead to `to`; on ties the one that makes
 * least of `current` a removal, then the last one.
 *
 * @example nearest([['a'], ['a', 'b']], ['a', 'b', 'x']) // ['a', 'b']
 */
export function nearest(bases: readonly Tokens[], to: Tokens, current: Tokens = []): Tokens {
  if (bases.length <= 1) return bases[0] ?? [];
  const measured = bases.map((base) => {
    const places = align(base, to);
    const stayed = places.filter((place) => place !== -1).length;
    return { base, places, distance: base.length + to.length - 2 * stayed };
  });
  const least = Math.min(...measured.map(({ distance }) => distance));
  const best = measured.filter(({ distance }) => distance === least);
  if (best.length === 1) return best[0]?.base ?? [];
  const removed = best.map(({ base, places }) =>
    align(base, current).filter((place, k) => place !== -1 && places[k] === -1),
  );
  const fewest = Math.min(...removed.map(({ length }) => length));
  return best[removed.findLastIndex(({ length }) => length === fewest)]?.base ?? [];
}
