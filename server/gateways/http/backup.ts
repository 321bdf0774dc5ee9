/** Backups into a folder of the server's machine, and what one of these has of a user. */
import { isAbsolute } from 'node:path';
import type { Request, Response } from 'express';
import { z } from 'zod';
import type { UserId } from '../../../shared/names.js';
import { SyncError } from '../../errors.js';
import type { HttpOptions } from './request.js';

const bodySchema = z.strictObject({
  dir: z.string().max(4_096).refine(isAbsolute),
  keep: z.int().positive().optional(),
});

/** Answers once it is whole and on disk, which takes a while. */
export async function postBackup(
  { backups }: HttpOptions,
  request: Request,
  response: Response,
): Promise<void> {
  const parsed = bodySchema.safeParse(request.body);
  if (!parsed.success)
    throw new SyncError(
      'INVALID_MESSAGE',
      'The body has to be {"dir":"/absolute/path"}, with "keep":14 or without.',
    );
  response.json(await backups.make(parsed.data.dir, parsed.data.keep));
}

const userSchema = z.strictObject({
  backup: z.string().max(4_096).refine(isAbsolute),
  at: z.iso.datetime().optional(),
});

/** Answers once all is durable. */
export async function postUserRestore(
  { restoreUser }: HttpOptions,
  user: UserId,
  request: Request,
  response: Response,
): Promise<void> {
  const parsed = userSchema.safeParse(request.body);
  if (!parsed.success)
    throw new SyncError(
      'INVALID_MESSAGE',
      'The body has to be {"backup":"/absolute/path"}, with "at":"2026-11-29T12:00:00Z" or without.',
    );
  const { backup, at } = parsed.data;
  response.json(await restoreUser(user, { folder: backup, at: at === undefined ? null : Date.parse(at) }));
}
