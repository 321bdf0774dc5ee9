/** Which web pages may use the server (A5). An app or a server sends no `Origin`, and passes. */
import type { IncomingMessage } from 'node:http';
import type { RequestHandler } from 'express';
import { SyncError } from '../../errors.js';

const METHODS = 'GET, POST, DELETE';
const HEADERS = 'Authorization, Content-Type, Device-ID, If-None-Match, Sync-Challenge';
/** A list of names as they stand in a header, not endless. */
const NAMES = /^(?=.{1,1000}$)[\w!#$%&'*+.^`|~-]+(?: *, *[\w!#$%&'*+.^`|~-]+)*$/;
const EXPOSED = 'ETag, Retry-After, Sync-Proof';
/** How long a browser remembers the answer, in seconds. */
const MAX_AGE = '600';

/** Whether the request comes from a page that may not use the server. */
export function isForeign(
  allowed: readonly string[],
  { headers: { origin, host } }: IncomingMessage,
): boolean {
  if (origin === undefined || allowed.includes('*') || allowed.includes(origin)) return false;
  return !isOwn(origin, host);
}

/** A page that the server gave out itself, such as the demo. */
function isOwn(origin: string, host = ''): boolean {
  if (!URL.canParse(origin)) return false;
  const { protocol, host: from } = new URL(origin);
  const own = `${protocol}//${host}`;
  return from !== '' && URL.canParse(own) && new URL(own).host === from;
}

/** Answers preflights, and tells browsers which pages may read the answers. */
export function cors(allowed: readonly string[]): RequestHandler {
  return (request, response, next) => {
    const { origin } = request.headers;
    response.vary('Origin');
    if (origin === undefined) return next();
    if (isForeign(allowed, request)) throw new SyncError('ORIGIN_REFUSED');
    response.set({
      'Access-Control-Allow-Origin': allowed.includes('*') ? '*' : origin,
      'Access-Control-Expose-Headers': EXPOSED,
    });
    const isPreflight = request.method === 'OPTIONS' && request.get('Access-Control-Request-Method');
    if (!isPreflight) return next();
    // A page that may use the server may send along what its libraries add; a header that is not read does nothing.
    const asked = request.get('Access-Control-Request-Headers') ?? '';
    response.vary('Access-Control-Request-Headers').set({
      'Access-Control-Allow-Methods': METHODS,
      'Access-Control-Allow-Headers': NAMES.test(asked) ? `${HEADERS}, ${asked}` : HEADERS,
      'Access-Control-Max-Age': MAX_AGE,
    });
    response.status(204).end();
  };
}
