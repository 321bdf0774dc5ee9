/** Yjs client ids in ascending order, each once. There may be more than a set can have. */
export function sortedIds(...some: readonly Iterable<number>[]): Float64Array {
  const parts = some.map((ids) => new Float64Array(ids));
  const all = new Float64Array(parts.reduce((sum, { length }) => sum + length, 0));
  let end = 0;
  for (const part of parts) {
    all.set(part, end);
    end += part.length;
  }
  all.sort();
  let size = 0;
  for (const id of all) if (size === 0 || id !== all[size - 1]) all[size++] = id;
  return all.slice(0, size);
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
