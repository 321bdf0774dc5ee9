/** Users take turns, by a clock that passes when a task says so (S). */
import { describe, expect, test } from 'vitest';
import type { TurnRate } from '../../../../server/documents/turns/turn-line.js';
import { MAX_WAITING, MESSAGE_OVERHEAD, SLICE } from '../../../../server/documents/turns/turn-line.js';
import { Turns } from '../../../../server/documents/turns/turns.js';
import { RateLimiter } from '../../../../server/net/token-bucket.js';

const ENDLESS = { rate: Number.POSITIVE_INFINITY, burst: Number.POSITIVE_INFINITY };
const NO_RATE = (): TurnRate => new RateLimiter({ messages: ENDLESS, bytes: ENDLESS }, () => 0);
const KIB = 1_024;
const MIB = KIB * KIB;

/** Where messages come from. */
class Peer {
  isHeld = false;
  holds = 0;

  hold(): void {
    this.isHeld = true;
    this.holds++;
  }

  release(): void {
    this.isHeld = false;
  }
}

/** Tasks that take time, and a log of who did what when. */
class World {
  now = 0;
  readonly done: { user: string; name: string; at: number }[] = [];
  readonly turns: Turns;
  #soon: (() => void)[] = [];
  #timers: { at: number; task: () => void }[] = [];
  readonly settle = new Map<string, () => void>();

  constructor(rateOf: (now: () => number) => TurnRate = NO_RATE, maxUnsavedPerUser = 1e9, maxUnsaved = 1e9) {
    const clock = {
      now: () => this.now,
      soon: (task: () => void) => void this.#soon.push(task),
      after: (ms: number, task: () => void) => void this.#timers.push({ at: this.now + ms, task }),
    };
    const rates = new Map<string, TurnRate>();
    this.turns = new Turns({
      clock,
      rateOf: (user) => {
        const rate = rates.get(user) ?? rateOf(clock.now);
        rates.set(user, rate);
        return rate;
      },
      maxUnsavedPerUser,
      maxUnsaved,
    });
  }

  /** A message that takes `ms` to handle; it is durable when `settle` is called, or at once. */
  send(
    user: string,
    name: string,
    ms: number,
    more: { bytes?: number; peer?: Peer; keep?: boolean } = {},
  ): void {
    const { bytes = 0, peer = null, keep = false } = more;
    this.turns.enter(user, {
      messages: 1,
      bytes,
      sender: peer,
      run: (settled) => {
        this.work(user, name, ms);
        if (keep) this.settle.set(name, settled);
        else settled();
      },
    });
  }

  work(user: string, name: string, ms: number): void {
    this.now += ms;
    this.done.push({ user, name, at: this.now });
  }

