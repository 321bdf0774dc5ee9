/**
 * The one way in for all protocols: the token of a request, and what it allows with the user that the request names
 * (A2–A4).
 */
import type { IncomingMessage } from 'node:http';
import { SHARED_DOCUMENT, type UserId } from '../../../shared/names.js';
import { type Access, actorOf, type Principal, type Recheck } from '../../access/access.js';
import { SyncError } from '../../errors.js';
import type { Log } from '../../log.js';
import type { Caller } from './quotas.js';

/** What a token allows with one user's document. */
export interface Grant {
  readonly principal: Principal;
  readonly user: UserId;
  /** The person that the history names; `null` where none is known. */
  readonly actor: UserId | null;
  readonly mayWrite: boolean;
  readonly address: string;
  /** Where the access is not that of the token itself. */
  readonly recheck: Recheck | undefined;
}

/**
 * Slots and rates are counted by user; the shared document has none of its own, so by the person who comes to it
 * (D8).
 */
export const countedAs = ({ user, actor, address }: Grant): Caller => ({
  user: user === SHARED_DOCUMENT ? actor : user,
  address,
});

/** The subprotocol that says that the next one is a token: a browser can send no header with a WebSocket. */
export const BEARER = 'bearer';

/**
 * Lets the bearer of the request's token in to the document of a user. Nothing but the token, the name and what
 * `ACCESS_URL` says is looked at, so nothing can be learned of whether there is such a user.
 *
 * @param user throws what is wrong with the name, once the token is known to be good
 * @throws SyncError `UNAUTHORIZED`, `FORBIDDEN` or `ACCESS_UNAVAILABLE`
 */
export async function authorize(
  access: Access,
  request: IncomingMessage,
  address: string,
  user: () => UserId,
): Promise<Grant> {
  const token = tokenOf(request);
  const principal = await access.identify(token);
  const name = user();
  const actor = actorOf(principal);
  const mode = await access.modeOf(principal, token, name);
  if (mode === null)
    throw new SyncError('FORBIDDEN', undefined, { cause: new Error(`${actor} has no access`) });
  const recheck = access.recheckOf(principal, token, name);
  return { principal, user: name, actor, mayWrite: mode === 'write', address, recheck };
}

/** From `Authorization: Bearer`, the subprotocol `bearer, <token>`, or the query (A3); the first that is there. */
export function tokenOf(request: IncomingMessage): string | null {
  const { authorization, 'sec-websocket-protocol': protocols } = request.headers;
  return bearerOf(authorization) ?? offeredWith(protocols) ?? inQuery(request.url ?? '');
}

const bearerOf = (header: string | undefined): string | null =>
  /^bearer +(\S+) *$/i.exec(header ?? '')?.[1] ?? null;

function offeredWith(protocols: string | undefined): string | null {
  const offered = (protocols ?? '').split(',').map((name) => name.trim());
  return offered[0] === BEARER ? offered[1] || null : null;
}

function inQuery(url: string): string | null {
  const start = url.indexOf('?');
  // Most have none, and to take a query apart for it takes long; with percent signs the name may be written otherwise.
  if (start < 0 || !/token=|%/.test(url)) return null;
  return new URLSearchParams(url.slice(start + 1)).get('token') || null;
}

/** Logs which user was refused, and why. */
export function logRefusal(
  log: Log,
  request: IncomingMessage,
  address: string,
  { code, message, cause }: SyncError,
): void {
  const reasons = [code === 'UNAUTHORIZED' ? message : '', cause instanceof Error ? reasonOf(cause) : ''];
  const reason = reasons.filter((part) => part !== '').join(' ');
  log('accessRefused', { url: request.url ?? '', address, code, reason });
}

/** The whole chain of causes. */
const reasonOf = ({ message, cause }: Error): string =>
  cause instanceof Error ? `${message}: ${reasonOf(cause)}` : message;
