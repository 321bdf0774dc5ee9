/** POST /admin/backup: a backup into a folder of the server's machine. */
import { isAbsolute } from 'node:path';
import type { Request, Response } from 'express';
import { z } from 'zod';
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
