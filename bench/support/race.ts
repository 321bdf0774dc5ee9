/** Arms side by side: in each round every one in turn, each a fresh process on a fresh folder. */
import { type Cores, pinSelf, twoCores } from './cores.js';
import type { ArmFigures } from './figures.js';
import { print } from './print.js';
import type { Program } from './programs.js';
import { Scope } from './scope.js';
import { ServerProcess } from './server-process.js';

export interface Arm {
  readonly id: string;
  readonly name: string;
  readonly program: (folder: string) => Program;
  /** Makes the folder of a round; an empty one otherwise. */
  readonly prepare?: (scope: Scope) => Promise<string>;
  readonly facts?: Readonly<Record<string, string>>;
}

/** Measure → figure of one round. */
export type Measured = Readonly<Record<string, number>>;

export interface Race<A extends Arm> {
  readonly arms: readonly A[];
  readonly rounds: number;
  readonly cores: Cores | null;
  readonly scope: Scope;
  readonly run: (server: ServerProcess, arm: A, scope: Scope) => Promise<Measured>;
}

let pinned: Cores | null = null;

/** The load on the second core; servers go to the first. Once for all benchmarks of a process: it has one core then. */
export function pin(): Cores | null {
  if (pinned !== null) return pinned;
  const cores = twoCores();
  pinned = cores;
  if (cores === null) {
    print('No second core or no taskset: nothing is pinned, and the load disturbs the measurement.');
    return null;
  }
  pinSelf(cores.load);
  print(`Each server on core ${cores.server}, the load on core ${cores.load}.`);
  return cores;
}

export const race = <A extends Arm>({ arms, rounds, cores, scope, run }: Race<A>): Promise<ArmFigures[]> =>
  inRounds({
    arms,
    rounds,
    scope,
    run: async (arm, inner) => {
      const program = arm.program(await (arm.prepare ?? emptyFolder)(inner))(cores?.server ?? null);
      return run(await ServerProcess.start(program, inner), arm, inner);
    },
  });

export interface Rounds<A> {
  readonly arms: readonly A[];
  readonly rounds: number;
  readonly scope: Scope;
  readonly run: (arm: A, scope: Scope) => Promise<Measured>;
}

/** The same where an arm is more than one server, and starts what it needs. */
export async function inRounds<A extends Pick<Arm, 'id' | 'name' | 'facts'>>({
  arms,
  rounds,
  scope,
  run,
}: Rounds<A>): Promise<ArmFigures[]> {
  const values = new Map<string, Record<string, number[]>>(arms.map(({ id }) => [id, {}]));
  for (let round = 0; round < rounds; round++) {
    for (const arm of inTurn(arms, round)) {
      const measured = await within(scope, (inner) => run(arm, inner));
      const ofArm = values.get(arm.id) ?? {};
      for (const [measure, value] of Object.entries(measured)) {
        ofArm[measure] = [...(ofArm[measure] ?? []), value];
      }
    }
  }
  return arms.map(({ id, name, facts = {} }) => ({ id, name, values: values.get(id) ?? {}, facts }));
}

const emptyFolder = (scope: Scope): Promise<string> => scope.folder();

/** Another one is first in each round: none always follows the same one. */
export const inTurn = <Each>(all: readonly Each[], round: number): Each[] =>
  all.map((_, index) => all[(index + round) % all.length] as Each);

/** With a scope that ends when the task does, and with the outer one at the latest. */
export async function within<T>(outer: Scope, task: (scope: Scope) => Promise<T>): Promise<T> {
  const inner = new Scope();
  outer.atEnd(() => inner.end());
  try {
    return await task(inner);
  } finally {
    await inner.end();
  }
}
