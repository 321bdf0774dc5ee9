/** Revocation of tokens, for the operator of the server. */
import type { Request, Response } from 'express';
import { revocationSchema } from '../../../access/access.js';
import { SyncError } from '../../../errors.js';
import type { HttpOptions } from '../request.js';

/** From the answer on, the token, or every token of the user that was issued until now, opens nothing. */
export async function postRevoke(
  { access, log, quotas }: HttpOptions,
  request: Request,
  response: Response,
): Promise<void> {
  const parsed = revocationSchema.safeParse(request.body);
  if (!parsed.success) {
    throw new SyncError('INVALID_MESSAGE', 'The body has to be {"jti":…}, {"jti":…,"exp":…} or {"user":…}.');
  }
  const revocation = parsed.data;
  const user = 'user' in revocation ? revocation.user : '*';
  const address = quotas.addressOf(request);
  const what = 'jti' in revocation ? { jti: revocation.jti } : undefined;
  await access.performed({ user, action: 'revoke', address, what }, () => access.revoke(revocation));
  log('revoked', { what: 'user' in revocation ? `all tokens of user ${revocation.user}` : 'one token' });
  response.json({ revoked: revocation });
}
