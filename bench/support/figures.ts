/** What a benchmark found, as it is kept in JSON, and the arithmetic of it: medians, and ratios within one run. */
import { median } from './print.js';

/** One kind of figure that each arm has, in each round. */
export interface Measure {
  readonly id: string;
  readonly line: string;
  readonly unit: string;
}

/** One of the servers, clients or documents that stand beside each other. */
export interface ArmFigures {
  readonly id: string;
  readonly name: string;
  /** Measure → one value per round; a measure that the arm does not have is missing. */
  readonly values: Readonly<Record<string, readonly number[]>>;
  /** What is no number: how safe an edit is, say. */
  readonly facts: Readonly<Record<string, string>>;
}

/** What is to be reached: a multiple of another arm, or a figure where `of` is `null`. */
export interface Goal {
  readonly arm: string;
  readonly measure: string;
  readonly of: string | null;
  readonly most: number;
}

export interface Machine {
  readonly node: string;
  readonly cpu: string;
  readonly cores: number;
  readonly pinned: boolean;
  /** Processes that wanted a core over the minute before it began: what else the machine did. */
  readonly load: number;
}

export interface Figures {
  readonly benchmark: string;
  readonly line: string;
  readonly short: boolean;
  readonly taken: string;
  readonly machine: Machine;
  readonly setting: Readonly<Record<string, number | string>>;
  /** The arm that ratios are of. */
  readonly limit: string;
  readonly measures: readonly Measure[];
  readonly arms: readonly ArmFigures[];
  readonly goals: readonly Goal[];
}

const armOf = (figures: Figures, id: string): ArmFigures | undefined =>
  figures.arms.find((arm) => arm.id === id);

/** The median of the rounds; `NaN` where there are none. */
export const figureOf = (figures: Figures, arm: string, measure: string): number =>
  median(armOf(figures, arm)?.values[measure] ?? []);

/**
 * How many times the figure of another arm. Each round stands beside the same round of the other, so that a machine
 * that is slower for a while is slower for both; of these ratios it is the median.
 */
export function ratioOf(figures: Figures, arm: string, measure: string, of = figures.limit): number {
  const base = armOf(figures, of)?.values[measure] ?? [];
  const values = armOf(figures, arm)?.values[measure] ?? [];
  return median(values.slice(0, base.length).map((value, round) => value / (base[round] ?? Number.NaN)));
}

export interface Judged extends Goal {
  readonly is: number;
  readonly reached: boolean;
}

/** Each goal with what was measured; one that was not measured is not reached. */
export const judge = (figures: Figures): Judged[] =>
  figures.goals.map((goal) => {
    const { arm, measure, of } = goal;
    const is = of === null ? figureOf(figures, arm, measure) : ratioOf(figures, arm, measure, of);
    return { ...goal, is, reached: is <= goal.most };
  });

export interface Change {
  readonly goal: Goal;
  readonly before: number;
  readonly now: number;
  /** How much worse it is now: 0.3 is 30 % above what it was. */
  readonly worse: number;
}

/** What each goal's figure was and is, in two runs of one benchmark; goals that one of them lacks are left out. */
export function compareRuns(before: Figures, now: Figures): Change[] {
  const then = judge(before);
  return judge(now).flatMap((goal) => {
    const was = then.find(({ arm, measure, of }) => sameGoal(goal, { arm, measure, of }));
    if (was === undefined || Number.isNaN(was.is)) return [];
    return [{ goal, before: was.is, now: goal.is, worse: goal.is / was.is - 1 }];
  });
}

const sameGoal = (goal: Goal, other: Omit<Goal, 'most'>): boolean =>
  goal.arm === other.arm && goal.measure === other.measure && goal.of === other.of;
