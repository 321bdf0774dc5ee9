/** Who may use the admin page and its API: the bearer of `ADMIN_TOKEN`, or of the cookie that it was changed for. */
import type { Request, RequestHandler, Response } from 'express';
import { z } from 'zod';
import { SyncError } from '../../../errors.js';
import {
  type Attempt,
  bearerOf,
  isDirect,
  isOwnPage,
  notFromHere,
  wrongToken,
} from '../../guard/admin-guard.js';
import type { AdminSessions } from '../../guard/admin-sessions.js';
import { type HttpOptions, read } from '../request.js';
import type { AdminOptions } from './options.js';

const signInSchema = z.object({ token: z.string().max(10_000) });

/** Lets operators in, and nobody else. */
export function operatorOnly({ config, guard }: AdminOptions, sessions: AdminSessions): RequestHandler {
  const { adminToken } = config;
  return (request, response, next) => {
    response.set('Cache-Control', 'private, no-store');
    const token = bearerOf(request);
    if (token !== null && adminToken !== '') guard.mustBeToken({ request, response, token });
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

/** Changes the token for a cookie. */
export async function signIn(
  options: AdminOptions,
  sessions: AdminSessions,
  request: Request,
  response: Response,
): Promise<void> {
  if (!isOwnPage(request)) throw new SyncError('FORBIDDEN', 'Only the admin page itself may sign in.');
  const { token } = read(signInSchema, request.body);
  await mustSignIn(options, { request, response, token });
  const address = options.quotas.addressOf(request);
  await options.access.operated({ user: '*', action: 'sign-in', address });
  options.log('operatorSignedIn', { address });
  response
    .set('Set-Cookie', sessions.begin(request, isSecure(request)))
    .status(204)
    .end();
}

/** A wrong token is a line of the audit trail, as far as whoever guesses need not wait. */
async function mustSignIn({ guard, access, quotas }: AdminOptions, attempt: Attempt): Promise<void> {
  try {
    guard.mustBeToken(attempt);
  } catch (error) {
    const isWrong = error instanceof SyncError && error.code === 'UNAUTHORIZED';
    if (isWrong) await access.refusedOperator(quotas.addressOf(attempt.request));
    throw error;
  }
}

/** The session is over even where that can't be written into the audit trail. */
export async function signOut(
  { access, quotas }: HttpOptions,
  sessions: AdminSessions,
  request: Request,
  response: Response,
): Promise<void> {
  if (!isOwnPage(request)) throw new SyncError('FORBIDDEN', 'Only the admin page itself may sign out.');
  const wasIn = sessions.has(request);
  response.set('Set-Cookie', sessions.end(request, isSecure(request)));
  const address = quotas.addressOf(request);
  if (wasIn) await access.operated({ user: '*', action: 'sign-out', address });
  response.status(204).end();
}

/** A proxy says so itself; whoever makes that up only has no cookie sent. */
const isSecure = ({ socket, headers }: Request): boolean =>
  'encrypted' in socket || headers['x-forwarded-proto'] === 'https';
