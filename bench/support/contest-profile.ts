/** A contest of edits of which its two servers that store are profiled. */
import { atRest, type Contest, type EditArm, gatherAt, loadOnce, USERS } from './contest.js';
import { sizeOf } from './outcome.js';
import { type Profiling, profilable } from './profile.js';
import type { ArmBenchmark } from './start.js';

/** Edits of each user; the first ones are not in the profile. */
const LONG = { rounds: 1, warmUp: 60, edits: 200 };
const SHORT = { rounds: 1, warmUp: 40, edits: 60 };
const PROFILED: ReadonlySet<string> = new Set(['floor', 'ours']);

export const profilableContest = <Frame>(
  benchmark: ArmBenchmark,
  contestOf: (options: ReadonlySet<string>) => Contest<Frame>,
): ArmBenchmark =>
  profilable(benchmark, async (options) => [profilingOf(benchmark.name, contestOf(options), options)]);

function profilingOf<Frame>(
  name: string,
  contest: Contest<Frame>,
  options: ReadonlySet<string>,
): Profiling<EditArm<Frame>> {
  const { warmUp, edits } = sizeOf(options, LONG, SHORT);
  return {
    name: `${name}, warm`,
    arms: contest.arms.filter(({ id }) => PROFILED.has(id)),
    unit: 'edit',
    count: edits * USERS,
    prepare: async (server, arm, scope) => {
      const crowd = await gatherAt(arm, contest.edits(warmUp + edits), server, scope);
      await loadOnce(crowd, warmUp, contest.rate);
      await atRest(server);
      return async () => {
        await loadOnce(crowd, edits, contest.rate);
        await atRest(server);
      };
    },
  };
}
