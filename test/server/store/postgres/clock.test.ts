import { describe, expect, onTestFinished, test } from 'vitest';
import { aheadOf } from '../../../../server/store/postgres/beat.js';
import { PostgresFixture, withPostgres } from '../../../support/postgres.js';
import { useServer } from '../../../support/use.js';
import { PATIENCE } from '../../../support/wait.js';

describe('[L6] how far a clock is ahead of that of the database', () => {
  test.each([
    ['the database looked in between', [1_000, 1_100], 1_050, 0],
    ['ahead of it, whenever that was', [7_000, 7_100], 1_050, 5_950],
    ['behind it', [1_000, 1_100], 9_000, -7_900],
    ['an answer that was long under way, as to a process that was stopped', [1_000, 61_000], 1_001, 0],
    ['and one whose question was', [1_000, 61_000], 60_999, 0],
  ] as const)('%s', (_, [sent, received], time, ahead) => {
    expect(aheadOf(sent, received, time)).toBe(ahead);
  });
});

withPostgres(
  '[H4 O3 L6] a server says when its clock is more than 5 s off, warns from 30 s on, and stays ready',
  async () => {
    const fixture = await PostgresFixture.create();
    onTestFinished(() => fixture.remove());
    let ahead = 0;
    const told: number[] = [];
    const store = await fixture.open({
      ...{ beat: 20, now: () => Date.now() + ahead },
      onClock: (ms) => void told.push(Math.round(ms / 1_000)),
    });
    const server = await useServer({}, { store });
    const ready = async () => {
      const answer = await fetch(`${server.url}/ready`);
      const { warnings = [] } = (await answer.json()) as { warnings?: { code: string }[] };
      return [answer.status, ...warnings.map(({ code }) => code)];
    };
    const becomes = (expected: unknown[]) => expect.poll(ready, { timeout: PATIENCE }).toEqual(expected);
    expect([await ready(), told]).toEqual([[200], []]);
    ahead = -6_000;
    await expect.poll(() => told, { timeout: PATIENCE }).toEqual([-6]);
    expect(await ready()).toEqual([200]);
    ahead = 31_000;
    await becomes([200, 'CLOCK_DIFFERS']); // the database's may be the wrong one: it would take out all at once
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    expect(Number(/^telemed_clock_ahead_seconds (\S+)/m.exec(metrics)?.[1])).toBeCloseTo(31, 0);
    expect(Number(/^telemed_beat_age_seconds (\S+)/m.exec(metrics)?.[1])).toBeLessThan(PATIENCE);
    ahead = 0;
    await becomes([200]);
    ahead = 6_000;
    await expect.poll(() => told.at(-1), { timeout: PATIENCE }).toBe(6);
  },
);
