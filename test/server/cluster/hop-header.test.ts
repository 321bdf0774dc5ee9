import { describe, expect, test } from 'vitest';
import { clientOfHop, type Hop, hopHeader } from '../../../server/cluster/hop-header.js';

const SECRET = 'a secret that all nodes share, of 32 or more characters';
const NOW = 1_700_000_000_000;
const HOP: Hop = {
  method: 'GET',
  url: '/yjs/anna?token=abc',
  address: '10.0.0.9',
  node: '10.0.0.2:3101',
  time: NOW,
};

const check = (
  header: string | string[] | undefined,
  { now = NOW, ...asked }: Partial<Hop & { now: number }> = {},
) => clientOfHop(SECRET, header, { ...HOP, ...asked }, now);

describe('the header of a hop', () => {
  test.each(['10.0.0.9', '2001:db8::7', 'fe80::1%eth0', '::ffff:1.2.3.4'])(
    '[A2] tells the address of the client: %s',
    (address) => {
      expect(check(hopHeader(SECRET, { ...HOP, address }))).toBe(address);
    },
  );

  test('[A2] nobody makes one without the secret', () => {
    expect(check(hopHeader(`${SECRET}.`, HOP))).toBeNull();
  });

  test.each<[keyof Hop, Partial<Hop>]>([
    ['method', { method: 'DELETE' }],
    ['url', { url: '/yjs/bert?token=abc' }],
    ['url', { url: '/yjs/anna?token=abd' }],
    ['node', { node: '10.0.0.3:3101' }],
  ])('[A2] is good for one %s: not for %j', (_, asked) => {
    expect(check(hopHeader(SECRET, HOP), asked)).toBeNull();
  });

  test('[A2] no part of it can be changed', () => {
    const [version, time, ...rest] = hopHeader(SECRET, HOP).split('.');
    const seal = rest.pop() ?? '';
    const made = (at: unknown, address: string, sealed = seal) => `${version}.${at}.${address}.${sealed}`;
    expect(check(made(time, '10.0.0.9'))).toBe('10.0.0.9');
    expect(check(made(Number(time) + 1, '10.0.0.9'))).toBeNull();
    expect(check(made(time, '10.0.0.8'))).toBeNull();
    expect(check(made(time, '10.0.0.9', `${seal.slice(0, -1)}${seal.endsWith('A') ? 'E' : 'A'}`))).toBeNull();
  });

  test('[A2] is good for a minute, by either clock', () => {
    const header = hopHeader(SECRET, HOP);
    for (const now of [NOW - 60_000, NOW + 60_000]) expect(check(header, { now })).toBe('10.0.0.9');
    for (const now of [NOW - 60_001, NOW + 60_001]) expect(check(header, { now })).toBeNull();
  });

  test.each([
    ['none', undefined],
    ['an empty one', ''],
    ['two of them', [hopHeader(SECRET, HOP), hopHeader(SECRET, HOP)]],
    ['two in one', `${hopHeader(SECRET, HOP)}, ${hopHeader(SECRET, HOP)}`],
    ['another version', hopHeader(SECRET, HOP).replace('v1', 'v2')],
    ['one of no address', hopHeader(SECRET, { ...HOP, address: '1.2.3' })],
    ['one that is cut', hopHeader(SECRET, HOP).slice(0, -1)],
    ['one of a time that is none', hopHeader(SECRET, { ...HOP, time: Number.NaN })],
  ])('[A2] %s is not good', (_, header) => {
    expect(check(header)).toBeNull();
  });
});
