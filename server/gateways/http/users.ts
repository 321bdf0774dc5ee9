/** All data of a user at once: erased, or handed out (P7). */
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Request, Response } from 'express';
import type { UserId } from '../../../shared/names.js';
import type { Visit } from '../../access/access.js';
import { exportDocument } from '../../documents/export.js';
import { SyncError } from '../../errors.js';
import { hasGone, whenGone } from '../../net/gone.js';
import { packer } from './compression.js';
import { grantOf, type HttpOptions, mustWrite } from './request.js';

/** A person may erase and take along what is theirs; for others an administrator has to. */
async function ownerOf({ access }: HttpOptions, request: Request, action: Visit['action']): Promise<UserId> {
  const { principal, user, actor, address } = grantOf(request);
  if (actor !== null && actor !== user) throw new SyncError('FORBIDDEN');
  await access.enter(principal, { user, action, via: 'http', address });
  return user;
}

export async function eraseOwn(options: HttpOptions, request: Request, response: Response): Promise<void> {
  mustWrite(request);
  await deleteUser(options, await ownerOf(options, request, 'write'), response);
}

export async function exportOwn(options: HttpOptions, request: Request, response: Response): Promise<void> {
  await sendExport(options, await ownerOf(options, request, 'history'), request, response);
}

/** Whether there was anything of the user: an id that was typed wrong must not pass for one that is erased. */
const HAD_DATA = 'Had-Data';

/** Answers once no byte is left. */
export async function deleteUser(options: HttpOptions, user: UserId, response: Response): Promise<void> {
  const hadData = await options.registry.erase(user);
  options.log('erased', { user });
  response.status(204).set(HAD_DATA, String(hadData)).end();
}

export async function sendExport(
  options: HttpOptions,
  user: UserId,
  request: Request,
  response: Response,
): Promise<void> {
  const { registry } = options;
  const lease = await registry.open(user);
  try {
    const seen = await registry.seen.of(user);
    const text = exportDocument(lease.document, seen, options.now());
    const first = await text.next(); // what fails is answered, as long as nothing was sent
    if (hasGone(response)) return;
    options.log('exported', { user });
    response.set({
      'Cache-Control': 'private, no-store',
      'Content-Type': 'application/json; charset=utf-8',
      'Content-Disposition': `attachment; filename="${user.replaceAll(/[^A-Za-z0-9._-]/g, '_')}.json"`,
      [HAD_DATA]: String(lease.document.hasData || seen.length > 0),
    });
    const all = async function* () {
      yield first.value ?? '';
      yield* text;
    };
    const source = Readable.from(all());
    // A pipeline waits for its last stream, which hears nothing while it waits behind another answer.
    const neverSent = new Promise<void>((resolve) => {
      whenGone(response, () => {
        if (response.socket === null) resolve();
      });
    });
    await Promise.race([pipeline([source, ...packer(request, response), response]), neverSent]);
    source.destroy();
  } finally {
    lease.release();
  }
}
