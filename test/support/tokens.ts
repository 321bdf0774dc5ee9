/** Tokens of an issuer that shares a secret with the server. */
import { SignJWT } from 'jose';

export const SECRET = 'the secret of the tests, which has more than 32 bytes';
/** Options of a server that takes these tokens. */
export const JWT = { AUTH: 'jwt', JWT_SECRET: SECRET } as const;

export interface Grant {
  readonly user: string;
  readonly mode: 'read' | 'write';
}

export interface Claims {
  readonly access?: readonly Grant[];
  readonly jti?: string;
  /** Seconds from now; negative for the past. */
  readonly expiresIn?: number;
  readonly more?: Readonly<Record<string, unknown>>;
  readonly secret?: string;
}

export const seconds = (ms = Date.now()): number => Math.floor(ms / 1000);

export function tokenFor(sub: string, claims: Claims = {}): Promise<string> {
  const { access, jti, expiresIn = 300, more = {}, secret = SECRET } = claims;
  const now = seconds();
  const payload = {
    sub,
    iat: now,
    exp: now + expiresIn,
    ...(access && { access }),
    ...(jti && { jti }),
    ...more,
  };
  return new SignJWT(payload).setProtectedHeader({ alg: 'HS256' }).sign(Buffer.from(secret));
}

export const bearer = (token: string): { authorization: string } => ({ authorization: `Bearer ${token}` });
