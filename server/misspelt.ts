/** Whether a name is most likely another one, misspelt. */

const plain = (name: string): string =>
  name
    .toUpperCase()
    .replace(/[^A-Z0-9]/g, '')
    .replace(/S$/, '');

/** The least length of names in which two letters may be swapped: short names are near to many words. */
const SWAPPED_FROM = 4;
const CHANGED_FROM = 6;

/** But for case, separators, an S at the end, two letters swapped, and in longer names one more, less, or other. */
export function isNearly(name: string, right: string, changedFrom = CHANGED_FROM): boolean {
  const [a, b] = [plain(name), plain(right)];
  if (a === b) return true;
  const length = Math.min(a.length, b.length);
  let start = 0;
  while (start < a.length && a[start] === b[start]) start++;
  const [restA, restB] = [a.slice(start), b.slice(start)];
  const isSwapped =
    restA.length > 1 && restA[0] === restB[1] && restA[1] === restB[0] && restA.slice(2) === restB.slice(2);
  const isOne = restA.slice(1) === restB || restA === restB.slice(1) || restA.slice(1) === restB.slice(1);
  return (length >= SWAPPED_FROM && isSwapped) || (length >= changedFrom && isOne);
}
