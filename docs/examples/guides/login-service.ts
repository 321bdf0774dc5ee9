/** A login service that hands out tokens for the sync server: docs/guides/TOKENS.md. */
import { randomUUID } from 'node:crypto';
import express from 'express';
import { SignJWT } from 'jose';

const secret = new TextEncoder().encode(process.env.JWT_SECRET);

export const app = express();

app.post('/sync-token', async (request, response) => {
  const user = userOfSession(request.headers.cookie);
  if (user === null) return void response.sendStatus(401);
  const token = await new SignJWT({ access: user.mayOpen })
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject(user.id)
    .setJti(randomUUID()) // so that this one token can be taken back
    .setIssuedAt()
    .setExpirationTime('15m')
    .sign(secret);
  response.set('Cache-Control', 'no-store').json({ token });
});

interface User {
  readonly id: string;
  /** Whose documents they may open besides their own. */
  readonly mayOpen: readonly { readonly user: string; readonly mode: 'read' | 'write' }[];
}

/** Stands for what your service has: a session that a password or a passkey opened. */
function userOfSession(cookie: string | undefined): User | null {
  if (cookie === 'session=anna') return { id: 'anna', mayOpen: [] };
  if (cookie === 'session=dr-lee') return { id: 'dr-lee', mayOpen: [{ user: 'anna', mode: 'read' }] };
  return null;
}
