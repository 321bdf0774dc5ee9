/** Which tokens are good, and what they allow (A2). */
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportJWK, SignJWT, UnsecuredJWT } from 'jose';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { Access } from '../../../server/access/access.js';
import { type Mode, modeByToken, type Person } from '../../../server/access/principal.js';
import { TokenReader } from '../../../server/access/token.js';
import { openKeys } from '../../../server/access/token-keys.js';
import { ConfigError, readConfig } from '../../../server/config.js';
import { SyncError } from '../../../server/errors.js';
import { user } from '../../support/notes.js';
import { SECRET, seconds, tokenFor } from '../../support/tokens.js';

type Options = Readonly<Record<string, string>>;

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const ed = generateKeyPairSync('ed25519');
const pem = (key: KeyObject): string => key.export({ type: 'spki', format: 'pem' }).toString();

const reader = (options: Options = { JWT_SECRET: SECRET }, now = Date.now): Promise<TokenReader> =>
  TokenReader.open(readConfig({ AUTH: 'jwt', ...options }), now);

/** What comes of a token: the person, or the code and the cause that the log would name. */
async function outcome(token: string, options?: Options, now?: () => number): Promise<Person | string> {
  return (await reader(options, now)).read(token).catch((error: unknown) => {
    if (!(error instanceof SyncError)) throw error;
    return error.code;
  });
}

const problem = async (options: Options): Promise<string> => {
  const config = readConfig(options);
  return await Access.create(config, Date.now).then(
    () => 'none',
    (error: unknown) => (error instanceof ConfigError ? error.message : Promise.reject(error)),
  );
};

const signed = (alg: string, key: KeyObject, header: object = {}, more: object = {}): Promise<string> =>
  new SignJWT({ sub: 'anna', exp: seconds() + 60, ...more }).setProtectedHeader({ alg, ...header }).sign(key);

describe('[A2] claims', () => {
  test('sub is the user, exp ends it, jti and access are read', async () => {
    const access = [{ user: 'bert', mode: 'read' } as const, { user: 'carl', mode: 'write' } as const];
    const person = await outcome(await tokenFor('anna', { access, jti: 'one', expiresIn: 60 }));
    expect(person).toMatchObject({ kind: 'person', sub: 'anna', jti: 'one' });
    expect((person as Person).access).toEqual(
      new Map([
        ['bert', 'read'],
        ['carl', 'write'],
      ]),
    );
  });

  test.each([
    ['no exp', { exp: undefined }],
    ['no sub', { sub: undefined }],
    ['a sub that is no user id', { sub: 'anna/bert' }],
    ['a sub that is a number', { sub: 7 }],
    ['an exp that is a text', { exp: '2999-01-01' }],
    ['an audience, where none is expected', { aud: 'another service' }],
    ['access that is no list', { access: { user: 'bert', mode: 'write' } }],
    ['access in a mode that does not exist', { access: [{ user: 'bert', mode: 'admin' }] }],
    ['access to what is no user', { access: [{ user: 'a/*', mode: 'read' }] }],
    ['more access than a token may have', { access: Array(5001).fill({ user: 'bert', mode: 'read' }) }],
  ])('a token with %s is refused', async (_, more) => {
    expect(await outcome(await tokenFor('anna', { more }))).toBe('UNAUTHORIZED');
  });

  test.each([
    ['exp', 29, 'good'],
    ['exp', 31, 'UNAUTHORIZED'],
    ['nbf', 29, 'good'],
    ['nbf', 31, 'UNAUTHORIZED'],
  ])('%s is checked with 30 s of tolerance: %i s beyond it', async (claim, beyond, expected) => {
    const now = 1_700_000_000;
    const more = { exp: now + 60, [claim]: claim === 'exp' ? now - beyond : now + beyond };
    const found = await outcome(await tokenFor('anna', { more }), undefined, () => now * 1000);
    expect(typeof found === 'string' ? found : 'good').toBe(expected);
  });

  test('a token ends at its exp; one that got in by the tolerance, with the tolerance', async () => {
    const now = 1_700_000_000;
    const end = async (exp: number) => {
      const person = await outcome(await tokenFor('anna', { more: { exp } }), undefined, () => now * 1000);
      return (person as Person).expiresAt / 1000 - now;
    };
    expect([await end(now + 5), await end(now - 5)]).toEqual([5, 25]);
  });

  test('issuer and audience have to be right where they are set', async () => {
    const options = { JWT_SECRET: SECRET, JWT_ISSUER: 'us', JWT_AUDIENCE: 'sync' };
    const with_ = async (more: object) => {
      const found = await outcome(await tokenFor('anna', { more: { ...more } }), options);
      return typeof found === 'string' ? found : 'good';
    };
    expect(await with_({ iss: 'us', aud: 'sync' })).toBe('good');
    expect(await with_({ iss: 'us', aud: ['other', 'sync'] })).toBe('good');
    for (const more of [
      { iss: 'us' },
      { aud: 'sync' },
      { iss: 'them', aud: 'sync' },
      { iss: 'us', aud: 'other' },
    ]) {
      expect(await with_(more)).toBe('UNAUTHORIZED');
    }
  });
});

