/**
 * Who serves a user, while nodes and the ways between them fail: random worlds, the real placement of each node. Only
 * the store is a stand-in, which gives users by the rule of the real one, and so is the way to another node.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { NodeId } from '../../../server/cluster/placement.js';
import { StorePlacement } from '../../../server/cluster/store-placement.js';
import { SETTLED_AFTER } from '../../../server/cluster/takeovers.js';
import type { UserId } from '../../../shared/names.js';
import { runs } from '../../support/runs.js';

const ANNA = 'anna' as UserId;
/** An owner whose beat is older loses its users to who asks. */
const DEAD_AFTER = 10_000;
/** A client that is put off comes again within that time. */
const PUT_OFF = 9_000;

type Way = 'open' | 'silent' | 'refused';
interface Takeover {
  readonly by: number;
  readonly at: number;
  readonly way: Way;
}

class World {
  now = 1_000_000;
  readonly #placements: readonly StorePlacement[];
  readonly #alive: boolean[];
  readonly #beats: number[];
  readonly #ways = new Map<string, Way>();
  owner: number | null = null;
  /** Of owners whose beat was fresh. */
  readonly takeovers: Takeover[] = [];

  constructor(readonly size: number) {
    this.#alive = Array(size).fill(true);
    this.#beats = Array(size).fill(this.now);
    this.#placements = Array.from(
      { length: size },
      (_, node) =>
        new StorePlacement({ owner: async (_, relieved) => this.#claim(node, relieved) }, () => this.now),
    );
  }

  isAlive = (node: number): boolean => this.#alive[node] === true;

  pass(ms: number): void {
    for (const end = this.now + ms; this.now < end; ) {
      this.now = Math.min(end, this.now + 1_000);
      for (let node = 0; node < this.size; node++) if (this.isAlive(node)) this.#beats[node] = this.now;
    }
  }

  set(from: number, to: number, way: Way): void {
    this.#ways.set(`${from} ${to}`, way);
  }

  /** All ways are open, and all that live say so. */
  heal(): void {
    this.#ways.clear();
    this.pass(1_000);
  }

  kill(node: number): void {
    if (this.#alive.filter(Boolean).length > 1) this.#alive[node] = false;
  }

  /** A stopped process that goes on, or one that is started again on the same address. */
  revive(node: number): void {
    this.#alive[node] = true;
    this.#beats[node] = this.now;
  }

  release(): void {
    this.owner = null;
  }

  /** A client comes to this node; whether somebody serves it. */
  async come(node: number): Promise<boolean> {
    const placement = this.#placements[node];
    if (placement === undefined || !this.isAlive(node)) return false;
    let silent: NodeId | null = null;
    for (let asked = 0; asked < 3; asked++) {
      const place = await placement.whereIs(ANNA);
      if (place.here) return this.owner === node;
      if (place.node === silent) return false;
      const way = this.#way(node, Number(place.node) - 1);
      if (way === 'open') {
        placement.reached(place.node);
        return true;
      }
      placement.doubt(ANNA, place.node, way);
      if (way === 'silent') silent = place.node;
    }
    return false;
  }

  #way(from: number, to: number): Way {
    if (!this.isAlive(to)) return this.#ways.get(`${from} ${to}`) === 'silent' ? 'silent' : 'refused';
    return this.#ways.get(`${from} ${to}`) ?? 'open';
  }

  #claim(node: number, relieved?: string): { node: string; address: string } | null {
    const { owner } = this;
    if (owner === null || owner === node) {
      this.owner = node;
      return null;
    }
    const isFresh = this.now - (this.#beats[owner] ?? 0) <= DEAD_AFTER;
    if (!isFresh || relieved === String(owner + 1)) {
      if (isFresh) this.takeovers.push({ by: node, at: this.now, way: this.#way(node, owner) });
      this.owner = node;
      return null;
    }
    return { node: String(owner + 1), address: `node-${owner}` as NodeId };
  }
}

const node = fc.nat({ max: 3 });
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('come' as const), at: node }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.integer({ min: 100, max: 12_000 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('way' as const),
      from: node,
      to: node,
      way: fc.constantFrom<Way>('open', 'silent', 'refused'),
      both: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('kill' as const), at: node }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('revive' as const), at: node }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('release' as const) }) },
);
type Step = typeof step extends fc.Arbitrary<infer Each> ? Each : never;

