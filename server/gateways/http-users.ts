/** All data of a user at once: erased, or handed out (P7). */
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Request, Response } from 'express';
import { SyncError } from '../../shared/errors.js';
import type { UserId } from '../../shared/names.js';
import { exportDocument } from '../documents/export.js';
import { type HttpOptions, userOf, withDocument } from './http-request.js';

function permitted({ mayErase }: HttpOptions, request: Request): UserId {
  const user = userOf(request);
  if (!mayErase(request, user)) throw new SyncError('WRONG_USER', 'This is not yours to erase or to export.');
  return user;
}

/** Answers once no byte is left. */
export async function deleteUser(options: HttpOptions, request: Request, response: Response): Promise<void> {
  const user = permitted(options, request);
  await options.registry.erase(user);
  options.log('erased', { user });
  response.status(204).end();
}

export async function getExport(options: HttpOptions, request: Request, response: Response): Promise<void> {
  const user = permitted(options, request);
  await withDocument(options, request, async (document) => {
    const text = exportDocument(document, options.now());
    const first = await text.next(); // what fails is answered, as long as nothing was sent
    options.log('exported', { user });
    response.set({
      'Cache-Control': 'private, no-store',
      'Content-Type': 'application/json; charset=utf-8',
      'Content-Disposition': `attachment; filename="${user.replaceAll(/[^A-Za-z0-9._-]/g, '_')}.json"`,
    });
    response.write(first.value ?? '');
    await pipeline(Readable.from(text), response);
  });
}
