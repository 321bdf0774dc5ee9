/** Guards `/admin` and `/metrics`: open to the bearer of `ADMIN_TOKEN`, or this machine where there is none. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { RequestHandler } from 'express';
import type { Config } from '../../config.js';
import { SyncError } from '../../errors.js';
import { isForeign } from './origin.js';

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

/** For what operators and their tools ask for. */
export function adminOnly({ adminToken }: Pick<Config, 'adminToken'>): RequestHandler {
  return (request, _response, next) => {
    if (adminToken !== '') {
      if (!isSame(bearerOf(request) ?? '', adminToken)) throw wrongToken();
    } else if (!isFromHere(request)) throw notFromHere();
    next();
  };
}

export const bearerOf = ({ headers }: IncomingMessage): string | null =>
  /^bearer +(\S+) *$/i.exec(headers.authorization ?? '')?.[1] ?? null;

export const wrongToken = (): SyncError => new SyncError('UNAUTHORIZED', 'ADMIN_TOKEN is missing or wrong.');
export const notFromHere = (): SyncError =>
  new SyncError('FORBIDDEN', 'Without ADMIN_TOKEN, only requests from the machine itself get in.');

/** In a time that tells nothing of where they differ. */
export const isSame = (a: string, b: string): boolean => timingSafeEqual(digest(a), digest(b));
const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** Not through a proxy, and not by a web page that is open in a browser of this machine. */
const isFromHere = (request: IncomingMessage): boolean =>
  isDirect(request) && request.headers.origin === undefined && isOwnSite(request);

/** Not through a proxy, and not under another name that leads here. */
export const isDirect = ({ socket, headers }: IncomingMessage): boolean =>
  LOOPBACK.test(socket.remoteAddress ?? '') &&
  FORWARDED.every((name) => !(name in headers)) &&
  LOOPBACK_HOST.test(headers.host ?? '');

const isOwnSite = ({ headers }: IncomingMessage): boolean => OWN_SITES.has(headers['sec-fetch-site']);

/** By no page but one that this server gave out: another port of the machine is the same site, for a cookie. */
export const isOwnPage = (request: IncomingMessage): boolean => isOwnSite(request) && !isForeign([], request);
