/** Yjs client ids in ascending order, each once. */
export function sortedIds(...some: readonly Iterable<number>[]): Float64Array {
  const all = new Set<number>();
  for (const ids of some) for (const id of ids) all.add(id);
  return new Float64Array([...all]).sort();
}

export function hasId(ids: Float64Array, id: number): boolean {
  let [low, high] = [0, ids.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ids[middle] ?? 0) < id) low = middle + 1;
    else high = middle;
  }
  return ids[low] === id;
}
