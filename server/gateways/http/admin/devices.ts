/** The devices of one user: "may I wipe this phone?" */
import type { Request, Response } from 'express';
import { sendJson } from '../compression.js';
import { userOf } from '../request.js';
import type { AdminOptions } from './options.js';
import { revisionOf } from './users.js';

export async function getDevices(options: AdminOptions, request: Request, response: Response): Promise<void> {
  const { access, quotas, operator, registry } = options;
  const user = userOf(request);
  await access.operated({ user, action: 'devices', address: quotas.addressOf(request) });
  const seen = await registry.seen.of(user);
  const revision = await revisionOf(options, user);
  const connected = operator.connectedDevices(user);
  const isThere = new Set(connected.map(({ device, actor }) => JSON.stringify([device, actor])));
  const away = seen.filter(({ device, actor }) => !isThere.has(JSON.stringify([device, actor])));
  const devices = [
    ...connected.map((each) => ({ ...each, connected: true })),
    ...away.map((each) => ({ ...each, connected: false })),
  ].map((each) => ({ ...each, behind: behindBy(revision, each.revision) }));
  await sendJson(options, request, response, { user, revision, devices });
}

/** How many changes a device was not sent yet; `null` where that is not known. */
const behindBy = (revision: number | null, sent: number | null): number | null =>
  revision === null || sent === null ? null : Math.max(0, revision - sent);
