/**
 * Whole documents from devices that may be stale, against a model that knows who wrote what on top of what (L2–L9,
 * H5): nothing that a device did is undone by one that did not know of it.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { leavesOf } from './support/legacy-ledger.js';
import {
  appsArbitrary,
  DAY,
  type Move,
  PLAIN,
  run,
  type Step,
  stepOf,
  stepsArbitrary,
  type Told,
  toldOf,
} from './support/legacy-steps.js';
import type { AppSetup, Change } from './support/legacy-world.js';
import { runs } from './support/runs.js';

/** Runs per property; more by hand: `MODEL_RUNS=20000 npx vitest run test/legacy-model.test.ts`. */
const RUNS = Number(process.env.MODEL_RUNS ?? runs(200));

/** With fewer, some move does nothing by chance. */
const ENOUGH = 10;

/** A failed run ends in two lines that make a test of their own. */
async function telling(
  apps: readonly AppSetup[],
  steps: readonly Step[],
  counts: Map<Move, number>,
): Promise<void> {
  try {
    await run(apps, steps, counts);
  } catch (error) {
    const told = `${JSON.stringify(apps)}\n${JSON.stringify(steps.map(toldOf))}`;
    throw new Error(`${told}\n${(error as Error).message}`, { cause: error });
  }
}

interface Property {
  readonly name: string;
  readonly apps: Parameters<typeof appsArbitrary>[0];
  readonly moves: readonly Move[];
}

const CLOCKS = [0, -3 * DAY, 40_000];
const BOTH = [true, false];
const ONLINE = ['edit', 'send', 'receive', 'flush', 'pause', 'agree'] as const;
const OFFLINE = [...ONLINE, 'wait', 'away', 'connect', 'cut'] as const;

const properties: Property[] = [
  { name: '[L2 L3 L6] devices that are always online', apps: {}, moves: ONLINE },
  {
    name: '[L4 L6] devices of every kind that are always online',
    apps: {
      skew: CLOCKS,
      stamps: ['both', 'stored', 'none'],
      acks: BOTH,
      old: BOTH,
      lags: [true, true, false],
    },
    moves: [...ONLINE, 'read', 'sync', 'hold', 'release'],
  },
  { name: '[L4 L5 L7 L9] devices that come and go', apps: { acks: BOTH }, moves: OFFLINE },
  {
    name: '[L5 L6] devices that come and go, with clocks that are wrong',
    apps: { acks: BOTH, skew: CLOCKS, stamps: ['both', 'stored'] },
    moves: OFFLINE,
  },
  {
    name: '[L5 L8] devices that come and go, and name no times',
    apps: { acks: BOTH, skew: CLOCKS, stamps: ['none', 'none', 'both'] },
    moves: OFFLINE,
  },
  {
    name: '[L4 L6] older apps, and apps that read late, that come and go',
    apps: { acks: BOTH, old: BOTH, lags: [true, true, false] },
    moves: [...OFFLINE, 'read', 'sync'],
  },
  {
    name: '[L4 L5] connections that the server takes for alive, and a slow disk',
    apps: { acks: BOTH },
    moves: [...OFFLINE, 'abandon', 'notice', 'hold', 'release'],
  },
  { name: '[L4 L5] a server that stops', apps: { acks: BOTH }, moves: [...OFFLINE, 'stop'] },
  {
    name: '[L4 L5 H5] a server that is killed',
    apps: { acks: BOTH },
    moves: [...OFFLINE, 'kill', 'hold', 'release'],
  },
  {
    name: '[L4 L5] connections of any length that overlap, and a server that is killed',
    apps: { acks: BOTH },
    moves: [...OFFLINE, 'abandon', 'notice', 'kill'],
  },
  {
    name: '[L3 L4 L6] apps that handle messages concurrently',
    apps: { acks: BOTH, concurrent: [true, true, false] },
    moves: [...ONLINE, 'sync'],
  },
  {
    name: '[L4 L5 L6] apps that handle messages concurrently, that come and go',
    apps: { acks: BOTH, concurrent: [true, true, false] },
    moves: [...OFFLINE, 'abandon', 'notice', 'stop', 'kill'],
  },
  {
    name: '[P10] a document that is written anew, whatever its devices have not sent or read yet',
    apps: { acks: BOTH, skew: CLOCKS, stamps: ['both', 'stored', 'none'], lags: [true, false] },
    moves: [...OFFLINE, 'rewrite', 'abandon', 'notice', 'restore'],
  },
  {
    name: '[P10] such a document, of a server that is stopped and killed',
    apps: { acks: BOTH },
    moves: [...OFFLINE, 'rewrite', 'stop', 'kill', 'hold', 'release'],
  },
  {
    name: '[L4 L5 L6] documents that sleep under their devices, and a server that stops or is killed',
    apps: {
      acks: BOTH,
      skew: CLOCKS,
      stamps: ['both', 'stored', 'none'],
      old: BOTH,
      lags: [true],
      concurrent: [true, false, false],
    },
    moves: [
      ...OFFLINE,
      'sleep',
      'rewrite',
      'read',
      'sync',
      'abandon',
      'notice',
      'hold',
      'release',
      'stop',
      'kill',
    ],
  },
  { name: '[L7 L9 H6] records that are restored', apps: { acks: BOTH }, moves: [...OFFLINE, 'restore'] },
];