describe('[A2] JWT_USER_CLAIM', () => {
  const CLAIM = 'https://clinic.example/user_id';
  const options = { JWT_SECRET: SECRET, JWT_USER_CLAIM: CLAIM };

  test('the claim that it names is the user, and sub need not be there', async () => {
    for (const sub of ['auth0|64f0', undefined]) {
      const token = await tokenFor('unused', { more: { sub, [CLAIM]: 'anna+test@x.org' } });
      expect(await outcome(token, options)).toMatchObject({ kind: 'person', sub: 'anna+test@x.org' });
    }
  });

  test.each([
    ['without it', undefined, `The token has no claim '${CLAIM}'.`],
    ['with a number', 7, `The claim '${CLAIM}' is not a valid user id: it is not a text.`],
    ['with a space', 'Anna B', `The claim '${CLAIM}' is not a valid user id: it has white space.`],
  ])('a token %s is refused, sub or not', async (_, value, sentence) => {
    const token = await tokenFor('anna', { more: { [CLAIM]: value } });
    await expect((await reader(options)).read(token)).rejects.toMatchObject({
      code: 'UNAUTHORIZED',
      message: sentence,
    });
  });
});

describe('[A2] the cause of a refusal, in words', () => {
  const now = 1_700_000_000;
  const options = { JWT_SECRET: SECRET, JWT_ISSUER: 'us', JWT_AUDIENCE: 'sync' };
  const good = { iss: 'us', aud: 'sync', exp: now + 60 };
  const AUD = "Wrong audience: the claim 'aud' of the token does not name JWT_AUDIENCE of the server.";

  test.each<[string, object, string]>([
    ['expired', { exp: now - 180 }, 'The token expired 3 min ago.'],
    ['just expired', { exp: now - 40 }, 'The token expired 40 s ago.'],
    ['long expired', { exp: now - 400_000 }, 'The token expired 5 days ago.'],
    ['not good yet', { nbf: now + 7_300 }, 'The token is not good before 2 h from now.'],
    ['no exp', { exp: undefined }, "The token has no claim 'exp'."],
    ['no sub', { sub: undefined }, "The token has no claim 'sub'."],
    ['another audience', { aud: 'secret-service' }, AUD],
    ['no audience', { aud: undefined }, "The token has no claim 'aud'."],
    [
      'another issuer',
      { iss: 'x' },
      "Wrong issuer: the claim 'iss' of the token is not JWT_ISSUER of the server.",
    ],
    [
      'a user that is none',
      { sub: 'a/b' },
      "The claim 'sub' is not a valid user id: it has one of / \\ ? # %.",
    ],
    [
      'a reserved user',
      { sub: '~shared' },
      "The claim 'sub' is not a valid user id: it begins with ~, which is reserved.",
    ],
    [
      'access to nobody',
      {
        access: [
          { user: 'x', mode: 'read' },
          { user: '', mode: 'read' },
        ],
      },
      "The claim 'access.1.user' is not a valid user id: it is empty.",
    ],
    [
      'a mode',
      { access: [{ user: 'x', mode: 'all' }] },
      "The claim 'access.0.mode' is neither read nor write.",
    ],
    ['an exp in words', { exp: 'never' }, "The claim 'exp' is not valid."],
  ])('%s', async (_, more, sentence) => {
    const token = await tokenFor('anna', { more: { ...good, iat: now, ...more } });
    const error = await (await reader(options, () => now * 1000))
      .read(token)
      .catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'UNAUTHORIZED', message: sentence });
    expect(Buffer.byteLength(sentence)).toBeLessThanOrEqual(123); // fits into a close frame
  });

  test('of what is not signed by who may do so, nothing of the claims is told', async () => {
    const tokens = await reader(options, () => now * 1000);
    const forged = await tokenFor('anna', {
      secret: 'another secret, which is long enough',
      more: { exp: 1 },
    });
    const algorithm = await signed('ES256', ec.privateKey, {}, { exp: 1 });
    const [head, , signature] = (await tokenFor('anna')).split('.');
    for (const [token, sentence] of [
      [forged, /^The signature of the token is not valid/],
      [algorithm, /^The token is signed with an algorithm/],
      [`${head}.e30.${signature}`, /^The signature of the token is not valid/],
      ['nonsense', /^The token is no JSON Web Token/],
      ['x'.repeat(200_000), /^The token is longer/],
    ] as const) {
      await expect(tokens.read(token)).rejects.toMatchObject({
        code: 'UNAUTHORIZED',
        message: expect.stringMatching(sentence),
      });
    }
  });
});

