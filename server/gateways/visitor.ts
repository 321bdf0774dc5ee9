/** Everybody's way in: the token of a request, and what it allows with the user that the request names (A2–A4). */
import type { IncomingMessage } from 'node:http';
import { SyncError } from '../../shared/errors.js';
import { SHARED_DOCUMENT, type UserId } from '../../shared/names.js';
import { type Access, actorOf, may, type Principal } from '../access.js';
import type { Log } from '../log.js';
import type { Caller } from './admission.js';

/** Somebody who was let in to a user's document. */
export interface Visitor {
  readonly principal: Principal;
  readonly user: UserId;
  /** Who the history names; `null` where nobody is known. */
  readonly actor: UserId | null;
  readonly mayWrite: boolean;
  readonly address: string;
}

/** Whom places and rates count: the shared document has no user of its own, so whoever comes to it (D8). */
export const countedAs = ({ user, actor, address }: Visitor): Caller => ({
  user: user === SHARED_DOCUMENT ? actor : user,
  address,
});

/** The subprotocol that says that the next one is a token: a browser can send no header with a WebSocket. */
export const BEARER = 'bearer';

/**
 * Lets the bearer of the request's token in to the document of a user. Nothing but the token and the name is looked
 * at, so nothing can be learned of whether there is such a user.
 *
 * @param user throws what is wrong with the name, once the token is known to be good
 * @throws SyncError `UNAUTHORIZED`, `FORBIDDEN` or `ACCESS_UNAVAILABLE`
 */
export async function letIn(
  access: Access,
  request: IncomingMessage,
  address: string,
  user: () => UserId,
): Promise<Visitor> {
  const principal = await access.identify(tokenOf(request));
  const name = user();
  if (!may(principal, name, 'read')) {
    throw new SyncError('FORBIDDEN', undefined, { cause: new Error(`${actorOf(principal)} has no access`) });
  }
  const mayWrite = may(principal, name, 'write');
  return { principal, user: name, actor: actorOf(principal), mayWrite, address };
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
  return start < 0 ? null : new URLSearchParams(url.slice(start + 1)).get('token') || null;
}

/** For the log: who was turned away, and why. */
export function logRefusal(
  log: Log,
  request: IncomingMessage,
  address: string,
  { code, cause }: SyncError,
): void {
  const reason = cause instanceof Error ? reasonOf(cause) : '';
  log('accessRefused', { url: request.url ?? '', address, code, reason });
}

/** The whole chain of causes: "the token is not valid: signature verification failed". */
const reasonOf = ({ message, cause }: Error): string =>
  cause instanceof Error ? `${message}: ${reasonOf(cause)}` : message;
