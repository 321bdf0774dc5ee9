/** What docs/guides/TOKENS.md says: tokens of a login service, of identity providers, and who may see whom. */
import '../support/web-globals.js';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose';
import { afterEach, expect, onTestFinished, test, vi } from 'vitest';
import { syncManager } from '../../client/index.js';
import { getToken, signIn } from '../../docs/examples/guides/sign-in.js';
import { whoMay } from '../../docs/examples/guides/who-may.js';
import { read } from '../project/sources.js';
import { bearer, JWT, SECRET } from '../support/tokens.js';
import { useServer } from '../support/use.js';

afterEach(() => {
  vi.unstubAllGlobals();
  vi.unstubAllEnvs();
});

async function listening(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** What `export NAME=value` lines of the guide set, in the section of that title. */
function optionsOf(title: string): Record<string, string> {
  const section = read('docs/guides/TOKENS.md').split(`## ${title}\n`)[1]?.split('\n## ')[0] ?? '';
  return Object.fromEntries(
    [...section.matchAll(/^export (\w+)=(\S+)/gm)].map(([, name, value]) => [name, value]),
  );
}

/** Gives out public keys as Keycloak does, with one that is for encryption, and signs with another. */
async function useProvider() {
  const [signing, encrypting] = [
    await generateKeyPair('RS256'),
    await generateKeyPair('RSA-OAEP', { extractable: true }),
  ];
  const keys = [
    { ...(await exportJWK(encrypting.publicKey)), kid: 'e', alg: 'RSA-OAEP', use: 'enc' },
    { ...(await exportJWK(signing.publicKey)), kid: 's', alg: 'RS256', use: 'sig' },
  ];
  const url = await listening(createServer((_, response) => response.end(JSON.stringify({ keys }))));
  const sign = (claims: JWTPayload): Promise<string> =>
    new SignJWT(claims)
      .setProtectedHeader({ alg: 'RS256', kid: 's', typ: 'JWT' })
      .setIssuedAt()
      .setExpirationTime('5m')
      .sign(signing.privateKey);
  return { url, sign };
}

const asked = async (url: string, user: string, token: string): Promise<number> =>
  (await fetch(`${url}/api/sync/${encodeURIComponent(user)}`, { headers: bearer(token) })).status;

test('[A1 C6] a session of the login service becomes a connection; without one the app is asked to sign in', async () => {
  vi.stubEnv('JWT_SECRET', SECRET);
  const { app } = await import('../../docs/examples/guides/login-service.js');
  const login = await listening(createServer(app));
  const server = await useServer(JWT);
  const real = fetch;
  let cookie = 'session=dr-lee';
  const page = (path: string | URL | Request, init?: RequestInit) =>
    path === '/sync-token' ? real(`${login}${path}`, { ...init, headers: { cookie } }) : real(path, init);
  vi.stubGlobal('fetch', page);

  const token = (await getToken()) ?? '';
  expect(await asked(server.url, 'dr-lee', token)).toBe(200);
  expect(await asked(server.url, 'anna', token)).toBe(200);
  expect(await asked(server.url, 'bea', token)).toBe(403);
  cookie = 'session=nobody';
  expect(await getToken()).toBeNull();

  onTestFinished(() => syncManager.close());
  await signIn(server.url, 'dr-lee');
  await until(() => syncManager.status.current.connection === 'needs-token');
  cookie = 'session=dr-lee';
  await syncManager.connect();
  await syncManager.whenSynced(); // over HTTP, perhaps
  await until(() => syncManager.status.current.connection === 'online');
});

function until(look: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const stop = syncManager.status.subscribe(() => {
      if (look()) resolve(stop());
    });
    if (look()) resolve(stop());
  });
}

test('[A1] the options for Auth0 take its tokens, and no others', async () => {
  const provider = await useProvider();
  const options = optionsOf('Auth0');
  const server = await useServer({ ...options, JWT_JWKS_URL: provider.url });
  const iss = options.JWT_ISSUER as string;
  const claims = {
    iss,
    sub: 'auth0|64f0',
    aud: [options.JWT_AUDIENCE as string, `${iss}userinfo`],
    azp: 'app',
  };
  expect(await asked(server.url, 'auth0|64f0', await provider.sign(claims))).toBe(200);
  expect(await asked(server.url, 'auth0|64f1', await provider.sign(claims))).toBe(403);
  const bad = [{ iss: iss.slice(0, -1) }, { aud: 'https://other.example' }];
  for (const wrong of bad) {
    expect(await asked(server.url, 'auth0|64f0', await provider.sign({ ...claims, ...wrong }))).toBe(401);
  }
});

test('[A1] the options for Keycloak take its tokens, by id and by name', async () => {
  const provider = await useProvider();
  const options = optionsOf('Keycloak');
  const sub = '8e5b4ba4-1c0a-4d5e-9f36-6d6e0e8a6f11';
  const claims = {
    iss: options.JWT_ISSUER as string,
    sub,
    aud: [options.JWT_AUDIENCE as string, 'account'],
    typ: 'Bearer',
    preferred_username: 'anna',
    realm_access: { roles: ['offline_access'] },
  };
  const byId = await useServer({ ...options, JWT_JWKS_URL: provider.url });
  expect(await asked(byId.url, sub, await provider.sign(claims))).toBe(200);
  expect(await asked(byId.url, sub, await provider.sign({ ...claims, aud: 'account' }))).toBe(401);
  const byName = await useServer({
    ...options,
    JWT_JWKS_URL: provider.url,
    JWT_USER_CLAIM: 'preferred_username',
  });
  expect(await asked(byName.url, 'anna', await provider.sign(claims))).toBe(200);
});

test('[A2] the service of the guide says who may see whom, and turns away who has no good token', async () => {
  const provider = await useProvider();
  const options = optionsOf('Auth0');
  const [issuer, audience] = [options.JWT_ISSUER as string, options.JWT_AUDIENCE as string];
  const treats = (who: string, whom: string) => (who === 'dr-lee' && whom === 'anna' ? 'read' : 'none');
  const may = await listening(createServer(whoMay({ keys: provider.url, issuer, audience }, treats)));
  const server = await useServer({ ...options, JWT_JWKS_URL: provider.url, ACCESS_URL: `${may}/may` });
  const token = await provider.sign({ iss: issuer, aud: audience, sub: 'dr-lee' });
  expect(await asked(server.url, 'anna', token)).toBe(200);
  expect(await asked(server.url, 'bea', token)).toBe(403);
  const foreign = await provider.sign({ iss: 'https://elsewhere.example', aud: audience, sub: 'dr-lee' });
  expect((await fetch(`${may}/may?user=anna`, { headers: bearer(foreign) })).status).toBe(401);
});
