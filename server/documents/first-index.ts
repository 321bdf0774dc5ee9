/** Where the first one is that is past something; all that come after it are, too. The length where none is. */
export function firstIndex<Each>(list: readonly Each[], isPast: (each: Each) => boolean): number {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isPast(list[middle] as Each)) high = middle;
    else low = middle + 1;
  }
  return low;
}