test.for(properties)('$name', { timeout: 120_000 + 100 * RUNS }, async ({ apps, moves }) => {
  const counts = new Map<Move, number>();
  await fc.assert(
    fc.asyncProperty(appsArbitrary(apps), stepsArbitrary(moves), (apps, steps) =>
      telling(apps, steps, counts),
    ),
    {
      numRuns: RUNS,
      seed: Number(process.env.MODEL_SEED ?? 1),
    },
  );
  if (RUNS < ENOUGH) return;
  const rare = moves.filter((move) => (counts.get(move) ?? 0) < RUNS / 20);
  expect(rare, 'moves that seldom did anything').toEqual([]);
});

interface Case {
  readonly name: string;
  readonly apps?: readonly AppSetup[];
  readonly steps: readonly Told[];
  /** A leaf of `r1` that is not there at the end, where the ledger leaves that open. */
  readonly gone?: string;
}

const CONCURRENT_APP: AppSetup = { ...PLAIN, concurrent: true };
const CONCURRENT = [CONCURRENT_APP, CONCURRENT_APP];

/** One device changes a record; another one has just received that, changes the record, and is heard late. */
const lateAfter = (other: Change['kind'], own: Change['kind']): Told[] => [
  ['edit', 1, other, 0, 0],
  ['flush', 1],
  ['flush', 0],
  ['edit', 0, own, 0, 0],
  ['pause', 0, null, 0, 3],
  ['pause', 0, null, 0, 5],
];

