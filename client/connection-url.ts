import type { ConnectionOptions } from './connection-types.js';

type Address = Pick<ConnectionOptions, 'serverUrl' | 'userId' | 'deviceId'>;

/**
 * The native endpoint of the user, with the wish to send times (N9), which other servers pass over. A token can go
 * nowhere else with the WebSocket of a browser (A3).
 */
export function socketUrl({ serverUrl, userId, deviceId }: Address, token: string | null): string {
  const base = trimmed(serverUrl).replace(/^http/i, 'ws');
  const access = token === null ? '' : `&token=${encodeURIComponent(token)}`;
  return `${base}/yjs/${encodeURIComponent(userId)}?deviceId=${encodeURIComponent(deviceId)}&times=1${access}`;
}

/** Where to exchange over HTTP (H3). */
export const exchangeUrl = ({ serverUrl, userId }: Address): string =>
  `${trimmed(serverUrl)}/api/yjs/${encodeURIComponent(userId)}`;

const trimmed = (url: string): string => url.replace(/\/+$/, '');