describe('[A2] signatures', () => {
  test('none, a wrong secret and a changed byte are refused', async () => {
    const good = await tokenFor('anna');
    const [head, body, signature = ''] = good.split('.');
    const other = await tokenFor('bert');
    const wrong = [
      new UnsecuredJWT({ sub: 'anna', exp: seconds() + 60 }).encode(),
      await tokenFor('anna', { secret: `${SECRET}!` }),
      `${head}.${other.split('.')[1]}.${signature}`,
      `${head}.${body}.`,
      `${head}.${body}`,
      '',
      'x'.repeat(20_000),
    ];
    expect(await outcome(good)).toMatchObject({ sub: 'anna' });
    for (const token of wrong) expect(await outcome(token)).toBe('UNAUTHORIZED');
  });

  test('a public key takes its own algorithm, and never a signature made with its text', async () => {
    for (const [alg, pair] of [
      ['RS256', rsa],
      ['ES256', ec],
      ['EdDSA', ed],
    ] as const) {
      const text = pem(pair.publicKey);
      expect(await outcome(await signed(alg, pair.privateKey), { JWT_PUBLIC_KEY: text })).toMatchObject({
        sub: 'anna',
      });
      expect(await outcome(await tokenFor('anna', { secret: text }), { JWT_PUBLIC_KEY: text })).toBe(
        'UNAUTHORIZED',
      );
      expect(await outcome(await tokenFor('anna', { secret: text.trim() }), { JWT_PUBLIC_KEY: text })).toBe(
        'UNAUTHORIZED',
      );
    }
    const options = { JWT_PUBLIC_KEY: pem(rsa.publicKey) };
    expect(await outcome(await signed('PS256', rsa.privateKey), options)).toBe('UNAUTHORIZED');
    const named = { ...options, JWT_ALGORITHMS: 'PS256' };
    expect(await outcome(await signed('PS256', rsa.privateKey), named)).toMatchObject({ sub: 'anna' });
    expect(await outcome(await signed('RS256', rsa.privateKey), named)).toBe('UNAUTHORIZED');
  });

  test('the public key may be in a file, or in one line', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'key-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const file = join(folder, 'public.pem');
    await writeFile(file, pem(ec.publicKey));
    const token = await signed('ES256', ec.privateKey);
    expect(await outcome(token, { JWT_PUBLIC_KEY: file })).toMatchObject({ sub: 'anna' });
    const line = pem(ec.publicKey).replaceAll('\n', '\\n');
    expect(await outcome(token, { JWT_PUBLIC_KEY: line })).toMatchObject({ sub: 'anna' });
  });
});

/** The time of day stands still but for what a test lets pass; timers go on. */
function useTime(): { pass(ms: number): void } {
  vi.useFakeTimers({ toFake: ['Date'] });
  onTestFinished(() => void vi.useRealTimers());
  return { pass: (ms) => void vi.setSystemTime(Date.now() + ms) };
}

/** An identity provider that counts how often it is asked. */
class Provider {
  keys: { kid: string; key: KeyObject }[] = [];
  asked = 0;
  /** What it does with a question. */
  mood: 'answers' | 'fails' | 'hangs' = 'answers';
  readonly #server: Server;

  constructor() {
    this.#server = createServer(async (_request, response) => {
      this.asked++;
      if (this.mood === 'hangs') return;
      if (this.mood === 'fails') return void response.writeHead(500).end();
      const keys = await Promise.all(
        this.keys.map(async ({ kid, key }) => ({ ...(await exportJWK(key)), kid })),
      );
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ keys }));
    });
  }

  static async start(): Promise<Provider> {
    const provider = new Provider();
    await new Promise<void>((resolve) => provider.#server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => {
      provider.#server.closeAllConnections();
      provider.#server.close();
    });
    return provider;
  }

  get options(): Options {
    const { port } = this.#server.address() as AddressInfo;
    return { JWT_JWKS_URL: `http://127.0.0.1:${port}/jwks`, JWT_AUDIENCE: 'sync' };
  }
}