async function make(world: World, each: Step): Promise<void> {
  const within = (name: number) => name % world.size;
  if (each.do === 'come') await world.come(within(each.at));
  if (each.do === 'pass') world.pass(each.ms);
  if (each.do === 'kill') world.kill(within(each.at));
  if (each.do === 'revive') world.revive(within(each.at));
  if (each.do === 'release') world.release();
  if (each.do === 'way' && within(each.from) !== within(each.to)) {
    world.set(within(each.from), within(each.to), each.way);
    if (each.both) world.set(within(each.to), within(each.from), each.way);
  }
}

/** The most that lie within a minute of each other. */
const inOneMinute = (times: readonly number[]): number =>
  Math.max(0, ...times.map((from) => times.filter((at) => at >= from && at < from + SETTLED_AFTER).length));

const worlds = fc.record({ size: fc.integer({ min: 2, max: 4 }), steps: fc.array(step, { maxLength: 80 }) });

describe('takeovers', () => {
  test('[N2] no ping-pong: a node takes a user from one that lives once a minute, and never one that it reaches', async () => {
    await fc.assert(
      fc.asyncProperty(worlds, async ({ size, steps }) => {
        const world = new World(size);
        for (const each of steps) await make(world, each);
        const { takeovers } = world;
        for (let by = 0; by < size; by++) {
          const own = takeovers.filter((each) => each.by === by).map(({ at }) => at);
          expect(inOneMinute(own)).toBeLessThanOrEqual(1);
        }
        expect(inOneMinute(takeovers.map(({ at }) => at))).toBeLessThan(size);
      }),
      { numRuns: runs(300) },
    );
  });

  test('[N2] progress: once all is well again, whoever comes is served within the time that a dead node is given', async () => {
    await fc.assert(
      fc.asyncProperty(worlds, async ({ size, steps }) => {
        const world = new World(size);
        for (const each of steps) await make(world, each);
        world.heal();
        world.pass(DEAD_AFTER);
        const before = world.takeovers.length;
        for (let at = 0; at < size; at++) if (world.isAlive(at)) expect(await world.come(at)).toBe(true);
        expect(world.takeovers).toHaveLength(before);
      }),
      { numRuns: runs(300) },
    );
  });

  test.each<Way>(['silent', 'refused'])(
    '[N2] two nodes that live and do not reach each other (%s) serve their clients by turns, a minute each',
    async (way) => {
      const world = new World(2);
      await world.come(0);
      world.set(0, 1, way);
      world.set(1, 0, way);
      const waits: number[] = [0, 0];
      for (const from = world.now; world.now - from < 600_000; world.pass(PUT_OFF)) {
        for (const at of [0, 1]) waits[at] = (await world.come(at)) ? 0 : (waits[at] ?? 0) + PUT_OFF;
        expect(Math.max(...waits)).toBeLessThanOrEqual(SETTLED_AFTER + 3 * PUT_OFF);
      }
      expect(world.takeovers.length).toBeGreaterThan(4);
      expect(world.takeovers.length).toBeLessThanOrEqual(10);
    },
  );

  test('[N2] a node that is killed: its users are elsewhere at once', async () => {
    const world = new World(3);
    await world.come(0);
    world.kill(0);
    expect(await world.come(1)).toBe(true);
    expect([world.owner, world.takeovers.length]).toEqual([1, 1]);
    expect(await world.come(2)).toBe(true);
    expect(world.owner).toBe(1);
  });

  test('[N2] a node that hangs for less than 10 s keeps its users', async () => {
    const world = new World(2);
    await world.come(0);
    world.set(1, 0, 'silent');
    for (let n = 0; n < 4; n++) {
      expect(await world.come(1)).toBe(false);
      world.pass(3_000);
    }
    world.set(1, 0, 'open');
    expect(await world.come(1)).toBe(true);
    expect([world.owner, world.takeovers]).toEqual([0, []]);
  });
});
