/** Who of the devices has been back since the database was made of a backup: each may bring what that lacked. */
import type { Request, Response } from 'express';
import { sendJson } from '../compression.js';
import { afterIn, ofEach, someUsers } from './each-user.js';
import type { AdminOptions } from './options.js';

/** Those that have not been back, by name. */
const MOST_NAMED = 100;

/** One that is connected was noted when it came. */
export async function sendRestored(
  options: AdminOptions,
  request: Request,
  response: Response,
): Promise<void> {
  const { registry, now, backups } = options;
  const { restoredAt } = backups;
  const after = afterIn(request);
  const { looked, next } = restoredAt === null ? { looked: [], next: null } : await someUsers(options, after);
  const devices = await ofEach(looked, async (user) =>
    (await registry.seen.of(user)).map(({ device, actor, at }) => ({ user, device, actor, at })),
  );
  const away = devices.filter(({ at }) => at <= (restoredAt ?? 0)).sort((a, b) => b.at - a.at);
  await sendJson(options, request, response, {
    restoredAt,
    now: now(),
    looked: looked.length,
    back: devices.length - away.length,
    away: away.length,
    first: away.slice(0, MOST_NAMED),
    next,
  });
}
