/** The header by which a node knows that a request comes from another node, and whom that one serves with it. */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { isIP } from 'node:net';

export const HOP_HEADER = 'X-Sync-Hop';
const VERSION = 'v1';
/** How far the clocks of two nodes may be apart, and how long a header that was read by others is good for, in ms. */
const TOLERANCE = 60_000;
/** IPv6 may name a zone. */
const FORM = /^v1\.(\d{1,15})\.([0-9a-f:.]+(?:%[\w.-]+)?)\.([\w-]{43})$/i;

/** What the header vouches for. */
export interface Hop {
  readonly method: string;
  /** The address that is asked for, with its query. */
  readonly url: string;
  /** Of the client. */
  readonly address: string;
  /** Whom it is meant for: the `CLUSTER_ADDRESS` of that node. */
  readonly node: string;
  /** Milliseconds since 1970. */
  readonly time: number;
}

/** What the header of a hop says; only who has `CLUSTER_SECRET` can make it. */
export function hopHeader(secret: string, hop: Hop): string {
  return `${VERSION}.${hop.time}.${hop.address}.${seal(secret, hop)}`;
}

/** The address of the client that a good header names; `null` for one that is not good, or is none. */
export function clientOfHop(
  secret: string,
  header: string | readonly string[] | undefined,
  asked: Pick<Hop, 'method' | 'url' | 'node'>,
  now: number,
): string | null {
  const [, stamp = '', address = '', given = ''] =
    typeof header === 'string' ? (FORM.exec(header) ?? []) : [];
  const time = Number(stamp);
  if (given === '' || isIP(address) === 0 || Math.abs(now - time) > TOLERANCE) return null;
  const expected = seal(secret, { ...asked, address, time });
  return timingSafeEqual(Buffer.from(given), Buffer.from(expected)) ? address : null;
}

/** No part can hold a line end, so none can pass for another. */
function seal(secret: string, { method, url, address, node, time }: Hop): string {
  const parts = [VERSION, method, url, address, node, time];
  return createHmac('sha256', secret).update(parts.join('\n')).digest('base64url');
}
