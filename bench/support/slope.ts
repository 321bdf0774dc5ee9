/** Whether memory grows, seen through the ups and downs of a garbage collector. */
import { median } from './print.js';

export interface Sample {
  /** In minutes. */
  readonly at: number;
  readonly value: number;
}

/** The lowest sample of each of so many windows of equal length: what was left after a collection. */
export function lowest(samples: readonly Sample[], windows: number): Sample[] {
  const [from, to] = [samples[0]?.at ?? 0, samples.at(-1)?.at ?? 0];
  const inWindow =
    (n: number) =>
    ({ at }: Sample) =>
      Math.min(windows - 1, Math.floor(((at - from) / (to - from || 1)) * windows)) === n;
  return Array.from({ length: windows }, (_, n) => samples.filter(inWindow(n))).flatMap((window) =>
    window.length === 0 ? [] : [window.reduce((low, each) => (each.value < low.value ? each : low))],
  );
}

/** Per minute: the median of the slopes between all pairs, which a few outliers do not move. */
export function slope(samples: readonly Sample[]): number {
  const slopes = samples.flatMap((one, index) =>
    samples.slice(index + 1).map((other) => (other.value - one.value) / (other.at - one.at)),
  );
  return slopes.length === 0 ? 0 : median(slopes);
}
