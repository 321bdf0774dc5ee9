/** Guards `/admin` and `/metrics`: open to the bearer of `ADMIN_TOKEN`, or this machine where there is none. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { RequestHandler } from 'express';
import type { Config } from '../../config.js';
import { SyncError } from '../../errors.js';

const LOOPBACK = /^(?:::ffff:)?127(?:\.\d+){3}$|^::1$/;
const LOOPBACK_HOST = /^(?:localhost|127(?:\.\d+){3}|\[::1\])(?::\d+)?$/i;
/** Headers by which a proxy says that the request comes from another machine. */
const FORWARDED = [
  'x-forwarded-for',
  'forwarded',
  'x-real-ip',
  'x-forwarded-host',
  'x-forwarded-proto',
  'via',
  'cf-connecting-ip',
  'x-original-forwarded-for',
];
/** Browsers tell whether a page of another origin made them ask. */
const OWN_SITES: ReadonlySet<unknown> = new Set([undefined, 'none', 'same-origin']);

/** For `/admin` and `/metrics`. */
export function adminOnly({ adminToken }: Pick<Config, 'adminToken'>): RequestHandler {
  return (request, _response, next) => {
    if (adminToken !== '') {
      const given = /^bearer +(\S+) *$/i.exec(request.get('Authorization') ?? '')?.[1] ?? '';
      if (!isSame(given, adminToken)) throw new SyncError('UNAUTHORIZED', 'ADMIN_TOKEN is missing or wrong.');
    } else if (!isFromHere(request)) {
      throw new SyncError('FORBIDDEN', 'Without ADMIN_TOKEN, only requests from the machine itself get in.');
    }
    next();
  };
}

/** In a time that tells nothing of where they differ. */
const isSame = (a: string, b: string): boolean => timingSafeEqual(digest(a), digest(b));
const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** Not through a proxy, and not by a web page that is open in a browser of this machine. */
function isFromHere({ socket, headers }: IncomingMessage): boolean {
  const isDirect = LOOPBACK.test(socket.remoteAddress ?? '') && FORWARDED.every((name) => !(name in headers));
  const isOwn = headers.origin === undefined && OWN_SITES.has(headers['sec-fetch-site']);
  return isDirect && isOwn && LOOPBACK_HOST.test(headers.host ?? '');
}