describe('[A2] keys of an identity provider', () => {
  const issued = (kid: string, key: KeyObject, more: object = {}) =>
    signed('ES256', key, { kid }, { aud: 'sync', ...more });

  test('they are fetched once, kept, and a made-up key id does not have them fetched again and again', async () => {
    const provider = await Provider.start();
    provider.keys = [{ kid: 'a', key: ec.publicKey }];
    const tokens = await reader(provider.options);
    const good = await issued('a', ec.privateKey);
    await Promise.all([tokens.read(good), tokens.read(good)]);
    for (let i = 0; i < 20; i++) {
      await expect(tokens.read(await issued(`made-up-${i}`, ec.privateKey))).rejects.toMatchObject({
        code: 'UNAUTHORIZED',
      });
    }
    expect(provider.asked).toBe(1);
  });

  test('a token for another service, and one signed with the text of the key, are refused', async () => {
    const provider = await Provider.start();
    provider.keys = [{ kid: 'a', key: ec.publicKey }];
    const tokens = await reader(provider.options);
    const elsewhere = await issued('a', ec.privateKey, { aud: 'billing' });
    const forged = await new SignJWT({ sub: 'anna', aud: 'sync', exp: seconds() + 60 })
      .setProtectedHeader({ alg: 'HS256', kid: 'a' })
      .sign(Buffer.from(pem(ec.publicKey)));
    for (const token of [elsewhere, forged]) {
      await expect(tokens.read(token)).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
    }
  });

  test('they are rotated: a new one is fetched when a token names it, one that is gone opens nothing', async () => {
    const time = useTime();
    const provider = await Provider.start();
    provider.keys = [{ kid: 'a', key: ec.publicKey }];
    const tokens = await reader(provider.options);
    await tokens.read(await issued('a', ec.privateKey));
    const next = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    provider.keys = [{ kid: 'b', key: next.publicKey }];
    time.pass(31_000);
    await expect(tokens.read(await issued('b', next.privateKey))).resolves.toMatchObject({ sub: 'anna' });
    await expect(tokens.read(await issued('a', ec.privateKey))).rejects.toMatchObject({
      code: 'UNAUTHORIZED',
    });
    expect(provider.asked).toBe(2);
  });

  test('while the provider does not answer, its last keys are good for an hour, and no longer', async () => {
    const time = useTime();
    const provider = await Provider.start();
    provider.keys = [{ kid: 'a', key: ec.publicKey }];
    const tokens = await reader(provider.options);
    await tokens.read(await issued('a', ec.privateKey));
    provider.mood = 'fails';
    time.pass(59 * 60_000);
    await expect(tokens.read(await issued('a', ec.privateKey))).resolves.toMatchObject({ sub: 'anna' });
    // New, or made up? That can't be told now.
    const unknown = tokens.read(await issued('b', ec.privateKey));
    await expect(unknown).rejects.toMatchObject({ code: 'ACCESS_UNAVAILABLE' });
    time.pass(2 * 60_000);
    const late = tokens.read(await issued('a', ec.privateKey));
    await expect(late).rejects.toMatchObject({ code: 'ACCESS_UNAVAILABLE' });
    expect(provider.asked).toBeGreaterThan(1);
  });

  test('one that hangs is waited for 5 s', async () => {
    const provider = await Provider.start();
    provider.mood = 'hangs';
    const tokens = await reader(provider.options);
    const began = performance.now();
    const read = tokens.read(await issued('a', ec.privateKey));
    await expect(read).rejects.toMatchObject({ code: 'ACCESS_UNAVAILABLE' });
    expect(performance.now() - began).toBeGreaterThan(4_900);
  });

  test('while the provider does not answer, nobody is told that the token is wrong', async () => {
    const provider = await Provider.start();
    provider.keys = [{ kid: 'a', key: ec.publicKey }];
    provider.mood = 'fails';
    const tokens = await reader(provider.options);
    const good = await issued('a', ec.privateKey);
    await expect(tokens.read(good)).rejects.toMatchObject({ code: 'ACCESS_UNAVAILABLE', closeCode: 1013 });
    provider.mood = 'answers';
    await expect(tokens.read(good)).resolves.toMatchObject({ sub: 'anna' });
  });
});

