import type { ConnectionOptions } from './connection-types.js';

type Address = Pick<ConnectionOptions, 'serverUrl' | 'userId' | 'deviceId'>;

/** The native endpoint of the user; a token can go nowhere else with the WebSocket of a browser (A3). */
export function socketUrl({ serverUrl, userId, deviceId }: Address, token: string | null): string {
  const base = trimmed(serverUrl).replace(/^http/i, 'ws');
  const access = token === null ? '' : `&token=${encodeURIComponent(token)}`;
  return `${base}/yjs/${encodeURIComponent(userId)}?deviceId=${encodeURIComponent(deviceId)}${access}`;
}

/** Where to exchange over HTTP (H3). */
export const exchangeUrl = ({ serverUrl, userId }: Address): string =>
  `${trimmed(serverUrl)}/api/yjs/${encodeURIComponent(userId)}`;

/** A device id as a header can have it; one of plain signs stays as it is, which is all that older servers take. */
export const inHeader = (deviceId: string): string =>
  deviceId.replace(/^ | $|(?:[\ud800-\udbff][\udc00-\udfff]|[^\x20-\x7e])/g, encodeURIComponent);

const trimmed = (url: string): string => url.replace(/\/+$/, '');
