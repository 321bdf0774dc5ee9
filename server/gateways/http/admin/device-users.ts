/** The users whom one device was there for. A device is a row of each of its users, so the rows are gone through. */
import type { Request, Response } from 'express';
import { z } from 'zod';
import {
  type DeviceId,
  isDeviceId,
  isUserId,
  SHARED_DOCUMENT,
  type UserId,
} from '../../../../shared/names.js';
import type { ConnectedDevice } from '../../../documents/seen-devices.js';
import { invalidDevice } from '../../guard/request-names.js';
import { sendJson } from '../compression.js';
import { read } from '../request.js';
import { shownAll } from './devices.js';
import type { AdminOptions } from './options.js';
import { revisionOf } from './users.js';

/** Users that one answer looks at: who looks for more, asks for the next page. */
const LOOKED_AT = 2_000;
/** Those whose rows are read before others have their turn. */
const AT_ONCE = 100;

const querySchema = z.object({ after: z.string().refine(isUserId, 'is no user').nullable().default(null) });

export function deviceOf({ params: { deviceId } }: Request): DeviceId {
  if (!isDeviceId(deviceId)) throw invalidDevice(String(deviceId));
  return deviceId;
}

/** A user without a stored document is known only while connected: the first page begins with those who are. */
export async function sendUsersOf(
  options: AdminOptions,
  request: Request,
  response: Response,
): Promise<void> {
  const { operator, now } = options;
  const device = deviceOf(request);
  const { after } = read(querySchema, request.query);
  const connected = operator.connectedAs(device);
  const first = after === null ? [...connected.keys()].filter((user) => user !== SHARED_DOCUMENT) : [];
  const { looked, next } = await someUsers(options, after);
  const users = new Set([...first, ...looked]);
  const found = [];
  const all = [...users];
  for (let from = 0; from < all.length; from += AT_ONCE) {
    const some = all.slice(from, from + AT_ONCE);
    const each = some.map((user) =>
      visitsOf(options, { user, device, connected: connected.get(user) ?? [] }),
    );
    found.push(...(await Promise.all(each)).flat());
  }
  await sendJson(options, request, response, { device, now: now(), looked: users.size, users: found, next });
}

async function someUsers({ operator }: AdminOptions, after: UserId | null) {
  const users = await operator.store.users(after, LOOKED_AT);
  return { looked: users.filter(isUserId), next: users.length < LOOKED_AT ? null : (users.at(-1) ?? null) };
}

interface Asked {
  readonly user: UserId;
  readonly device: DeviceId;
  readonly connected: readonly ConnectedDevice[];
}

/** As the list of the devices of this user shows it, once for each person who had it in hand. */
async function visitsOf(options: AdminOptions, { user, device, connected }: Asked) {
  const seen = (await options.registry.seen.of(user)).filter((each) => each.device === device);
  if (seen.length + connected.length === 0) return [];
  const revision = await revisionOf(options, user);
  return shownAll(seen, connected, revision).map(({ device: _, ...visit }) => ({ user, ...visit }));
}