  /** One round of the event loop; `arrivals` come in before it. */
  round(arrivals: () => void = () => {}): void {
    arrivals();
    for (const task of this.#soon.splice(0)) task();
  }

  /** Rounds until nothing is left to do now. */
  settleDown(): void {
    while (this.#soon.length > 0) this.round();
  }

  pass(ms: number): void {
    this.now += ms;
    for (const timer of this.#timers.filter(({ at }) => at <= this.now)) {
      this.#timers.splice(this.#timers.indexOf(timer), 1);
      timer.task();
    }
    this.settleDown();
  }

  names(user: string): string[] {
    return this.done.filter((each) => each.user === user).map(({ name }) => name);
  }
}

describe('[S] users take turns', () => {
  test('whoever sends one message waits for a slice of each flood, not for the floods', () => {
    const world = new World();
    for (let n = 0; n < 2_000; n++)
      for (const user of ['anna', 'bert', 'cleo']) world.send(user, `${n}`, 0.5);
    const waits: number[] = [];
    for (let n = 0; n < 50; n++) {
      let sentAt = 0;
      world.round(() => {
        sentAt = world.now;
        world.send('dora', `d${n}`, 0.1);
      });
      while (world.names('dora').length <= n) world.round();
      waits.push((world.done.findLast(({ user }) => user === 'dora')?.at ?? 0) - sentAt);
    }
    expect(Math.max(...waits)).toBeLessThanOrEqual(3 * SLICE + 0.5);
    expect(world.names('anna').length).toBeLessThan(2_000);
    world.settleDown();
    for (const user of ['anna', 'bert', 'cleo']) {
      expect(world.names(user)).toEqual(Array.from({ length: 2_000 }, (_, n) => `${n}`));
    }
  });

  test('floods get the same share, however many messages each has', () => {
    const world = new World();
    for (let n = 0; n < 4_000; n++) world.send('anna', `${n}`, 0.25);
    for (let n = 0; n < 100; n++) world.send('bert', `${n}`, 1);
    while (world.names('bert').length < 100) world.round();
    expect(world.names('anna').length).toBeLessThan(100 * 4 * 1.5);
  });

  test('where nobody waits, what comes is done at once; beyond a slice it waits for the next round', () => {
    const world = new World();
    world.send('anna', 'a', SLICE / 4);
    expect(world.names('anna')).toEqual(['a']);
    for (const name of ['b', 'c', 'd', 'e', 'f']) world.send('anna', name, SLICE / 4);
    expect(world.names('anna')).toEqual(['a', 'b', 'c', 'd']);
    world.send('bert', 'other', 0.5);
    expect(world.names('bert')).toEqual(['other']);
    world.settleDown();
    expect(world.names('anna')).toEqual(['a', 'b', 'c', 'd', 'e', 'f']);
  });

  test('what has become durable is told before what has come in is done', () => {
    const world = new World();
    for (let n = 0; n < 20; n++) world.send('anna', `${n}`, SLICE);
    world.turns.first('anna', () => world.work('anna', 'told', 0));
    world.round();
    expect(world.names('anna').slice(0, 3)).toEqual(['0', 'told', '1']);
  });

  test('one that is in work keeps its messages back, and nobody else’s', () => {
    const world = new World();
    world.turns.block('anna');
    world.send('anna', 'a', 1);
    world.send('bert', 'b', 1);
    world.settleDown();
    expect(world.done.map(({ name }) => name)).toEqual(['b']);
    world.turns.unblock('anna');
    world.settleDown();
    expect(world.done.map(({ name }) => name)).toEqual(['b', 'a']);
  });

  test('of who has nothing to do, nothing is kept', () => {
    const world = new World();
    for (let n = 0; n < 100; n++) world.send(`user-${n}`, 'x', 1);
    world.turns.block('anna');
    world.turns.unblock('anna');
    world.settleDown();
    expect([world.turns.size, world.turns.unsaved]).toEqual([0, 0]);
  });

  test('a task that throws ends neither the turn of others nor its own', () => {
    const world = new World();
    for (let n = 0; n < 3; n++) world.send('anna', `${n}`, 1);
    const run = () => {
      throw new Error('a fault');
    };
    world.turns.enter('anna', { messages: 1, bytes: 0, sender: null, run });
    world.send('anna', 'after', 1);
    for (const name of ['b', 'c', 'd']) world.send('bert', name, 2);
    expect(() => world.settleDown()).toThrow('a fault');
    world.settleDown();
    expect([world.names('anna').at(-1), world.names('bert')]).toEqual(['after', ['b', 'c', 'd']]);
  });
});

describe('[S] the rate of a user', () => {
  const limited = (now: () => number) =>
    new RateLimiter({ messages: { rate: 10, burst: 20 }, bytes: ENDLESS }, now);

  test('holds for all connections together: at the burst all is done, what is beyond it comes at the rate', () => {
    const world = new World(limited);
    for (let n = 0; n < 30; n++) world.send('anna', `${n}`, 0, { peer: new Peer() });
    world.send('bert', 'b', 0);
    world.settleDown();
    expect([world.names('anna').length, world.names('bert')]).toEqual([21, ['b']]);
    world.pass(99);
    expect(world.names('anna')).toHaveLength(21);
    world.pass(1);
    expect(world.names('anna')).toHaveLength(22);
    for (let n = 0; n < 8; n++) world.pass(100);
    expect(world.names('anna')).toHaveLength(30);
  });

  test('what becomes durable meanwhile is told at once', () => {
    const world = new World(limited);
    for (let n = 0; n < 30; n++) world.send('anna', `${n}`, 0);
    world.turns.first('anna', () => world.work('anna', 'told', 0));
    world.settleDown();
    expect(world.names('anna')).toContain('told');
    for (let n = 0; n < 3; n++) world.turns.first('anna', () => {});
    world.pass(100);
    expect(world.names('anna')).toHaveLength(23);
  });

  test('when the server stops, it does not count any more', async () => {
    const world = new World(limited);
    for (let n = 0; n < 100; n++) world.send('anna', `${n}`, 0);
    world.settleDown();
    let isIdle = false;
    void world.turns.idle().then(() => {
      isIdle = true;
    });
    world.turns.hurry();
    world.settleDown();
    await Promise.resolve();
    expect([world.names('anna').length, isIdle]).toEqual([100, true]);
  });
});

describe('[S] what is not durable yet is bounded', () => {
  test('per user: at the bound all are read, beyond it who sends is held until half of it is durable', () => {
    const world = new World(NO_RATE, 10 * (KIB + MESSAGE_OVERHEAD));
    const [first, second, other] = [new Peer(), new Peer(), new Peer()];
    for (let n = 0; n < 10; n++) world.send('anna', `${n}`, 0, { bytes: KIB, peer: first, keep: true });
    world.settleDown();
    expect(first.isHeld).toBe(false);
    world.send('anna', 'one more', 0, { bytes: 1, peer: second, keep: true });
    world.send('bert', 'b', 0, { bytes: KIB, peer: other });
    world.settleDown();
    expect([first.isHeld, second.isHeld, other.isHeld]).toEqual([false, true, false]);
    for (let n = 0; n < 5; n++) world.settle.get(`${n}`)?.();
    expect(second.isHeld).toBe(true);
    world.settle.get('5')?.();
    world.settleDown();
    expect(second.isHeld).toBe(false);
  });

  test('in all: whoever sends beyond it is held', () => {
    const world = new World(NO_RATE, 1e9, 10 * (KIB + MESSAGE_OVERHEAD));
    for (let n = 0; n < 10; n++) world.send(`user-${n}`, `${n}`, 0, { bytes: KIB, keep: true });
    const peer = new Peer();
    world.send('anna', 'a', 0, { peer });
    world.settleDown();
    expect([peer.isHeld, world.names('anna')]).toEqual([true, ['a']]);
    for (let n = 0; n < 5; n++) world.settle.get(`${n}`)?.();
    expect(peer.isHeld).toBe(false);
    for (let n = 5; n < 10; n++) world.settle.get(`${n}`)?.();
    world.settleDown();
    expect([world.turns.unsaved, world.turns.size]).toEqual([0, 0]);
  });

  test.each(['rate', 'document'])(
    'one user whose large messages wait for the %s, however many they are, holds nobody else',
    (reason) => {
      const rate = (now: () => number) =>
        new RateLimiter({ messages: ENDLESS, bytes: { rate: 8 * MIB, burst: 128 * MIB } }, now);
      const world = new World(rate, 8 * MIB, 64 * MIB);
      if (reason === 'document') world.turns.block('mallory');
      const [peers, other] = [Array.from({ length: 60 }, () => new Peer()), new Peer()];
      for (const [n, peer] of peers.entries()) world.send('mallory', `${n}`, 300, { bytes: 32 * MIB, peer });
      world.settleDown();
      expect([peers.at(-1)?.isHeld, world.turns.isFull]).toEqual([true, false]);
      world.send('bert', 'b', 0, { bytes: 100, peer: other });
      world.settleDown();
      expect([other.holds, world.names('bert')]).toEqual([0, ['b']]);
      world.turns.unblock('mallory');
      // 60 times 32 MiB at 8 MiB a second.
      for (let s = 0; s < 240; s++) world.pass(1_000);
      expect([peers.filter(({ isHeld }) => isHeld), world.names('mallory').length]).toEqual([[], 60]);
      expect([world.turns.unsaved, world.turns.size]).toEqual([0, 0]);
    },
  );

  test('users count for all together up to their own bound: as many as fill it hold who sends', () => {
    const world = new World(NO_RATE, 2 * (KIB + MESSAGE_OVERHEAD), 10 * (KIB + MESSAGE_OVERHEAD));
    const peer = new Peer();
    const fill = (user: string) => {
      for (let n = 0; n < 3; n++) world.send(user, `${user} ${n}`, 0, { bytes: KIB, keep: true });
    };
    for (let n = 0; n < 4; n++) fill(`user-${n}`);
    world.send('anna', 'a', 0, { peer });
    world.settleDown();
    expect(peer.isHeld).toBe(false);
    fill('user-4');
    world.send('anna', 'b', 0, { peer });
    world.settleDown();
    expect(peer.isHeld).toBe(true);
    for (const settle of world.settle.values()) settle();
    world.settleDown();
    expect([peer.isHeld, world.turns.unsaved, world.turns.size]).toEqual([false, 0, 0]);
  });

  test('messages that wait for a turn: who sends more is held, and they are let go one after the other', () => {
    const world = new World();
    const peers = Array.from({ length: 3 }, () => new Peer());
    for (let n = 0; n < MAX_WAITING; n++) for (const peer of peers) world.send('anna', `${n}`, 1, { peer });
    expect(peers.map(({ isHeld }) => isHeld)).toEqual([true, true, true]);
    while (peers.every(({ isHeld }) => isHeld)) world.round();
    // What that one sends now comes before the others are read.
    expect(peers.filter(({ isHeld }) => isHeld)).toHaveLength(2);
    world.settleDown();
    expect(peers.map(({ isHeld }) => isHeld)).toEqual([false, false, false]);
    expect(world.names('anna')).toHaveLength(3 * MAX_WAITING);
  });
});
