/** Guards `/admin` and `/metrics`: open to the bearer of `ADMIN_TOKEN`, or this machine where there is none. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Request, RequestHandler, Response } from 'express';
import type { Config } from '../../config.js';
import { SyncError } from '../../errors.js';
import { networkOf } from '../../net/client-address.js';
import { RateLimiters } from '../../net/token-bucket.js';
import { isForeign } from './origin.js';
import type { Quotas } from './quotas.js';

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

/** Wrong tokens of one address: five at once, and one more each 12 s. */
const WRONG = { rate: 5 / 60, burst: 5 };
const MOST_LIMITERS = 1_000;
const UNLIMITED = { rate: Number.POSITIVE_INFINITY, burst: Number.POSITIVE_INFINITY };

interface GuardOptions {
  readonly config: Pick<Config, 'adminToken'>;
  readonly quotas: Pick<Quotas, 'addressOf'>;
  readonly uptime: () => number;
}

/** A request, and the token that it came with. */
export interface Attempt {
  readonly request: Request;
  readonly response: Response;
  readonly token: string;
}

/**
 * Looks at `ADMIN_TOKEN`, for all doors of the operator. The right one always opens: others at the operator's address
 * can't keep the operator out. Whoever guesses waits, at whichever door.
 */
export class AdminGuard {
  readonly #options: GuardOptions;
  readonly #wrong: RateLimiters;

  constructor(options: GuardOptions) {
    this.#options = options;
    this.#wrong = new RateLimiters({ messages: WRONG, bytes: UNLIMITED }, options.uptime);
  }

  /** For what operators and their tools ask for. */
  readonly only: RequestHandler = (request, response, next) => {
    const token = bearerOf(request);
    if (this.#options.config.adminToken === '') {
      if (!isFromHere(request)) throw notFromHere();
    } else if (token === null) throw wrongToken();
    else this.mustBeToken({ request, response, token });
    next();
  };

  /** @throws SyncError `UNAUTHORIZED`, or `TOO_MANY_REQUESTS` where too many were wrong before */
  mustBeToken({ request, response, token }: Attempt): void {
    const { config, quotas } = this.#options;
    if (config.adminToken !== '' && isSame(token, config.adminToken)) return;
    if (this.#wrong.size > MOST_LIMITERS) this.#wrong.sweep();
    const limiter = this.#wrong.of(networkOf(quotas.addressOf(request)));
    const wait = Math.ceil(limiter.waitForOne / 1_000);
    if (wait === 0) {
      limiter.take(1, 0);
      throw wrongToken();
    }
    response.set('Retry-After', String(wait));
    throw new SyncError('TOO_MANY_REQUESTS', 'Too many wrong tokens from this address; try again later.');
  }
}

export const bearerOf = ({ headers }: IncomingMessage): string | null =>
  /^bearer +(\S+) *$/i.exec(headers.authorization ?? '')?.[1] ?? null;

export const wrongToken = (): SyncError => new SyncError('UNAUTHORIZED', 'ADMIN_TOKEN is missing or wrong.');
export const notFromHere = (): SyncError =>
  new SyncError('FORBIDDEN', 'Without ADMIN_TOKEN, only requests from the machine itself get in.');

/** In a time that tells nothing of where they differ. */
const isSame = (a: string, b: string): boolean => timingSafeEqual(digest(a), digest(b));
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
