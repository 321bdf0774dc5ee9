/** Who may use the admin page and its API: the bearer of `ADMIN_TOKEN`, or of the cookie that it was changed for. */
import type { Request, RequestHandler, Response } from 'express';
import { z } from 'zod';
import { SyncError } from '../../../errors.js';
import { bearerOf, isDirect, isOwnPage, notFromHere, wrongToken } from '../../guard/admin-guard.js';
import type { AdminSessions } from '../../guard/admin-sessions.js';
import { type HttpOptions, read } from '../request.js';

const signInSchema = z.object({ token: z.string().max(10_000) });

/** Lets operators in, and nobody else. */
export function operatorOnly(options: HttpOptions, sessions: AdminSessions): RequestHandler {
  const { adminToken } = options.config;
  return (request, response, next) => {
    response.set('Cache-Control', 'private, no-store');
    const token = bearerOf(request);
    if (token !== null && adminToken !== '') mustBeToken(options, sessions, { request, response, token });
    else if (!isOwnPage(request))
      throw new SyncError('FORBIDDEN', 'Only the admin page itself may ask for this.');
    else if (adminToken === '') mustBeHere(request);
    else if (!sessions.has(request)) throw wrongToken();
    next();
  };
}

/** Whether who came in with this request is still to be told something: a session may have ended. */
export const mayStay = ({ config }: HttpOptions, sessions: AdminSessions, request: Request): boolean =>
  config.adminToken === '' || bearerOf(request) !== null || sessions.has(request);

function mustBeHere(request: Request): void {
  if (!isDirect(request)) throw notFromHere();
}

interface Attempt {
  readonly request: Request;
  readonly response: Response;
  readonly token: string;
}

/** Whoever guesses has to wait: a right token is not told from a wrong one meanwhile. */
function mustBeToken(
  { config, quotas }: HttpOptions,
  sessions: AdminSessions,
  { request, response, token }: Attempt,
): void {
  const address = quotas.addressOf(request);
  const wait = sessions.waitFor(address);
  if (wait > 0) {
    response.set('Retry-After', String(wait));
    throw new SyncError('TOO_MANY_REQUESTS', 'Too many wrong tokens from this address; try again later.');
  }
  if (!sessions.isToken(token, config.adminToken, address)) throw wrongToken();
}

/** Changes the token for a cookie. */
export async function signIn(
  options: HttpOptions,
  sessions: AdminSessions,
  request: Request,
  response: Response,
): Promise<void> {
  if (!isOwnPage(request)) throw new SyncError('FORBIDDEN', 'Only the admin page itself may sign in.');
  const { token } = read(signInSchema, request.body);
  mustBeToken(options, sessions, { request, response, token });
  const address = options.quotas.addressOf(request);
  await options.access.operated({ user: '*', action: 'sign-in', address });
  options.log('operatorSignedIn', { address });
  response
    .set('Set-Cookie', sessions.begin(isSecure(request)))
    .status(204)
    .end();
}

export function signOut(sessions: AdminSessions, request: Request, response: Response): void {
  if (!isOwnPage(request)) throw new SyncError('FORBIDDEN', 'Only the admin page itself may sign out.');
  response
    .set('Set-Cookie', sessions.end(request, isSecure(request)))
    .status(204)
    .end();
}

/** A proxy says so itself; whoever makes that up only has no cookie sent. */
const isSecure = ({ socket, headers }: Request): boolean =>
  'encrypted' in socket || headers['x-forwarded-proto'] === 'https';
