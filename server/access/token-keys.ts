/** The keys that tokens are checked with: exactly one source, and the algorithms that fit it (A2). */
import { createPublicKey, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { JWTVerifyGetKey } from 'jose';
import { type Config, ConfigError } from '../config.js';
import { remoteKeys } from './jwks.js';
import { serviceAddress } from './service-address.js';

export interface Keys {
  readonly key: Uint8Array | KeyObject | JWTVerifyGetKey;
  readonly algorithms: readonly string[];
}

export type KeySettings = Pick<
  Config,
  'jwtSecret' | 'jwtPublicKey' | 'jwtJwksUrl' | 'jwtAlgorithms' | 'jwtAudience'
>;

/** A secret has at least as many bytes as the hash (RFC 7518, 3.2). */
const SECRET_BYTES: Readonly<Record<string, number>> = { HS256: 32, HS384: 48, HS512: 64 };
const RSA = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'];
const EDWARDS = ['EdDSA', 'Ed25519'];
const CURVES: Readonly<Record<string, string>> = {
  prime256v1: 'ES256',
  secp384r1: 'ES384',
  secp521r1: 'ES512',
};
const PUBLIC = [...RSA, ...Object.values(CURVES), ...EDWARDS];
const MIN_RSA_BITS = 2048;

/**
 * Reads the key that the options name.
 *
 * @throws ConfigError with a sentence about what is wrong with it; never with what it is
 */
export async function openKeys(settings: KeySettings): Promise<Keys> {
  const { jwtSecret, jwtPublicKey, jwtJwksUrl } = settings;
  const sources = [jwtSecret, jwtPublicKey, jwtJwksUrl].filter((source) => source !== '');
  if (sources.length !== 1) {
    const found = sources.length === 0 ? 'none is set' : `${sources.length} are set`;
    return refuse(`AUTH=jwt needs one of JWT_SECRET, JWT_PUBLIC_KEY and JWT_JWKS_URL; ${found}.`);
  }
  if (jwtSecret !== '') return secretKeys(jwtSecret, settings);
  return jwtPublicKey === '' ? await jwksKeys(settings) : await publicKeys(jwtPublicKey, settings);
}

export function secretKeys(secret: string, { jwtAlgorithms }: Pick<KeySettings, 'jwtAlgorithms'>) {
  const key = Buffer.from(secret);
  const algorithms = chosen(jwtAlgorithms, ['HS256'], Object.keys(SECRET_BYTES), 'JWT_SECRET');
  const least = Math.max(...algorithms.map((name) => SECRET_BYTES[name] ?? 0));
  if (key.length < least) {
    refuse(
      `JWT_SECRET has ${key.length} bytes; ${algorithms.join(', ')} needs at least ${least} random ones.`,
    );
  }
  return { key, algorithms };
}

async function publicKeys(text: string, { jwtAlgorithms }: KeySettings): Promise<Keys> {
  const key = readPublicKey(await pemOf(text));
  const [first, ...others] = algorithmsOf(key);
  return { key, algorithms: chosen(jwtAlgorithms, [first], [first, ...others], 'this JWT_PUBLIC_KEY') };
}

async function pemOf(text: string): Promise<string> {
  if (text.includes('-----BEGIN')) return text.replaceAll('\\n', '\n');
  return await readFile(text, 'utf8').catch((error: NodeJS.ErrnoException) =>
    refuse(`JWT_PUBLIC_KEY is neither a PEM nor a file that can be read (${error.code ?? error.name}).`),
  );
}

function readPublicKey(pem: string): KeyObject {
  // Node would make the public key of it, and nobody would notice that the private one is on this server.
  if (pem.includes('PRIVATE KEY')) refuse('JWT_PUBLIC_KEY is a private key; give the server the public one.');
  try {
    return createPublicKey(pem);
  } catch {
    return refuse('JWT_PUBLIC_KEY is not a public key in PEM format.');
  }
}

/** The default first. */
function algorithmsOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): [string, ...string[]] {
  const { modulusLength = 0, namedCurve = '' } = asymmetricKeyDetails ?? {};
  const curve = CURVES[namedCurve];
  if (asymmetricKeyType === 'rsa' && modulusLength >= MIN_RSA_BITS) return ['RS256', ...RSA];
  if (asymmetricKeyType === 'ec' && curve !== undefined) return [curve];
  if (asymmetricKeyType === 'ed25519') return ['EdDSA', ...EDWARDS];
  return refuse(
    `JWT_PUBLIC_KEY is of a kind that is not supported: RSA from ${MIN_RSA_BITS} bits, P-256, P-384, P-521 and Ed25519 are.`,
  );
}

async function jwksKeys({ jwtJwksUrl, jwtAlgorithms, jwtAudience }: KeySettings): Promise<Keys> {
  const url = serviceAddress('JWT_JWKS_URL', jwtJwksUrl);
  // Its keys sign tokens for other services as well.
  if (jwtAudience === '')
    refuse('JWT_JWKS_URL needs JWT_AUDIENCE: the provider signs tokens for others, too.');
  const algorithms = chosen(jwtAlgorithms, ['RS256', 'ES256', ...EDWARDS], PUBLIC, 'JWT_JWKS_URL');
  return { key: remoteKeys(url, Date.now), algorithms };
}

/** A secret's algorithms never go with a public key: everybody could sign with its text. */
function chosen(
  wanted: readonly string[],
  usual: readonly string[],
  possible: readonly string[],
  source: string,
): readonly string[] {
  const wrong = wanted.find((name) => !possible.includes(name));
  if (wrong !== undefined) {
    const fitting = [...new Set(possible)].join(', ');
    refuse(`JWT_ALGORITHMS names ${JSON.stringify(wrong)}. With ${source}, allowed: ${fitting}.`);
  }
  return wanted.length > 0 ? wanted : usual;
}

function refuse(sentence: string): never {
  throw new ConfigError([sentence]);
}