const cases: Case[] = [
  {
    name: '[L6 D3] what two devices put into one list at the same time is all there',
    steps: [
      ['edit', 1, 'add tag', 0, 0],
      ['edit', 0, 'add tag', 0, 0],
    ],
  },
  {
    name: '[L6 D4] the lists of a record that two devices create at the same time are united',
    steps: [
      ['edit', 1, 'a', 1, 4],
      ['edit', 0, 'a', 1, 4],
    ],
  },
  {
    name: '[L5 L6] a queue that grew over a full sync does not take back its own first write',
    steps: [
      ['cut', 0],
      ['edit', 0, 'a', 0, 0],
      ['connect', 0],
      ['receive', 0],
      ['cut', 0],
      ['edit', 0, 'ext', 0, 0],
    ],
  },
  {
    name: '[L1 L5 L6] nor does a write between the full sync and the confirmation',
    steps: [
      ['cut', 0],
      ['edit', 0, 'a', 0, 0],
      ['connect', 0],
      ['receive', 0],
      ['edit', 0, 'item q', 0, 0],
    ],
  },
  {
    name: '[L5 L7] a record that a device deletes, and creates long after as the connection breaks, is there',
    steps: [
      ['edit', 0, 'delete', 0, 0],
      ['agree', 0],
      ['edit', 0, 'a', 0, 0],
      ['cut', 0],
    ],
  },
  {
    name: '[L5 L6] an element that a device adds, and removes as the connection breaks, is gone',
    steps: [
      ['edit', 0, 'add item', 0, 0],
      ['send', 0],
      ['edit', 0, 'drop item', 0, 3],
      ['cut', 0],
    ],
    gone: 'items/e2/p',
  },
  {
    name: '[L4 L6] what crossed a removal stays removed, also where another device removes the same',
    steps: [
      ['edit', 2, 'drop field', 0, 0],
      ['edit', 1, 'add item', 0, 0],
      ['flush', 1],
      ['edit', 0, 'drop field', 0, 0],
      ['receive', 0],
      ['edit', 0, 'item q', 0, 0],
      ['send', 2],
    ],
  },
  {
    name: '[L4 L7] what crossed a deletion does not bring the record back, also where another device deletes it',
    steps: [
      ['edit', 0, 'a', 2, 0],
      ['edit', 0, 'delete', 2, 0],
      ['edit', 1, 'delete', 2, 0],
      ['flush', 0],
      ['receive', 1],
      ['edit', 1, 'a', 2, 0],
    ],
  },
  {
    name: '[L7] a record that its own device deleted stays so where a full sync shows it again, and it is changed',
    steps: [
      ['cut', 0],
      ['edit', 0, 'delete', 2, 0],
      ['connect', 0],
      ['receive', 0],
      ['edit', 0, 'a', 2, 0],
    ],
  },
  {
    name: '[L5 L7] what a device creates long after another deleted it is there, though the connection breaks',
    steps: [
      ['edit', 0, 'delete', 0, 0],
      ['cut', 1],
      ['agree', 0],
      ['edit', 1, 'a', 0, 0],
      ['cut', 1],
    ],
  },
  {
    name: '[L5 L7] nor though the server stops',
    steps: [
      ['edit', 1, 'delete', 0, 0],
      ['cut', 0],
      ['agree', 0],
      ['edit', 0, 'a', 0, 0],
      ['stop', 0],
    ],
  },
  {
    name: '[L1 L5 L6] what a device wrote between connecting and the full sync is not taken back by the next write',
    steps: [
      ['cut', 0],
      ['connect', 0],
      ['edit', 0, 'a', 0, 0],
      ['receive', 0],
      ['edit', 0, 'add tag', 0, 0],
    ],
  },
  {
    name: '[L1 L4 L6] nor where its app reads the full sync late',
    apps: [{ ...PLAIN, lags: true }, PLAIN],
    steps: [
      ['cut', 0],
      ['connect', 0],
      ['receive', 0],
      ['edit', 0, 'a', 0, 0],
      ['pause', 0, null, 0, 5],
      ['edit', 0, 'nested/y', 0, 0],
    ],
  },
  {
    name: '[L6 D4] what a device removes from its own list is not taken for a removal from that of another',
    steps: [
      ['edit', 0, 'a', 1, 4],
      ['edit', 1, 'a', 1, 4],
      ['edit', 1, 'drop tag', 1, 0],
    ],
  },
  {
    name: '[L4 L6] what a device added long ago, and removes as something crosses, is gone',
    steps: [
      ['edit', 0, 'add tag', 0, 7],
      ['agree', 0],
      ['edit', 1, 'a', 0, 0],
      ['edit', 0, 'a', 0, 0],
      ['flush', 1],
      ['edit', 0, 'drop tag', 0, 1],
    ],
  },
  {
    name: '[L4 L6] a full sync that shows one own write and crosses the next one does not undo that',
    steps: [
      ['edit', 0, 'b', 2, 0],
      ['sync', 0],
      ['send', 0],
      ['edit', 0, 'b', 2, 0],
      ['receive', 0],
      ['send', 0],
      ['receive', 0],
      ['edit', 0, 'a', 2, 0],
    ],
  },
  {
    name: '[L5 L6 D4] a queue that goes on from the copy of another does not take back what it created',
    steps: [
      ['edit', 1, 'a', 1, 0],
      ['edit', 0, 'a', 1, 1],
      ['send', 1],
      ['receive', 0],
      ['edit', 0, 'a', 1, 0],
      ['cut', 0],
    ],
  },
  {
    name: '[L5 L7] what a device creates long after it deleted it itself is there, though the server is killed',
    steps: [
      ['edit', 0, 'delete', 0, 0],
      ['agree', 0],
      ['kill', 0],
      ['edit', 0, 'a', 0, 0],
    ],
  },
  {
    name: '[L4 L5 L6] a removal is made, though the server takes the connection before it for alive',
    steps: [
      ['edit', 0, 'drop field', 0, 0],
      ['abandon', 0],
      ['connect', 0],
      ['wait', 0, null, 0, 0],
    ],
  },
  {
    name: '[L3 L4] a change that the socket has and the app has not read does not hide the own one',
    apps: [{ ...PLAIN, lags: true }, PLAIN],
    steps: [
      ['edit', 1, 'a', 0, 0],
      ['send', 1],
      ['receive', 0],
      ['receive', 0],
      ['edit', 0, 'a', 0, 0],
    ],
  },
  {
    name: '[L5 L7] what a device creates after a queued deletion that arrived long ago is there',
    steps: [
      ['edit', 0, 'delete', 0, 0],
      ['kill', 0],
      ['agree', 0],
      ['cut', 0],
      ['edit', 0, 'a', 0, 0],
    ],
  },
  {
    name: '[L5 L6 D4] an element that a device removes before its first full sync is gone',
    steps: [
      ['edit', 0, 'a', 1, 4],
      ['agree', 0],
      ['cut', 0],
      ['connect', 0],
      ['edit', 0, 'drop tag', 1, 0],
    ],
  },
  {
    name: '[L3 L4] what is sent once more does not undo what the device wrote meanwhile',
    steps: [
      ['edit', 1, 'a', 0, 0],
      ['send', 0],
      ['receive', 0],
      ['receive', 0],
      ['edit', 0, 'a', 0, 0],
      ['edit', 1, 'a', 1, 0],
    ],
  },
  {
    name: '[L4 L7] what waited to be sent when its device deleted the record was not seen: it creates it anew',
    steps: [
      ['edit', 1, 'a', 2, 0],
      ['edit', 1, 'a', 0, 0],
      ['edit', 0, 'a', 2, 0],
      ['flush', 1],
      ['edit', 0, 'delete', 0, 0],
      ['agree', 0],
      ['edit', 0, 'a', 0, 0],
    ],
  },
  {
    name: '[L3 L7] a full sync shows what waited: it does not count as unsent',
    apps: [
      { ...PLAIN, old: true, lags: true },
      { ...PLAIN, old: true, lags: true },
    ],
    steps: [
      ['edit', 0, 'a', 2, 0],
      ['edit', 0, 'delete', 0, 0],
      ['sync', 0],
      ['wait', 0, null, 0, 0],
      ['edit', 0, 'a', 0, 0],
    ],
  },
  {
    name: '[L3 L4] a correction of one write that crosses the next one does not undo that',
    apps: [
      { ...PLAIN, lags: true },
      { ...PLAIN, old: true, lags: true },
    ],
    steps: [
      ['edit', 1, 'a', 0, 0],
      ['edit', 1, 'a', 0, 0],
      ['flush', 1],
      ['edit', 1, 'item p', 0, 0],
    ],
  },
  {
    name: '[L4 L5] what stood alone, and was read, is not in doubt when the connection is noticed to be gone',
    steps: [
      ['edit', 1, 'delete', 0, 0],
      ['edit', 1, 'a', 0, 0],
      ['agree', 0],
      ['abandon', 0],
      ['edit', 0, 'drop field', 0, 0],
      ['release', 0],
    ],
  },
  {
    name: '[L4 L5 L6] what was read in quick succession was read: a removal from a queue long after is made',
    steps: [
      ['edit', 0, 'a', 0, 0],
      ['edit', 0, 'a', 1, 4],
      ['agree', 0],
      ['edit', 0, 'a', 0, 0],
      ['send', 0],
      ['edit', 1, 'drop tag', 1, 0],
      ['cut', 1],
    ],
  },
  {
    name: '[L3] who deletes what crosses his deletion hears that it is gone, though the history has to be read first',
    steps: [
      ['kill', 0],
      ['edit', 1, 'delete', 0, 0],
      ['edit', 0, 'a', 0, 0],
    ],
  },
  {
    name: '[L4 L6] a change that was long on its way does not undo what came just before it was made',
    apps: CONCURRENT,
    steps: lateAfter('a', 'drop item'),
  },
  {
    name: '[L4 L6] nor does it bring back a field that was removed, whatever the clock of the device',
    apps: [{ ...PLAIN, concurrent: true, skew: -3 * DAY }, CONCURRENT_APP],
    steps: lateAfter('drop field', 'b'),
  },
  {
    name: '[L4 L7] nor a record that was deleted',
    apps: CONCURRENT,
    steps: lateAfter('delete', 'b'),
  },
  {
    name: '[L4 L6] nor where it follows an own change of the record',
    apps: CONCURRENT,
    steps: [['edit', 0, 'b', 0, 0], ['flush', 0], ...lateAfter('a', 'drop item')],
  },
  {
    name: '[L5 L7] what a device creates after it read that others deleted what it wrote in a lost connection is there',
    steps: [
      ['edit', 0, 'delete', 0, 0],
      ['edit', 1, 'a', 0, 0],
      ['flush', 1],
      ['abandon', 1],
      ['agree', 0],
      ['cut', 1],
      ['edit', 1, 'a', 0, 0],
    ],
  },
  {
    name: '[L5 L7] nor is it dropped where the server had noticed that the connection was lost',
    steps: [
      ['edit', 0, 'delete', 0, 0],
      ['edit', 1, 'a', 0, 0],
      ['flush', 1],
      ['cut', 1],
      ['agree', 0],
      ['cut', 1],
      ['edit', 1, 'a', 0, 0],
    ],
  },
  {
    name: '[L4 L6] what was in doubt once, and read since, is not in doubt from there when it is once more',
    steps: [
      ['edit', 0, 'a', 0, 0],
      ['edit', 0, 'a', 1, 4],
      ['agree', 0],
      ['edit', 0, 'a', 0, 0],
      ['flush', 0],
      ['edit', 0, 'a', 1, 0],
      ['flush', 1],
      ['flush', 0],
      ['edit', 1, 'drop tag', 1, 0],
    ],
  },
  {
    name: '[L4 L6] a message that stood alone does not settle what a later one of the record left in doubt',
    apps: CONCURRENT,
    steps: [
      ['edit', 0, 'a', 1, 0],
      ['agree', 0],
      ['edit', 1, 'a', 0, 0],
      ['flush', 1],
      ['flush', 0],
      ['pause', 0, null, 0, 9],
      ['edit', 1, 'a', 0, 0],
      ['flush', 1],
      ['flush', 0],
      ['edit', 0, 'b', 1, 0],
      ['flush', 0],
      ['pause', 0, null, 0, 0.96],
      ['cut', 0],
      ['wait', 0, null, 0, 0],
      ['edit', 0, 'nested/y', 0, 0],
    ],
  },
  {
    name: '[L4 L6] what an app lost to an own change that was long on its way is in doubt',
    apps: CONCURRENT,
    steps: [
      ['edit', 1, 'a', 1, 1],
      ['flush', 1],
      ['flush', 0],
      ['edit', 0, 'a', 0, 0],
      ['pause', 0, null, 0, 3],
      ['pause', 0, null, 0, 7],
      ['edit', 0, 'a', 1, 0],
    ],
  },
  {
    name: '[L4 L6] so is all of a full sync that it lost to an own change',
    apps: CONCURRENT,
    steps: [
      ['edit', 0, 'a', 1, 0],
      ['agree', 0],
      ['cut', 0],
      ['edit', 1, 'a', 0, 0],
      ['flush', 1],
      ['connect', 0],
      ['flush', 0],
      ['edit', 0, 'b', 1, 0],
      ['flush', 0],
      ['pause', 0, null, 0, 7],
      ['pause', 0, null, 0, 7],
      ['edit', 0, 'b', 0, 0],
    ],
  },
  {
    name: '[L4 L6] once that was sent once more, what a device removes is gone',
    steps: [
      ['edit', 1, 'a', 0, 0],
      ['abandon', 0],
      ['connect', 0],
      ['edit', 0, 'add tag', 0, 0],
      ['send', 0],
      ['agree', 0],
      ['edit', 0, 'add item', 1, 1],
      ['edit', 0, 'drop tag', 0, 4],
    ],
  },
  {
    name: '[L5 L6] a copy made anew by a connection that the kill of the server ended does not take back a queue',
    steps: [
      ['edit', 1, 'a', 0, 0],
      ['away', 0, null, 0, 0],
      ['abandon', 0],
      ['edit', 0, 'add item', 0, 0],
      ['connect', 0],
      ['receive', 0],
      ['kill', 0],
      ['edit', 0, 'a', 0, 0],
    ],
  },
];

