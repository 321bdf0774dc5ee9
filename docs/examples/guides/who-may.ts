/** A service that says who may see whom, which `ACCESS_URL` names: docs/guides/TOKENS.md. */
import express from 'express';
import { createRemoteJWKSet, jwtVerify } from 'jose';

export interface Provider {
  /** Address of the identity provider's public keys. */
  readonly keys: string;
  readonly issuer: string;
  readonly audience: string;
}

type Mode = 'read' | 'write' | 'none';

export function whoMay({ keys, issuer, audience }: Provider, modeOf: (who: string, whom: string) => Mode) {
  const keySet = createRemoteJWKSet(new URL(keys));
  const app = express();
  app.get('/may', async (request, response) => {
    const token = request.headers.authorization?.replace(/^Bearer /, '') ?? '';
    const person = await jwtVerify(token, keySet, { issuer, audience }).catch(() => null);
    if (person === null) return void response.sendStatus(401);
    response.json({ mode: modeOf(String(person.payload.sub), String(request.query.user)) });
  });
  return app;
}
