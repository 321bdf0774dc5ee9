/** The devices of one user: "may I wipe this phone?" */
import type { Request, Response } from 'express';
import type { UserId } from '../../../../shared/names.js';
import {
  type ConnectedDevice,
  MOST_DEVICES,
  mergedDevices,
  nameOf,
  type SeenDevice,
} from '../../../documents/seen-devices.js';
import { sendJson } from '../compression.js';
import { userOf } from '../request.js';
import type { AdminOptions } from './options.js';
import { revisionOf } from './users.js';

export async function sendDevices(
  options: AdminOptions,
  request: Request,
  response: Response,
): Promise<void> {
  await sendJson(options, request, response, await devicesOf(options, userOf(request)));
}

/** Those that are connected first. */
export async function devicesOf(options: AdminOptions, user: UserId) {
  const { operator, registry, now, backups } = options;
  const seen = await registry.seen.of(user);
  const revision = await revisionOf(options, user);
  const devices = shownAll(seen, operator.connectedDevices(user), revision);
  const first = [...devices.filter((each) => each.connected), ...devices.filter((each) => !each.connected)];
  const { restoredAt } = backups;
  return { user, revision, now: now(), restoredAt, limit: MOST_DEVICES, devices: first };
}

/** What is stored of devices, with what their connections know. */
export function shownAll(
  seen: readonly SeenDevice[],
  connected: readonly ConnectedDevice[],
  revision: number | null,
) {
  const all = mergedDevices([...seen, ...connected.map(({ isHeard: _, ...each }) => each)]);
  return all.map((each) => shown(each, connected, revision));
}

function shown(device: SeenDevice, connected: readonly ConnectedDevice[], revision: number | null) {
  const own = connected.filter((each) => nameOf(each) === nameOf(device));
  const { unsent } = device;
  return {
    ...device,
    connected: own.length > 0,
    behind: behindBy(revision, device.revision),
    sentAt: device.sentAt ?? null,
    unsent: unsent && { ...unsent, current: own.length > 0 && own.every((each) => says(each, unsent.count)) },
  };
}

/** A connection that can't say so may have more: one of an older app, or one that is not heard of. */
const says = ({ isHeard, unsent }: ConnectedDevice, count: number): boolean =>
  isHeard && unsent?.count === count;

/** How many changes a device was not sent yet; `null` where that is not known. */
const behindBy = (revision: number | null, sent: number | null): number | null =>
  revision === null || sent === null ? null : Math.max(0, revision - sent);
