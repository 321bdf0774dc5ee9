import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Steps } from '../../../../server/documents/json-devices/steps.js';

const exact = (steps: readonly (readonly [number, number])[], time: number): number =>
  Math.max(-1, ...steps.filter(([at]) => at <= time).map(([, revision]) => revision));

const pauses = fc.array(fc.oneof(fc.nat(300), fc.nat(100_000)), { minLength: 1, maxLength: 200 });

test.each(['down', 'up'] as const)(
  '[L4 L5] many steps are rounded %s only, and the last one is exact',
  (rounding) => {
    fc.assert(
      fc.property(pauses, (pauses) => {
        const steps = new Steps(rounding);
        const all: [number, number][] = [];
        let at = 0;
        for (const [index, pause] of pauses.entries()) {
          at += pause;
          all.push([at, index]);
          steps.add(at, index);
        }
        expect(steps.toJSON().length).toBeLessThanOrEqual(32);
        expect(steps.at(at)).toBe(pauses.length - 1);
        for (const [time] of all) {
          const [found, right] = [steps.at(time) ?? -1, exact(all, time)];
          if (rounding === 'down') expect(found).toBeLessThanOrEqual(right);
          else expect(found).toBeGreaterThanOrEqual(right);
        }
      }),
      { seed: 1 },
    );
  },
);

test('[L4] two steps in quick succession, long before the next one, leave the later one', () => {
  const steps = new Steps('down', []);
  for (const [at, revision] of [
    [0, 1],
    [1_000, 2],
    [1_025, 3],
    [90_000, 4],
  ] as const)
    steps.add(at, revision);
  expect(steps.at(50_000)).toBe(3);
});
