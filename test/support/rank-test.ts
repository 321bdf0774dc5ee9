/** The Mann-Whitney U test: whether two samples can come from one distribution. */

/** The two-sided p value, by the normal approximation with a correction for ties; for samples of 20 and more. */
export function rankTest(a: readonly number[], b: readonly number[]): number {
  const all = [
    ...a.map((value) => ({ value, isA: true })),
    ...b.map((value) => ({ value, isA: false })),
  ].sort((one, other) => one.value - other.value);
  const n = all.length;
  let [rankSum, ties] = [0, 0];
  for (let start = 0; start < n; ) {
    let end = start;
    while (end < n && all[end]?.value === all[start]?.value) end++;
    const rank = (start + end + 1) / 2;
    for (let index = start; index < end; index++) if (all[index]?.isA) rankSum += rank;
    ties += (end - start) ** 3 - (end - start);
    start = end;
  }
  const u = rankSum - (a.length * (a.length + 1)) / 2;
  const mean = (a.length * b.length) / 2;
  const deviation = Math.sqrt(((a.length * b.length) / 12) * (n + 1 - ties / (n * (n - 1))));
  return deviation === 0 ? 1 : 2 * (1 - normal(Math.abs(u - mean) / deviation));
}

/** The share of a normal distribution below z (Abramowitz and Stegun 26.2.17, exact to 7.5e-8). */
function normal(z: number): number {
  const t = 1 / (1 + 0.2316419 * z);
  const tail = [1.330274429, -1.821255978, 1.781477937, -0.356563782, 0.31938153].reduce(
    (sum, factor) => (sum + factor) * t,
    0,
  );
  return 1 - (Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI)) * tail;
}
