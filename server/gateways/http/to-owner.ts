/** A request for a user whom another node serves is led on to that one, before its body is read. */
import type { RequestHandler } from 'express';
import type { Hops } from '../../cluster/hops.js';
import { SyncError } from '../../errors.js';
import { putOffFor } from '../guard/overload.js';
import { grantOf, type HttpOptions } from './request.js';

/** For what is authorized. */
export const toOwner =
  (hops: Hops, { random }: Pick<HttpOptions, 'random'>): RequestHandler =>
  async (request, response, next) => {
    const { user, address } = grantOf(request);
    const whither = await hops.request({ user, address }, { request, response, url: request.originalUrl });
    if (whither === 'here') return next();
    if (whither === 'led') return;
    response.set('Connection', 'close');
    if (whither === 'not mine') throw new SyncError('NOT_OWNER');
    response.set('Retry-After', String(Math.ceil(putOffFor(random))));
    throw new SyncError('OWNER_UNREACHABLE');
  };
