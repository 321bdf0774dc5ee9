import type { IncomingMessage } from 'node:http';
import { describe, expect, test } from 'vitest';
import {
  clientAddress,
  isUntrustedProxy,
  networkOf,
  parseTrust,
  type Trust,
} from '../../../server/net/client-address.js';

function from(remoteAddress: string, forwarded?: string): IncomingMessage {
  const headers = forwarded === undefined ? {} : { 'x-forwarded-for': forwarded };
  return { socket: { remoteAddress }, headers } as unknown as IncomingMessage;
}

function trust(raw: string): Trust {
  const parsed = parseTrust(raw);
  if (parsed === undefined) throw new Error(`${raw} is not allowed`);
  return parsed;
}

describe('[S4 N8] TRUST_PROXY', () => {
  test.each([
    ['0', '10.0.0.1', '1.1.1.1', '10.0.0.1'],
    ['1', '10.0.0.1', undefined, '10.0.0.1'],
    ['1', '10.0.0.1', '1.1.1.1', '1.1.1.1'],
    ['1', '10.0.0.1', '9.9.9.9, 1.1.1.1', '1.1.1.1'],
    ['2', '10.0.0.1', '9.9.9.9, 1.1.1.1,10.0.0.2', '1.1.1.1'],
    ['2', '10.0.0.1', '1.1.1.1', '1.1.1.1'],
    ['10.0.0.0/8', '10.0.0.1', '9.9.9.9, 1.1.1.1, 10.2.3.4', '1.1.1.1'],
    ['10.0.0.0/8', '11.0.0.1', '1.1.1.1', '11.0.0.1'],
    ['10.0.0.1', '10.0.0.2', '1.1.1.1', '10.0.0.2'],
    ['127.0.0.1, ::1', '::1', '1.1.1.1', '1.1.1.1'],
    ['10.0.0.0/8', '::ffff:10.0.0.1', '::ffff:1.1.1.1', '1.1.1.1'],
    ['fd00::/8', 'fd12::1', '2001:db8::7', '2001:db8::7'],
    ['1', '10.0.0.1', 'not an address', '10.0.0.1'],
    ['1', '10.0.0.1', '', '10.0.0.1'],
  ])('%s: a connection from %s that says %j is from %s', (raw, remote, forwarded, address) => {
    expect(clientAddress(from(remote, forwarded), trust(raw))).toBe(address);
  });

  test.each(['yes', '10.0.0.0/33', 'fd00::/129', '10.0.0', '-1', '101', '127.0.0.1,', 'localhost'])(
    '%j is not allowed',
    (raw) => expect(parseTrust(raw)).toBeUndefined(),
  );

  test('a proxy that is not trusted is told from one that is, and from nobody', () => {
    expect(isUntrustedProxy(from('10.0.0.1', '1.1.1.1'), trust('0'))).toBe(true);
    expect(isUntrustedProxy(from('10.0.0.1', '1.1.1.1'), trust('1'))).toBe(false);
    expect(isUntrustedProxy(from('10.0.0.1'), trust('0'))).toBe(false);
  });
});

test.each([
  ['1.2.3.4', '1.2.3.4'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:db8:1:2::9', '2001:db8:1:2::/64'],
  ['2001:0db8::1', '2001:db8:0:0::/64'],
  ['::1', '0:0:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['', ''],
])('[S4] %s counts as %s', (address, network) => {
  expect(networkOf(address)).toBe(network);
});
