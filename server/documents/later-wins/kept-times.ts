/** What to make of times where a clock may have been wrong (P9). */
export interface KeptTimes {
  /** By this time it is decided what is old enough to be forgotten. */
  readonly retention: () => number;
  /** What a date counts as that was made before: none is later than now. */
  readonly past: (date: number) => number;
  /** The date of an erasure. */
  readonly erasedAt: () => number;
}

/** Where the clock is right. */
export const timesOf = (now: () => number): KeptTimes => ({
  retention: now,
  past: (date) => date,
  erasedAt: now,
});
