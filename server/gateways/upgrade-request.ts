/** What a WebSocket upgrade asks for: which protocol, which user, which device. */
import type { IncomingMessage } from 'node:http';
import { type ErrorCode, SyncError } from '../../shared/errors.js';
import { type DeviceId, isDeviceId, isUserId, type UserId } from '../../shared/names.js';

export type Via = 'yjs' | 'json';

/** Who asks to come in. */
export interface UpgradeRequest {
  readonly via: Via;
  readonly user: UserId | null;
  /** `null` for a native device that did not name itself. */
  readonly device: DeviceId | null;
  /** What is wrong with the user or device as given. */
  readonly problem: ErrorCode | null;
  readonly address: string;
  /** A native client that can say when its changes were made (N9). */
  readonly asksForTimes: boolean;
  /** As it was asked for. */
  readonly url: string;
}

const NATIVE_PATH = /^\/yjs\/([^/]+)$/;

/** `null` for an address where there is no WebSocket. */
export function readRequest(request: IncomingMessage, address: string): UpgradeRequest | null {
  const url = parseUrl(request.url ?? '');
  if (url === null) return null;
  const native = NATIVE_PATH.exec(url.pathname);
  if (native === null && url.pathname !== '/sync') return null;
  const via: Via = native === null ? 'json' : 'yjs';
  const userParam = native === null ? url.searchParams.get('userId') : decode(native[1] ?? '');
  const deviceParam = url.searchParams.get('deviceId');
  return {
    via,
    user: isUserId(userParam) ? userParam : null,
    device: isDeviceId(deviceParam) ? deviceParam : null,
    problem: problemWith(via, userParam, deviceParam),
    address,
    asksForTimes: url.searchParams.has('times'),
    url: request.url ?? '',
  };
}

/** Whose document is asked for; throws what is wrong with the names. */
export function userIn({ user, problem }: UpgradeRequest): UserId {
  if (user === null || problem !== null) throw new SyncError(problem ?? 'INVALID_IDENTITY');
  return user;
}

function problemWith(via: Via, user: string | null, device: string | null): ErrorCode | null {
  if (via === 'json' && (!user || !device)) return 'MISSING_IDENTITY';
  const isValid = isUserId(user) && (isDeviceId(device) || (via === 'yjs' && !device));
  return isValid ? null : 'INVALID_IDENTITY';
}

function parseUrl(path: string): URL | null {
  if (!/^\/(?!\/)/.test(path)) return null; // it would name another host
  try {
    return new URL(path, 'http://server');
  } catch {
    return null;
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}

/** Whom offences are counted for (N8). */
export const offenderOf = ({ user, device, address }: UpgradeRequest): string =>
  JSON.stringify([user, device, address]);