test.for(cases)('$name', async ({ apps = [PLAIN, PLAIN], steps, gone }) => {
  const world = await run(apps, steps.map(stepOf));
  const r1 = (await world.records()).get('r1');
  if (gone !== undefined && r1 !== undefined) expect([...leavesOf(r1).keys()]).not.toContain(gone);
});

test('[L7] what a device creates at once after it deleted it, as it connects, is there at its second try', async () => {
  const told: Told[] = [
    ['cut', 0],
    ['connect', 0],
    ['flush', 0],
    ['edit', 0, 'delete', 0, 0],
    ['edit', 0, 'a', 0, 0],
    ['agree', 0],
  ];
  const dropped = await run(CONCURRENT, told.map(stepOf));
  expect(
    (await dropped.records()).has('r1'),
    'its app may have changed what the full sync showed again',
  ).toBe(false);
  const again: Told[] = [...told, ['edit', 0, 'a', 0, 0]];
  expect((await (await run(CONCURRENT, again.map(stepOf))).records()).has('r1')).toBe(true);
});

for (const second of ['nested/y', 'b', 'add tag'] as const) {
  test(`[L4 L6] what a device wrote while its app had not read a full sync that it asked for is not taken back by: ${second}`, async () => {
    for (const old of [true, false]) {
      const app = { ...PLAIN, old, lags: true };
      const told: Told[] = [
        ['sync', 0],
        ['send', 0],
        ['receive', 0],
        ['receive', 0],
        ['edit', 0, 'a', 0, 0],
        ['read', 0],
        ['edit', 0, second, 0, 0],
      ];
      await run([app, app], told.map(stepOf));
    }
  });
}

