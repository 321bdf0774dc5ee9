/** What a WebSocket upgrade asks for: which protocol, which user, which device. */
import type { IncomingMessage } from 'node:http';
import { type DeviceId, isDeviceId, isUserId, SHARED_DOCUMENT, type UserId } from '../../../shared/names.js';
import { SyncError } from '../../errors.js';
import {
  appIn,
  asksForEpochIn,
  challengeIn,
  decoded,
  invalidDevice,
  invalidUser,
  parameterOf,
  takesRewritesIn,
} from '../guard/request-names.js';

export type Via = 'yjs' | 'json';

/** What an upgrade asks for, as its URL and headers say. */
export interface UpgradeRequest {
  readonly via: Via;
  readonly user: UserId | null;
  /** `null` for a native device that did not name itself. */
  readonly device: DeviceId | null;
  /** What is wrong with the user or device as given. */
  readonly problem: SyncError | null;
  readonly address: string;
  /** A native client that can say when its changes were made (N9). */
  readonly asksForTimes: boolean;
  /** A native client that fetches a document anew that was rewritten (P10). */
  readonly takesRewrites: boolean;
  /** It does so now. */
  readonly asksForEpoch: boolean;
  /** What a native client wants to hear again, to know whom it speaks to (C10). */
  readonly challenge: string | null;
  /** The version of the app that asks, where it tells. */
  readonly app: string | null;
}

const NATIVE_PATH = /^\/yjs\/([^/]+)$/;

/** `null` for an address where there is no WebSocket. */
export function readRequest(request: IncomingMessage, address: string): UpgradeRequest | null {
  const { url = '' } = request;
  const [path = ''] = url.split('?', 1);
  const native = NATIVE_PATH.exec(path);
  if (native === null && path !== '/sync') return null;
  const via: Via = native === null ? 'json' : 'yjs';
  const user = native === null ? parameterOf(url, 'userId', 'is a plus') : decoded(native[1] ?? '');
  const device = parameterOf(url, 'deviceId', 'is a space');
  return {
    via,
    user: isDocument(via, user) ? user : null,
    device: isDeviceId(device) ? device : null,
    problem: problemWith(via, user, device),
    address,
    asksForTimes: parameterOf(url, 'times', 'is a plus') !== null,
    takesRewrites: via === 'yjs' && takesRewritesIn(url),
    asksForEpoch: asksForEpochIn(url),
    challenge: via === 'yjs' ? challengeIn(parameterOf(url, 'challenge', 'is a plus')) : null,
    app: appIn(url),
  };
}

/** Whose document is asked for; throws what is wrong with the names. */
export function userIn({ user, problem }: UpgradeRequest): UserId {
  if (user === null || problem !== null) throw problem ?? new SyncError('INVALID_IDENTITY');
  return user;
}

/** A JSON device gets the shared collections with those of its user. */
const isDocument = (via: Via, name: string | null): name is UserId =>
  isUserId(name) || (via === 'yjs' && name === SHARED_DOCUMENT);

function problemWith(via: Via, user: string | null, device: string | null): SyncError | null {
  if (via === 'json' && (!user || !device)) return new SyncError('MISSING_IDENTITY');
  if (!isDocument(via, user)) return invalidUser(user ?? '');
  return isDeviceId(device) || !device ? null : invalidDevice(device);
}

/** Whom offences are counted for (N8). */
export const offenderOf = ({ user, device, address }: UpgradeRequest): string =>
  JSON.stringify([user, device, address]);
