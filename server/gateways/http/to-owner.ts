/** A request for a user whom another node serves is led on to that one, before its body is read. */
import type { Request, RequestHandler, Response } from 'express';
import type { Guest, Hops } from '../../cluster/hops.js';
import { SyncError } from '../../errors.js';
import { bearerOf } from '../guard/admin-guard.js';
import { putOffFor } from '../guard/overload.js';
import { grantOf, type HttpOptions, userOrSharedOf } from './request.js';

type Options = Pick<HttpOptions, 'config' | 'quotas' | 'random'>;

/** For what is authorized. */
export const toOwner =
  (hops: Hops, options: Options): RequestHandler =>
  async (request, response, next) => {
    if (await isOwner(hops, options, grantOf(request), { request, response })) next();
  };

/** For what the operator asks of one user. The owner does not know the cookie that this node has given out. */
export const operatorToOwner =
  (hops: Hops, options: Options): RequestHandler =>
  async (request, response, next) => {
    const { config, quotas } = options;
    const guest = { user: userOrSharedOf(request), address: quotas.addressOf(request) };
    if (bearerOf(request) === null && config.adminToken !== '')
      request.rawHeaders.push('Authorization', `Bearer ${config.adminToken}`);
    if (await isOwner(hops, options, guest, { request, response })) next();
  };

/** Otherwise the owner answers. */
async function isOwner(
  hops: Hops,
  { random }: Options,
  { user, address }: Guest,
  { request, response }: { readonly request: Request; readonly response: Response },
): Promise<boolean> {
  const whither = await hops.request({ user, address }, { request, response, url: request.originalUrl });
  if (whither === 'here') return true;
  if (whither === 'led') return false;
  response.set('Connection', 'close');
  if (whither === 'not mine') throw new SyncError('NOT_OWNER');
  response.set('Retry-After', String(Math.ceil(putOffFor(random))));
  throw new SyncError('OWNER_UNREACHABLE');
}