test('[L4 L6] nor where the first of the two writes had arrived before the app read the full sync', async () => {
  const app = { ...PLAIN, lags: true };
  const told: Told[] = [
    ['sync', 0],
    ['send', 0],
    ['receive', 0],
    ['receive', 0],
    ['send', 0],
    ['edit', 0, 'a', 0, 0],
    ['send', 0],
    ['pause', 0, null, 0, 1],
    ['read', 0],
    ['edit', 0, 'b', 0, 0],
  ];
  await run([app, app], told.map(stepOf));
});

for (const kind of ['drop tag', 'drop item', 'drop field', 'delete'] as const) {
  for (const skew of [0, -3 * DAY, 40_000]) {
    test(`[L5 L6] a queue tells when it was made after a kill: ${kind}, clock ${skew} ms ahead`, async () => {
      // An app removes fields that it once sent: the first one has created the record.
      const device = kind === 'drop field' ? 0 : 1;
      const told: Told[] = [
        ['kill', 0],
        ['agree', 0],
        ['cut', device],
        ['edit', device, kind, 0, 0],
      ];
      const app = { ...PLAIN, skew };
      const world = await run([app, app], told.map(stepOf));
      const r1 = (await world.records()).get('r1');
      const left = [...leavesOf(r1 ?? { id: 'r1' as never }).keys()];
      const gone = { 'drop tag': 'tags/', 'drop item': 'items/', 'drop field': 'a', delete: '' }[kind];
      expect(left.filter((path) => path.startsWith(gone))).toEqual([]);
    });
  }
}

test('[L5 L7] told of a deletion just before the server was killed, a device creates the record at its second try', async () => {
  const told: Told[] = [
    ['edit', 1, 'delete', 0, 0],
    ['agree', 0],
    ['kill', 0],
    ['edit', 0, 'a', 0, 0],
    ['agree', 0],
  ];
  const [app] = [PLAIN, PLAIN];
  const dropped = await run([app, app], told.map(stepOf));
  expect((await dropped.records()).has('r1'), 'it is not known that the device was told').toBe(false);
  const again: Told[] = [...told, ['edit', 0, 'a', 0, 0]];
  expect((await (await run([app, app], again.map(stepOf))).records()).has('r1')).toBe(true);
});