describe('[A1 A2] options that do not fit stop the start with a sentence', () => {
  const jwt = (options: Options) => problem({ AUTH: 'jwt', ...options });
  const RSA = pem(rsa.publicKey);

  test.each([
    [{}, /needs one of JWT_SECRET, JWT_PUBLIC_KEY and JWT_JWKS_URL; none is set/],
    [{ JWT_SECRET: SECRET, JWT_PUBLIC_KEY: RSA }, /2 are set/],
    [{ JWT_SECRET: 'a'.repeat(31) }, /JWT_SECRET has 31 bytes; HS256 needs at least 32/],
    [{ JWT_SECRET: SECRET, JWT_ALGORITHMS: 'HS512' }, /needs at least 64/],
    [{ JWT_SECRET: SECRET, JWT_ALGORITHMS: 'none' }, /JWT_ALGORITHMS names "none"/],
    [{ JWT_SECRET: SECRET, JWT_ALGORITHMS: 'RS256' }, /JWT_ALGORITHMS names "RS256"/],
    [{ JWT_PUBLIC_KEY: RSA, JWT_ALGORITHMS: 'RS256,HS256' }, /JWT_ALGORITHMS names "HS256"/],
    [{ JWT_PUBLIC_KEY: RSA, JWT_ALGORITHMS: 'ES256' }, /JWT_ALGORITHMS names "ES256"/],
    [{ JWT_PUBLIC_KEY: 'no/such/file.pem' }, /neither a PEM nor a file that can be read \(ENOENT\)/],
    [{ JWT_PUBLIC_KEY: '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----' }, /is not a public key/],
    [
      { JWT_PUBLIC_KEY: rsa.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() },
      /is a private key; give the server the public one/,
    ],
    [
      { JWT_PUBLIC_KEY: pem(generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey) },
      /of a kind that is not supported/,
    ],
    [{ JWT_JWKS_URL: 'http://login.example/jwks', JWT_AUDIENCE: 'sync' }, /has to be an https address/],
    [{ JWT_JWKS_URL: 'https://login.example/jwks' }, /needs JWT_AUDIENCE/],
    [
      { JWT_JWKS_URL: 'https://login.example/jwks', JWT_AUDIENCE: 'sync', JWT_ALGORITHMS: 'HS256' },
      /JWT_ALGORITHMS names "HS256"/,
    ],
    [{ JWT_SECRET: SECRET, ADMIN_TOKEN: 'short' }, /ADMIN_TOKEN has to have at least 16 letters/],
  ])('%#', async (options, sentence) => {
    const said = await jwt(options as Options);
    expect(said).toMatch(sentence);
    for (const secret of [SECRET, 'a'.repeat(31), 'short']) expect(said).not.toContain(secret);
  });

  test('a key that nobody would look at is refused, too', async () => {
    expect(await problem({ AUTH: 'none', JWT_SECRET: SECRET })).toMatch(
      /JWT_SECRET is set, but AUTH is none/,
    );
    expect(await problem({ AUTH: 'none' })).toBe('none');
    expect(await jwt({ JWT_SECRET: SECRET })).toBe('none');
  });

  test('each kind of public key has the default that fits it', async () => {
    const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey;
    const algorithms = async (key: KeyObject) =>
      (await openKeys(readConfig({ AUTH: 'jwt', JWT_PUBLIC_KEY: pem(key) }))).algorithms;
    expect(await algorithms(rsa.publicKey)).toEqual(['RS256']);
    expect(await algorithms(ec.publicKey)).toEqual(['ES256']);
    expect(await algorithms(p384)).toEqual(['ES384']);
    expect(await algorithms(ed.publicKey)).toEqual(['EdDSA']);
  });
});

describe('[A2] may', () => {
  const person = (...access: [string, Mode][]): Person => ({
    kind: 'person',
    sub: user('anna'),
    access: new Map(access.map(([name, mode]) => [user(name), mode])),
    writesShared: false,
    jti: null,
    issuedAt: null,
    expiresAt: 0,
  });

  test.each([
    [person(), 'anna', true, true],
    [person(), 'bert', false, false],
    [person(['bert', 'read']), 'bert', true, false],
    [person(['bert', 'write']), 'bert', true, true],
    [person(['bert', 'write']), 'carl', false, false],
    [person(['anna', 'read']), 'anna', true, false],
  ])('%#: read and write', (principal, name, read, write) => {
    expect(modeByToken(principal, user(name))).toBe(write ? 'write' : read ? 'read' : null);
  });

  test('of two entries for one user the stronger one counts, in either order', async () => {
    const [read, write] = [{ user: 'bert', mode: 'read' } as const, { user: 'bert', mode: 'write' } as const];
    for (const access of [
      [read, write],
      [write, read],
    ]) {
      expect((await outcome(await tokenFor('anna', { access }))) as Person).toMatchObject({
        access: new Map([['bert', 'write']]),
      });
    }
  });
});
