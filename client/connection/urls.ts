import type { ConnectionOptions } from './types.js';

type Address = Pick<ConnectionOptions, 'serverUrl' | 'userId' | 'deviceId' | 'appVersion'> &
  Partial<Pick<ConnectionOptions, 'source'>>;

/** Where, and with what, a socket is opened. */
export interface SocketAddress {
  readonly url: string;
  readonly protocols?: readonly string[];
}

/** What a subprotocol may be (RFC 6455); every JSON Web Token is. */
const IS_PROTOCOL = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/;
const BEARER = 'bearer';

/**
 * The native endpoint of the user, with the wish to send times (N9), the word that it takes documents that were
 * written anew (P10), and what the server is to repeat (C10), which other servers pass over. A token goes as a subprotocol, which is a header: addresses are written into logs on the
 * way, and may be no longer than 8 KB. One that can't be one stands in the address.
 */
export function socketAddress(
  { serverUrl, userId, deviceId, appVersion, source }: Address,
  token: string | null,
  challenge: string,
): SocketAddress {
  const base = trimmed(serverUrl).replace(/^http/i, 'ws');
  const wishes = `deviceId=${encodeURIComponent(deviceId)}&times=1&${rewrites(source)}&challenge=${challenge}${appIn(appVersion)}`;
  const url = `${base}/yjs/${encodeURIComponent(userId)}?${wishes}`;
  if (token === null) return { url };
  if (IS_PROTOCOL.test(token) && token !== BEARER) return { url, protocols: [BEARER, token] };
  return { url: `${url}&token=${encodeURIComponent(token)}` };
}

/** Where to exchange over HTTP (H3). */
export const exchangeUrl = ({ serverUrl, userId, appVersion, source }: Address): string =>
  `${trimmed(serverUrl)}/api/yjs/${encodeURIComponent(userId)}?${rewrites(source)}${appIn(appVersion)}`;

/** That it takes documents which were written anew, and where it does so now, that it wants to know what had arrived. */
const rewrites = (source: Address['source']): string => `rewrites=1${source?.asksForEpoch ? '&epoch=1' : ''}`;

const appIn = (version: string | undefined): string => (version ? `&app=${encodeURIComponent(version)}` : '');

/** A device id as a header can have it; one of plain signs stays as it is, which is all that older servers take. */
export const inHeader = (deviceId: string): string =>
  deviceId.replace(/^ | $|(?:[\ud800-\udbff][\udc00-\udfff]|[^\x20-\x7e])/g, encodeURIComponent);

const trimmed = (url: string): string => url.replace(/\/+$/, '');
