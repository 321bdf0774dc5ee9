/** The time that the server goes by, where its clock may be wrong (P9). */
import { describe, expect, test } from 'vitest';
import { type Doubt, ServerClock } from '../../server/clock.js';
import { MemoryStore } from '../../server/store/memory/memory-store.js';
import { DAY, HOUR, SetClock, YEAR } from '../support/set-clock.js';

class Machine extends SetClock {
  readonly store = new MemoryStore();
  readonly doubts: Doubt[] = [];
  clock = new ServerClock(this);

  async start(confirmed = ''): Promise<void> {
    this.clock = new ServerClock(this, (doubt) => this.doubts.push(doubt));
    await this.clock.open(this.store, confirmed);
  }

  async stop(off = HOUR): Promise<void> {
    await this.clock.save(this.store);
    this.passOff(off);
  }

  run(ms: number): void {
    for (let left = ms; left > 0; left -= HOUR) {
      this.pass(Math.min(left, HOUR));
      this.clock.now();
    }
  }

  /** One that has run for a day. */
  static async proven(): Promise<Machine> {
    const machine = new Machine();
    await machine.start();
    machine.run(DAY);
    await machine.stop();
    await machine.start();
    return machine;
  }
}

describe('[P9] what is old enough to be forgotten', () => {
  test('is nothing before the server has ever run for a day, also if it was restarted meanwhile', async () => {
    const machine = new Machine();
    await machine.start();
    machine.run(20 * HOUR);
    expect(machine.clock.retention()).toBe(0);
    await machine.stop();
    await machine.start();
    machine.run(3 * HOUR);
    expect(machine.clock.retention()).toBe(0);
    machine.run(HOUR);
    expect(machine.clock.retention()).toBe(machine.time);
    expect(machine.doubts).toEqual([]);
  });

  test.each([
    ['a year ahead', YEAR],
    ['a day and an hour ahead', DAY + HOUR],
    ['ten years ahead', 10 * YEAR],
  ])('goes by the newest time seen where the clock is %s at the start, for a day', async (_, offset) => {
    const machine = await Machine.proven();
    await machine.stop();
    machine.offset = offset;
    await machine.start();
    const before = machine.time;
    expect(machine.clock.retention()).toBeLessThanOrEqual(before);
    expect(machine.clock.retention()).toBeGreaterThan(before - DAY);
    expect(machine.doubts).toHaveLength(1);
    machine.run(DAY - HOUR);
    expect(machine.clock.retention()).toBeLessThanOrEqual(machine.time);
    machine.run(HOUR);
    expect(machine.clock.retention()).toBe(machine.now());
    expect(machine.doubts).toHaveLength(1);
  });

  test('goes by the clock where that is less than a day off', async () => {
    const machine = await Machine.proven();
    await machine.stop(0);
    machine.offset = 23 * HOUR;
    await machine.start();
    expect([machine.clock.retention(), machine.doubts]).toEqual([machine.now(), []]);
  });

  test('is not more after a start with a wrong clock, nor after many of them', async () => {
    const machine = await Machine.proven();
    for (let start = 0; start < 5; start++) {
      await machine.stop(0);
      machine.offset = start % 2 === 0 ? YEAR : 0;
      await machine.start();
      expect(machine.clock.retention()).toBeLessThanOrEqual(machine.time);
      machine.run(HOUR);
      expect(machine.clock.retention()).toBeLessThanOrEqual(machine.time);
    }
  });

  test('a machine that is off at nights and at weekends gets its day together', async () => {
    const machine = await Machine.proven();
    await machine.stop(60 * HOUR); // a weekend
    for (let day = 0; day < 3; day++) {
      await machine.start();
      expect(machine.clock.retention()).toBeLessThan(machine.time - DAY);
      machine.run(8 * HOUR);
      await machine.stop(16 * HOUR);
    }
    await machine.start();
    expect(machine.clock.retention()).toBe(machine.time);
    expect(machine.doubts).toHaveLength(3);
  });

  test('a person confirms with the date of today, and with no other', async () => {
    const machine = await Machine.proven();
    await machine.stop(90 * DAY);
    const today = new Date(machine.time).toISOString().slice(0, 10);
    await machine.start('2026-11-29');
    expect(machine.clock.retention()).toBeLessThan(machine.time - 80 * DAY);
    await machine.stop();
    await machine.start(today);
    expect(machine.clock.retention()).toBe(machine.time);
    await machine.stop();
    machine.offset = YEAR;
    await machine.start(today); // which somebody left there
    expect(machine.clock.retention()).toBeLessThanOrEqual(machine.time);
  });

  test('goes on as time passes where the clock jumps while the server runs, and by the clock when it is back', async () => {
    const machine = await Machine.proven();
    for (const offset of [10 * YEAR, -10 * YEAR, 2 * DAY, -2 * DAY]) {
      machine.offset = offset;
      expect(machine.clock.retention(), `${offset}`).toBeLessThanOrEqual(machine.time);
      machine.run(HOUR);
      expect(machine.clock.retention(), `${offset}`).toBeLessThanOrEqual(machine.time);
      machine.offset = 0;
      expect(machine.clock.retention(), `${offset}`).toBe(machine.time);
    }
    expect(machine.doubts).toHaveLength(4);
  });
});

describe('[P9] dates', () => {
  test('do not go back by more than a day: a clock that lost its battery is not followed', async () => {
    const machine = await Machine.proven();
    await machine.stop();
    machine.offset = -50 * YEAR;
    await machine.start();
    expect(machine.clock.now()).toBeGreaterThan(machine.time - DAY);
    expect(machine.clock.retention()).toBeLessThan(machine.time);
    machine.run(HOUR);
    machine.offset = 0; // the network told it
    expect([machine.clock.now(), machine.clock.retention()]).toEqual([machine.time, machine.time]);
  });

  test('that are still to come were made before the clock was set back, also after a restart', async () => {
    const machine = await Machine.proven();
    await machine.stop();
    machine.offset = YEAR;
    await machine.start();
    const date = machine.clock.now();
    machine.run(HOUR);
    await machine.stop();
    machine.offset = 0;
    await machine.start();
    const right = machine.time;
    expect(machine.clock.past(date)).toBe(right);
    machine.run(HOUR);
    expect(machine.clock.past(date)).toBe(right);
    await machine.stop();
    await machine.start();
    expect(machine.clock.past(date)).toBe(right);
    expect(machine.clock.past(right + 1)).toBe(right + 1);
  });

  test('of a moment ago stay as they are when the clock is put right by a second', async () => {
    const machine = await Machine.proven();
    machine.run(5 * HOUR);
    const date = machine.clock.now();
    machine.offset = -1_000;
    expect(machine.clock.past(date)).toBe(date - 1_000);
  });

  test('of an erasure are those of the newest time seen where the clock is ahead', async () => {
    const machine = await Machine.proven();
    machine.offset = YEAR;
    expect(machine.clock.erasedAt()).toBeLessThanOrEqual(machine.time);
    machine.offset = 0;
    expect(machine.clock.erasedAt()).toBe(machine.time);
  });
});

test('[P9] a note that was damaged counts as none', async () => {
  const machine = await Machine.proven();
  machine.store.note = async () => null;
  await machine.start();
  expect(machine.clock.retention()).toBe(0);
});
