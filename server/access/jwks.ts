/** The public keys of an identity provider: fetched when one is needed, kept, and rotated. */
import { createLocalJWKSet, createRemoteJWKSet, customFetch, errors, type JWTVerifyGetKey } from 'jose';
import { SyncError } from '../errors.js';

const TIMEOUT = 5_000;
/** The shortest time from one fetch to the next: a key that is not known may be made up. */
const COOLDOWN = 30_000;
const MAX_AGE = 600_000;
/** While the provider does not answer, its last keys are used for so long. */
const MAX_AGE_WITHOUT_ANSWER = 3_600_000;

export function remoteKeys(url: URL, now: () => number): JWTVerifyGetKey {
  let answeredAt = Number.NEGATIVE_INFINITY;
  const remote = createRemoteJWKSet(url, {
    timeoutDuration: TIMEOUT,
    cooldownDuration: COOLDOWN,
    cacheMaxAge: MAX_AGE,
    [customFetch]: async (address, options) => {
      const response = await fetch(address, options);
      if (response.ok) answeredAt = now();
      return response;
    },
  });
  return async (header, token) => {
    try {
      return await remote(header, token);
    } catch (cause) {
      if (isTokensFault(cause)) throw cause;
      const last = now() - answeredAt < MAX_AGE_WITHOUT_ANSWER ? remote.jwks() : undefined;
      // Whether a key that is not among the last ones is new or made up can't be told now.
      const unavailable = new SyncError('ACCESS_UNAVAILABLE', undefined, { cause });
      if (last === undefined) throw unavailable;
      return await createLocalJWKSet(last)(header, token).catch(() => Promise.reject(unavailable));
    }
  };
}

const isTokensFault = (error: unknown): boolean =>
  error instanceof errors.JWKSNoMatchingKey ||
  error instanceof errors.JWKSMultipleMatchingKeys ||
  error instanceof errors.JOSENotSupported;
