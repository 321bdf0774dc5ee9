/** Looks at devices, and at where one was: a page that is open looks again and again. */
import type { Request, Response } from 'express';
import type { Operation } from '../../../access/access.js';
import { userOf } from '../request.js';
import { deviceOf, sendUsersOf } from './device-users.js';
import { sendDevices } from './devices.js';
import type { AdminOptions } from './options.js';
import { sendRestored } from './restored.js';

/** So long, in ms, this is one look, and one line of the audit trail. */
const ONE_LOOK = 600_000;
const MOST_LOOKS = 1_000;

type Send = (options: AdminOptions, request: Request, response: Response) => Promise<void>;

/** Who looks at the devices of whom, by address and what is looked at, and since when. */
export class DeviceLooks {
  readonly #since = new Map<string, number>();

  readonly ofUser: Send = async (options, request, response) => {
    await this.note(options, options.quotas.addressOf(request), { user: userOf(request) });
    await sendDevices(options, request, response);
  };

  /** Of one phone, across users. */
  readonly usersOf: Send = async (options, request, response) => {
    await this.note(options, options.quotas.addressOf(request), {
      user: '*',
      what: { device: deviceOf(request) },
    });
    await sendUsersOf(options, request, response);
  };

  /** Of all, since the database was made of a backup. */
  readonly sinceRestore: Send = async (options, request, response) => {
    await this.note(options, options.quotas.addressOf(request), { user: '*' });
    await sendRestored(options, request, response);
  };

  async note(
    { access, uptime }: AdminOptions,
    address: string,
    of: Pick<Operation, 'user' | 'what'>,
  ): Promise<void> {
    const look = JSON.stringify([of, address]);
    const at = uptime();
    if (at - (this.#since.get(look) ?? Number.NEGATIVE_INFINITY) < ONE_LOOK) return;
    await access.operated({ action: 'devices', address, ...of });
    if (this.#since.size >= MOST_LOOKS) this.#since.clear(); // each is a line once more
    this.#since.set(look, at);
  }
}
