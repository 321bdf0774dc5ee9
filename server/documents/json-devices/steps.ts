/** What only grows with time, as a list of steps: from this time on, it was at least this revision. */

export type Step = readonly [at: number, revision: number];

/** So many steps are kept; the further back, the less exact. */
const MAX_STEPS = 32;
/** Steps that follow each other more quickly, in ms, become one as well. */
const GRAIN = 250;

/** How two steps become one where there are too many: which way it may be wrong. */
export type Rounding = 'down' | 'up';

export class Steps {
  readonly #rounding: Rounding;
  #steps: Step[];

  /** @param rounding `down`: less than was, `up`: more */
  constructor(rounding: Rounding, steps: readonly Step[] = []) {
    this.#rounding = rounding;
    this.#steps = [...steps];
  }

  get first(): Step | undefined {
    return this.#steps[0];
  }

  get last(): Step | undefined {
    return this.#steps.at(-1);
  }

  /** The revision at this time; `undefined`: before the first step. */
  at(time: number): number | undefined {
    return this.#steps.findLast(([at]) => at <= time)?.[1];
  }

  /** Nearly always the last one; one that is earlier may come in late. */
  add(at: number, revision: number): void {
    const [last, before] = [this.#steps.at(-1), this.#steps.at(-2)];
    if (last !== undefined && last[0] <= at) this.#addLast(last, before, at, revision);
    else this.#insert(at, revision);
    if (this.#steps.length > MAX_STEPS) this.#thin();
  }

  #addLast(last: Step, before: Step | undefined, at: number, revision: number): void {
    if (last[1] >= revision) return;
    // Rounded down, one between two that are near is left out; rounded up, the later one counts from the earlier on.
    const near = this.#rounding === 'up' ? last : before;
    const isNear = near !== undefined && at - near[0] < GRAIN;
    if (isNear || at === last[0]) this.#steps.pop();
    this.#steps.push([isNear && this.#rounding === 'up' ? last[0] : at, revision]);
  }

  #insert(at: number, revision: number): void {
    const index = this.#steps.findLastIndex((step) => step[0] <= at);
    if ((this.#steps[index]?.[1] ?? -1) >= revision) return;
    const isBeyond = (step: Step) => step[1] > revision;
    const later = this.#steps.slice(index + 1).filter(isBeyond);
    const isSameTime = this.#steps[index]?.[0] === at;
    this.#steps = [...this.#steps.slice(0, isSameTime ? index : index + 1), [at, revision], ...later];
  }

  forgetAfter(time: number): void {
    this.#steps = this.#steps.filter(([at]) => at <= time);
  }

  /** Every two of the older half become one. */
  #thin(): void {
    const half = MAX_STEPS / 2;
    this.#steps = this.#steps.flatMap((step, k) => {
      if (k >= half) return [step];
      const next = this.#steps[k + 1] ?? step;
      return k % 2 === 1 ? [] : [[step[0], this.#rounding === 'up' ? next[1] : step[1]]];
    });
  }

  toJSON(): readonly Step[] {
    return this.#steps;
  }
}
