/**
 * What a device is left with where the correction of its write did not reach it: whatever it changes on that copy
 * offline, what others had changed stays (L3–L6).
 */
import { test } from 'vitest';
import { PLAIN, run, stepOf, type Told } from './support/legacy-steps.js';

/** Each change is sent once. */
const APPS = [
  { ...PLAIN, acks: false },
  { ...PLAIN, acks: false },
];

/** 2.8 s, in which nothing arrives. */
const UNHEARD: Told[] = [
  ['pause', 0, null, 0, 7],
  ['pause', 0, null, 0, 7],
];

/** B changes two records; A's socket does not answer for the first, so the second waits. A changes that one, too. */
const WAITING: Told[] = [
  ['edit', 1, 'a', 2, 0],
  ['flush', 1],
  ['edit', 1, 'a', 0, 0],
  ['flush', 1],
  ['edit', 0, 'nested/x', 0, 0],
  ['send', 0],
];

const OFFLINE: Told[] = [
  ['cut', 0],
  ['edit', 0, 'nested/x', 0, 0],
];

test.each<[string, Told[]]>([
  ['waits until the connection is lost', [...WAITING, ...UNHEARD, ...OFFLINE]],
  [
    'waits until a newer connection begins, which is lost, too',
    [...WAITING, ...UNHEARD, ['abandon', 0], ['connect', 0], ...OFFLINE],
  ],
  [
    'waits for the disk until the connection is lost',
    [
      ['edit', 1, 'a', 0, 0],
      ['flush', 1],
      ['hold', 0],
      ['edit', 0, 'nested/x', 0, 0],
      ['send', 0],
      ...UNHEARD,
      ...OFFLINE,
      ['release', 0],
    ],
  ],
  [
    'was held back as the write met a full sync',
    [
      ['sync', 0],
      ['send', 0],
      ['edit', 0, 'nested/x', 0, 0],
      ['send', 0],
      ['receive', 0],
      ...UNHEARD,
      ['cut', 0],
      ['edit', 0, 'b', 0, 0],
    ],
  ],
])('[L3 L4 L6] a correction that %s', async (_, steps) => {
  await run(APPS, steps.map(stepOf));
});

/** Over a newer connection, with a correction that does not arrive; then the older one ends, and the server is killed. */
const REPLACED: Told[] = [
  ['edit', 0, 'nested/x', 0, 0],
  ['flush', 0],
  ['pause', 0, null, 0, 7],
  ['pause', 0, null, 0, 7],
  ['abandon', 0],
  ['connect', 0],
  ['flush', 0],
  ['pause', 0, null, 0, 7],
  // Something of another record is under way to both, so that the next message waits for the older one alone.
  ['edit', 1, 'b', 2, 0],
  ['flush', 1],
  ['flush', 0],
  ['edit', 1, 'a', 0, 0],
  ['flush', 1],
  ['edit', 0, 'nested/x', 0, 0],
  ['send', 0],
];

test.each<[string, Told[]]>([
  ['ends', [...REPLACED, ['notice', 0]]],
  ['is there still', REPLACED],
])(
  '[L4 L5 L6] nor where the server is killed as a connection that a newer one has replaced %s',
  async (_, steps) => {
    // What is known of the device is saved with what it writes next of another record.
    const saved: Told[] = [
      ['edit', 1, 'a', 2, 0],
      ['flush', 1],
      ['edit', 0, 'nested/x', 2, 0],
      ['send', 0],
    ];
    const offline: Told[] = [
      ['kill', 0],
      ['wait', 0, null, 0, 7],
      ['edit', 0, 'nested/x', 0, 0],
    ];
    await run(APPS, [...steps, ...saved, ...offline].map(stepOf));
  },
);
