/** Who may see what only the operator should see. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { RequestHandler } from 'express';
import { SyncError } from '../../shared/errors.js';
import type { Config } from '../config.js';

const LOOPBACK = /^(::1|(::ffff:)?127\.\d+\.\d+\.\d+)$/;

/** Lets in who has `ADMIN_TOKEN`; where it is not set, this machine, but nobody through a proxy on it. */
export function adminOnly({ adminToken }: Pick<Config, 'adminToken'>): RequestHandler {
  return (request, _response, next) => {
    const isAdmin = adminToken === '' ? isLocal(request) : hasToken(request, adminToken);
    next(isAdmin ? undefined : new SyncError('ADMIN_ONLY'));
  };
}

function isLocal({ socket, headers }: IncomingMessage): boolean {
  const isForwarded = 'x-forwarded-for' in headers || 'forwarded' in headers;
  return !isForwarded && LOOPBACK.test(socket.remoteAddress ?? '');
}

function hasToken({ headers }: IncomingMessage, token: string): boolean {
  const given = /^Bearer (.+)$/i.exec(headers.authorization ?? '')?.[1] ?? '';
  return timingSafeEqual(hashOf(given), hashOf(token));
}

/** Of one length, whatever was given. */
const hashOf = (text: string): Buffer => createHash('sha256').update(text).digest();
