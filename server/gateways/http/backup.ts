/** Backups into a folder of the server's machine, and what one of these has of a user. */
import { isAbsolute } from 'node:path';
import type { Request, Response } from 'express';
import { z } from 'zod';
import { SyncError } from '../../errors.js';
import { type HttpOptions, userOf } from './request.js';

const bodySchema = z.strictObject({
  dir: z.string().max(4_096).refine(isAbsolute),
  keep: z.int().positive().optional(),
});

/** Answers once it is whole and on disk, which takes a while. */
export async function postBackup(
  { access, backups, quotas }: HttpOptions,
  request: Request,
  response: Response,
): Promise<void> {
  const parsed = bodySchema.safeParse(request.body);
  if (!parsed.success)
    throw new SyncError(
      'INVALID_MESSAGE',
      'The body has to be {"dir":"/absolute/path"}, with "keep":14 or without.',
    );
  const { dir, keep } = parsed.data;
  const address = quotas.addressOf(request);
  const backup = { user: '*', action: 'backup', address, what: parsed.data } as const;
  response.json(await access.performed(backup, () => backups.make(dir, keep)));
}

const userSchema = z.strictObject({
  backup: z.string().max(4_096).refine(isAbsolute),
  at: z.iso.datetime().optional(),
});

/** Answers once all is durable. */
export async function postUserRestore(
  { access, quotas, restoreUser }: HttpOptions,
  request: Request,
  response: Response,
): Promise<void> {
  const user = userOf(request);
  const parsed = userSchema.safeParse(request.body);
  if (!parsed.success)
    throw new SyncError(
      'INVALID_MESSAGE',
      'The body has to be {"backup":"/absolute/path"}, with "at":"2026-11-29T12:00:00Z" or without.',
    );
  const { backup, at } = parsed.data;
  const from = { folder: backup, at: at === undefined ? null : Date.parse(at) };
  const address = quotas.addressOf(request);
  const restored = { user, action: 'restore', address, what: parsed.data } as const;
  response.json(await access.performed(restored, () => restoreUser(user, from)));
}
