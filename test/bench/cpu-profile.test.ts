import type { Profiler } from 'node:inspector';
import { expect, test } from 'vitest';
import { functionTimes } from '../../bench/support/cpu-profile.js';

const node = (id: number, functionName: string, url: string, children: number[]): Profiler.ProfileNode => ({
  id,
  callFrame: { functionName, url, scriptId: '0', lineNumber: 0, columnNumber: 0 },
  children,
});

const ROOT = '/home/somebody/sync';
const PLAN = `file://${ROOT}/packages/server/dist/server/store/level/plan.js`;

/** Samples of these nodes, 10 µs each. */
const profileOf = (samples: number[]): Profiler.Profile => ({
  nodes: [
    node(1, '(root)', '', [2, 3, 7]),
    node(2, '(idle)', '', []),
    node(3, 'planCommit', PLAN, [4, 5]),
    node(4, 'Buffer.from', 'node:buffer', [6]),
    node(5, 'planCommit', PLAN, []),
    node(6, 'utf8Write', '', []),
    node(7, 'applyUpdate', `file://${ROOT}/node_modules/yjs/dist/yjs.mjs`, []),
  ],
  samples,
  timeDeltas: samples.map(() => 10),
  startTime: 0,
  endTime: samples.length * 10,
});

test('time alone and with what is called are shares of the time that was not idle', () => {
  const times = functionTimes(profileOf([2, 2, 2, 2, 3, 6, 4, 7]));
  const plan = times.find(({ name }) => name === 'planCommit');
  expect(plan).toEqual({ name: 'planCommit', part: 'server/store/level/plan.ts', self: 0.25, total: 0.75 });
  expect(times.find(({ name }) => name === '(idle)')).toBeUndefined();
});

test('a function that calls itself counts once', () => {
  const times = functionTimes(profileOf([5, 5, 7, 7]));
  expect(times.find(({ name }) => name === 'planCommit')).toMatchObject({ self: 0.5, total: 0.5 });
});

test('what is built in counts where the code is that called it; a package by its name', () => {
  const times = functionTimes(profileOf([6, 7]));
  expect(times.find(({ name }) => name.startsWith('utf8Write'))?.part).toBe('node');
  expect(times.find(({ name }) => name === 'applyUpdate')?.part).toBe('yjs');
});

test('source files have the same name built or not', () => {
  const built = functionTimes(profileOf([3]));
  const source = profileOf([3]);
  const [, , plan] = source.nodes;
  if (plan !== undefined) plan.callFrame.url = `file://${ROOT}/server/store/level/plan.ts`;
  expect(functionTimes(source)).toEqual(built);
});
