/** Users and devices as requests name them: each way in writes what is not plain ASCII in a way of its own (D6). */

import { type DeviceId, deviceIdProblem, isDeviceId, userIdProblem } from '../../../shared/names.js';
import type { Unsent } from '../../documents/seen-devices.js';
import { SyncError } from '../../errors.js';

/** What is behind the percent signs; '' where that is no text. */
export function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}

/**
 * A parameter of a query. Many put ids into addresses as they are, and `+` is a sign of mail addresses: it stands
 * for a space only where there may be one.
 */
export function parameterOf(url: string, name: string, plus: 'is a plus' | 'is a space'): string | null {
  const found = pairOf(url, name);
  if (found === null) return null;
  return decoded(plus === 'is a space' ? found.replaceAll('+', ' ') : found);
}

/** What stands behind `name=`. Each upgrade asks for several: the query is not taken apart for that. */
function pairOf(url: string, name: string): string | null {
  for (let before = url.indexOf('?'); before >= 0; before = url.indexOf('&', before + 1)) {
    const equals = before + 1 + name.length;
    if (url[equals] !== '=' || !url.startsWith(name, before + 1)) continue;
    const end = url.indexOf('&', equals);
    return url.slice(equals + 1, end < 0 ? url.length : end);
  }
  return null;
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** A device in a header, which is bytes: with percent signs, which no id has, as UTF-8, or as Latin-1. */
export function deviceInHeader(header: string | undefined): DeviceId | null {
  if (header === undefined || header === '') return null;
  const device = header.includes('%') ? decoded(header) : textOf(Buffer.from(header, 'latin1'), header);
  if (!isDeviceId(device)) throw invalidDevice(device);
  return device;
}

function textOf(bytes: Uint8Array, latin1: string): string {
  try {
    return utf8.decode(bytes);
  } catch {
    return latin1;
  }
}

export const invalidUser = (user: string): SyncError =>
  new SyncError('INVALID_IDENTITY', `The userId ${userIdProblem(user)}.`);
export const invalidDevice = (device: string): SyncError =>
  new SyncError('INVALID_IDENTITY', `The deviceId ${deviceIdProblem(device)}.`);

const CHALLENGE = /^[\w-]{1,64}$/;

/** What a client wants to hear again, where it is worth repeating (C10). */
export const challengeIn = (text: string | null | undefined): string | null =>
  typeof text === 'string' && CHALLENGE.test(text) ? text : null;

const APP = /^[\x20-\x7e]{1,64}$/;

/** The version that an app says it has. */
export function appIn(url: string): string | null {
  const app = parameterOf(url, 'app', 'is a plus');
  return app !== null && APP.test(app) ? app : null;
}

const COUNT = /^\d{1,9}$/;
const AGE = /^\d{1,14}$/;

/** What a device says that it has not sent once this is answered: `unsent`, and how long the oldest waits, `age`. */
export function unsentIn(url: string, toldAt: number): Unsent | null {
  const count = parameterOf(url, 'unsent', 'is a plus');
  if (count === null || !COUNT.test(count)) return null;
  const age = parameterOf(url, 'age', 'is a plus') ?? '';
  const since = Number(count) > 0 ? toldAt - (AGE.test(age) ? Number(age) : 0) : null;
  return { count: Number(count), since, toldAt, until: toldAt };
}

/** Whether a native client fetches a document anew that was rewritten; y-websocket does not (P10). */
export const takesRewritesIn = (url: string): boolean => parameterOf(url, 'rewrites', 'is a plus') === '1';

/** Whether it fetches such a document, and wants to know what had arrived before. */
export const asksForEpochIn = (url: string): boolean => parameterOf(url, 'epoch', 'is a plus') === '1';
