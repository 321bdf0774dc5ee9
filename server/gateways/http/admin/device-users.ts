/** The users whom one device was there for. A device is a row of each of its users, so the rows are gone through. */
import type { Request, Response } from 'express';
import { type DeviceId, isDeviceId, SHARED_DOCUMENT, type UserId } from '../../../../shared/names.js';
import type { ConnectedDevice } from '../../../documents/seen-devices.js';
import { invalidDevice } from '../../guard/request-names.js';
import { sendJson } from '../compression.js';
import { shownAll } from './devices.js';
import { afterIn, ofEach, someUsers } from './each-user.js';
import type { AdminOptions } from './options.js';
import { revisionOf } from './users.js';

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
  const { operator, now, backups } = options;
  const device = deviceOf(request);
  const after = afterIn(request);
  const connected = operator.connectedAs(device);
  const first = after === null ? [...connected.keys()].filter((user) => user !== SHARED_DOCUMENT) : [];
  const { looked, next } = await someUsers(options, after);
  const users = [...new Set([...first, ...looked])];
  const found = await ofEach(users, (user) =>
    visitsOf(options, { user, device, connected: connected.get(user) ?? [] }),
  );
  await sendJson(options, request, response, {
    device,
    now: now(),
    restoredAt: backups.restoredAt,
    looked: users.length,
    users: found,
    next,
  });
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
