/** What two sequences have in common, in one order. */

export type Pair = readonly [from: number, to: number];

/** Above this many comparisons, `longestCommon` is not for it. */
export const MAX_COMPARISONS = 250_000;

/** How many are the same at the beginning, and of the rest at the end. */
export function commonEnds<T>(
  from: readonly T[],
  to: readonly T[],
  same: (a: T, b: T) => boolean,
): readonly [start: number, end: number] {
  const most = Math.min(from.length, to.length);
  let start = 0;
  while (start < most && same(from[start] as T, to[start] as T)) start++;
  let end = 0;
  while (end < most - start && same(from[from.length - 1 - end] as T, to[to.length - 1 - end] as T)) end++;
  return [start, end];
}

/** Pairs of positions of a longest common subsequence; of equal ones the first. */
export function longestCommon<T>(
  from: readonly T[],
  to: readonly T[],
  same: (a: T, b: T) => boolean,
): Pair[] {
  const width = to.length + 1;
  const lengths = new Uint32Array((from.length + 1) * width);
  const length = (i: number, j: number): number => lengths[i * width + j] as number;
  for (let i = from.length - 1; i >= 0; i--) {
    for (let j = to.length - 1; j >= 0; j--) {
      lengths[i * width + j] = same(from[i] as T, to[j] as T)
        ? length(i + 1, j + 1) + 1
        : Math.max(length(i + 1, j), length(i, j + 1));
    }
  }
  const pairs: Pair[] = [];
  for (let i = 0, j = 0; i < from.length && j < to.length; ) {
    if (same(from[i] as T, to[j] as T)) pairs.push([i++, j++]);
    else if (length(i + 1, j) >= length(i, j + 1)) i++;
    else j++;
  }
  return pairs;
}

interface Chain {
  readonly pair: Pair;
  readonly before: Chain | undefined;
}

/** The most of the pairs, which are in the order of one of their numbers, in which that at `by` rises, too. */
export function longestRising(pairs: readonly Pair[], by: 0 | 1): Pair[] {
  /** At n the chain of n + 1 pairs with the smallest end. */
  const ends: Chain[] = [];
  for (const pair of pairs) {
    let [low, high] = [0, ends.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((ends[middle] as Chain).pair[by] < pair[by]) low = middle + 1;
      else high = middle;
    }
    ends[low] = { pair, before: ends[low - 1] };
  }
  const longest: Pair[] = [];
  for (let chain = ends.at(-1); chain !== undefined; chain = chain.before) longest.push(chain.pair);
  return longest.reverse();
}
