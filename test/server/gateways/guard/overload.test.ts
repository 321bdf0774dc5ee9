/** When the server finds that it does not keep up, by a clock that passes when a task says so (S4). */
import { describe, expect, test } from 'vitest';
import {
  LATE,
  LOOKS,
  MAX_UNSENT,
  MAX_UNSENT_PER_USER,
  Overload,
  PATIENCE,
  putOffFor,
} from '../../../../server/gateways/guard/overload.js';
import type { UserId } from '../../../../shared/names.js';

const user = (name: string) => name as UserId;

/** A server whose event loop is free, or late, as a test says. */
class World {
  now = 0;
  readonly turns = { isFull: false };
  readonly backlog = { isFull: false };
  readonly unsent = new Map<UserId | null, number>();
  readonly changes: boolean[] = [];
  readonly overload: Overload;
  #due: { at: number; task: () => void } | null = null;

  constructor() {
    const clock = {
      now: () => this.now,
      after: (ms: number, task: () => void) => {
        this.#due = { at: this.now + ms, task };
      },
    };
    const onChange = (isOver: boolean) => void this.changes.push(isOver);
    this.overload = new Overload({ clock, ...this, unsent: () => this.unsent, onChange });
  }

  /** The next look comes this much too late. */
  look(late = 0): boolean {
    const due = this.#due;
    this.now = (due?.at ?? 0) + late;
    due?.task();
    return this.overload.isOver;
  }

  lookFor(ms: number, late = 0): boolean {
    const end = this.now + ms;
    while (this.now < end) this.look(late);
    return this.overload.isOver;
  }
}

describe('[S4] overload', () => {
  test('a server that is a little late at each look keeps up', () => {
    expect(new World().lookFor(60_000, LATE)).toBe(false);
  });

  test('long tasks are none; what lasts is, until the first look in time', () => {
    const world = new World();
    for (let n = 1; n < LOOKS; n++) expect(world.look(10 * PATIENCE)).toBe(false);
    expect(world.look()).toBe(false);
    for (let n = 1; n < LOOKS; n++) expect(world.look(LATE + 1)).toBe(false);
    expect(world.look(LATE + 1)).toBe(true);
    expect(world.look(LATE + 1)).toBe(true);
    expect(world.look()).toBe(false);
    expect(world.changes).toEqual([true, false]);
  });

  test.each(['turns', 'backlog'] as const)(
    'what the disk does not keep up with counts as well: %s',
    (which) => {
      const world = new World();
      world[which].isFull = true;
      expect(world.lookFor(PATIENCE - 100)).toBe(false);
      expect(world.lookFor(500)).toBe(true);
      world[which].isFull = false;
      expect(world.look()).toBe(false);
    },
  );

  test('nor what clients read, whoever they are', () => {
    const world = new World();
    for (let n = 0; n < 8; n++) world.unsent.set(user(`user-${n}`), MAX_UNSENT_PER_USER);
    expect(world.lookFor(PATIENCE + 500)).toBe(false);
    world.unsent.set(user('anna'), 1);
    expect(world.lookFor(PATIENCE + 500)).toBe(true);
    world.unsent.delete(user('anna'));
    expect(world.look()).toBe(false);
    world.unsent.set(null, 1);
    expect(world.lookFor(PATIENCE + 500)).toBe(true);
  });

  test('what one user leaves unread puts off no other, and this one only beyond the bound of all', () => {
    const world = new World();
    const isOver = () => ['mallory', 'bert'].map((name) => world.overload.isOverFor(user(name)));
    world.unsent.set(user('mallory'), MAX_UNSENT);
    expect([world.lookFor(PATIENCE * 10), isOver()]).toEqual([false, [false, false]]);
    world.unsent.set(user('mallory'), MAX_UNSENT_PER_USER).set(null, MAX_UNSENT - MAX_UNSENT_PER_USER);
    expect([world.lookFor(PATIENCE * 10), isOver()]).toEqual([false, [false, false]]);
    world.unsent.set(user('mallory'), 10 * MAX_UNSENT);
    expect([world.lookFor(PATIENCE * 10), isOver()]).toEqual([false, [true, false]]);
    expect(world.overload.isOverFor(null)).toBe(false);
    world.unsent.set(user('mallory'), MAX_UNSENT).delete(null);
    expect([world.look(), isOver()]).toEqual([false, [false, false]]);
    expect(world.changes).toEqual([]);
  });

  test('of many users who leave much unread together, each is put off, and nobody else', () => {
    const world = new World();
    const isOverFor = (name: string) => world.overload.isOverFor(user(name));
    const readers = Array.from({ length: 8 }, (_, n) => `reader-${n}`);
    for (const reader of readers) world.unsent.set(user(reader), MAX_UNSENT);
    world.unsent.set(user('anna'), 1).delete(user('reader-0'));
    world.unsent.set(user('bert'), MAX_UNSENT_PER_USER - 1);
    expect(world.lookFor(PATIENCE * 10)).toBe(false);
    expect([...readers, 'anna', 'bert'].filter(isOverFor)).toEqual(readers.slice(1));
    for (const reader of readers.slice(2)) world.unsent.set(user(reader), 0);
    expect(world.look()).toBe(false);
    expect(readers.filter(isOverFor)).toEqual(['reader-1']);
    world.unsent.set(user('bert'), 0).set(user('anna'), 0);
    expect(world.look()).toBe(false);
    expect(readers.filter(isOverFor)).toEqual([]);
  });

  test('once closed, it looks no more', () => {
    const world = new World();
    world.overload.close();
    expect(world.look(PATIENCE * 2)).toBe(false);
    expect(world.changes).toEqual([]);
  });

  test('who is put off comes again within 3 to 9 s, at a random time', () => {
    expect([0, 0.5, 1].map((random) => putOffFor(() => random))).toEqual([3, 6, 9]);
  });
});
