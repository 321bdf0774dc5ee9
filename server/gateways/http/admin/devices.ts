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

/** A page that is open asks again and again: so long, in ms, this is one look, and one line of the audit trail. */
const ONE_LOOK = 600_000;
const MOST_LOOKS = 1_000;

/** Who looks at the devices of whom, by address and user, and since when. */
export class DeviceLooks {
  readonly #since = new Map<string, number>();

  readonly get = async (options: AdminOptions, request: Request, response: Response): Promise<void> => {
    const { access, quotas, uptime } = options;
    const [user, address] = [userOf(request), quotas.addressOf(request)];
    const look = JSON.stringify([user, address]);
    const at = uptime();
    if (at - (this.#since.get(look) ?? Number.NEGATIVE_INFINITY) >= ONE_LOOK) {
      await access.operated({ user, action: 'devices', address });
      if (this.#since.size >= MOST_LOOKS) this.#since.clear(); // each is a line once more
      this.#since.set(look, at);
    }
    await sendDevices(options, user, request, response);
  };
}

async function sendDevices(
  options: AdminOptions,
  user: UserId,
  request: Request,
  response: Response,
): Promise<void> {
  const { operator, registry, now } = options;
  const seen = await registry.seen.of(user);
  const revision = await revisionOf(options, user);
  const connected = operator.connectedDevices(user);
  const all = mergedDevices([...seen, ...connected.map(({ isHeard: _, ...each }) => each)]);
  const devices = all.map((each) => shown(each, connected, revision));
  const first = [...devices.filter((each) => each.connected), ...devices.filter((each) => !each.connected)];
  await sendJson(options, request, response, {
    user,
    revision,
    now: now(),
    limit: MOST_DEVICES,
    devices: first,
  });
}

function shown(device: SeenDevice, connected: readonly ConnectedDevice[], revision: number | null) {
  const own = connected.filter((each) => nameOf(each) === nameOf(device));
  const { unsent } = device;
  return {
    ...device,
    connected: own.length > 0,
    behind: behindBy(revision, device.revision),
    unsent: unsent && { ...unsent, current: own.length > 0 && own.every((each) => says(each, unsent.count)) },
  };
}

/** A connection that can't say so may have more: one of an older app, or one that is not heard of. */
const says = ({ isHeard, unsent }: ConnectedDevice, count: number): boolean =>
  isHeard && unsent?.count === count;

/** How many changes a device was not sent yet; `null` where that is not known. */
const behindBy = (revision: number | null, sent: number | null): number | null =>
  revision === null || sent === null ? null : Math.max(0, revision - sent);
