/** Which address a request comes from, also through proxies that are trusted. */
import type { IncomingMessage } from 'node:http';
import { BlockList, isIP, isIPv6 } from 'node:net';

/** Tells whether a proxy is trusted: by its address, and by how many stand behind it, from 0. */
export type Trust = (address: string, hop: number) => boolean;

const MAX_HOPS = 100;
const trustNobody: Trust = () => false;

/** 'loopback', '10.0.0.0/8', '::1' … or a number of proxies. */
export function parseTrust(raw: string): Trust | undefined {
  if (/^\d+$/.test(raw)) {
    const hops = Number(raw);
    if (hops === 0) return trustNobody;
    return hops <= MAX_HOPS ? (_, hop) => hop < hops : undefined;
  }
  const trusted = new BlockList();
  const isValid = raw.split(',').every((part) => add(trusted, part.trim()));
  return isValid ? (address) => trusted.check(address, familyOf(address)) : undefined;
}

function add(list: BlockList, network: string): boolean {
  const [, address = '', bits] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(network) ?? [];
  const length = isIPv6(address) ? 128 : 32;
  if (isIP(address) === 0 || Number(bits ?? 0) > length) return false;
  if (bits === undefined) list.addAddress(address, familyOf(address));
  else list.addSubnet(address, Number(bits), familyOf(address));
  return true;
}

const familyOf = (address: string): 'ipv4' | 'ipv6' => (isIPv6(address) ? 'ipv6' : 'ipv4');

/** An IPv4 address that came in over IPv6 is written as what it is. */
const plain = (address: string): string => address.trim().replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '');

/** The last address on the way that no trusted proxy vouches for. A header of anybody else is not believed. */
export function clientAddress(request: IncomingMessage, trust: Trust): string {
  let address = plain(request.socket.remoteAddress ?? '');
  const told = forwardedFor(request).reverse();
  for (const [hop, next] of told.entries()) {
    if (!trust(address, hop) || isIP(next) === 0) break;
    address = next;
  }
  return address;
}

function forwardedFor({ headers }: IncomingMessage): string[] {
  const header = headers['x-forwarded-for'];
  const text = Array.isArray(header) ? header.join(',') : (header ?? '');
  return text === '' ? [] : text.split(',').map(plain);
}

/** Whether a proxy said for whom it asks, and is not trusted. */
export const isUntrustedProxy = (request: IncomingMessage, trust: Trust): boolean =>
  request.headers['x-forwarded-for'] !== undefined && !trust(plain(request.socket.remoteAddress ?? ''), 0);

/** What is counted as one: of IPv6 a /64 network, which is the least that a subscriber gets. */
export function networkOf(address: string): string {
  if (!address.includes(':') || !isIPv6(address)) return address; // the second takes long, and is asked often
  const [head = '', tail] = address.split('%')[0]?.split('::') ?? [];
  const groups = head === '' ? [] : head.split(':');
  const rest = tail === undefined || tail === '' ? 0 : tail.split(':').length;
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - groups.length - rest);
  const all = [...groups, ...Array<string>(zeros).fill('0'), ...(tail ? tail.split(':') : [])];
  return `${all
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`;
}
