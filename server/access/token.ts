/** Reads a token: who is it for, and what does it allow (A2). */
import { type JWTPayload, type JWTVerifyOptions, jwtVerify } from 'jose';
import { z } from 'zod';
import { SyncError } from '../../shared/errors.js';
import { isUserId, type UserId } from '../../shared/names.js';
import type { Config } from '../config.js';
import { type KeySettings, type Keys, openKeys } from './keys.js';
import type { Mode, Person } from './principal.js';

export type TokenSettings = KeySettings & Pick<Config, 'jwtIssuer'>;

/** Clocks of servers differ; in seconds. */
export const CLOCK_TOLERANCE = 30;
const MAX_LENGTH = 16_384;
const MAX_ENTRIES = 1_000;

const userId = z.custom<UserId>(isUserId);
const seconds = z.number().nonnegative();
const claims = z.object({
  sub: userId,
  exp: seconds,
  iat: seconds.nullish(),
  jti: z.string().min(1).max(256).nullish(),
  aud: z.unknown().optional(),
  shared: z.enum(['read', 'write']).nullish(),
  access: z
    .array(z.object({ user: userId, mode: z.enum(['read', 'write']) }))
    .max(MAX_ENTRIES)
    .nullish(),
});

export class TokenReader {
  readonly #keys: Keys;
  readonly #options: JWTVerifyOptions;
  readonly #now: () => number;

  private constructor(keys: Keys, { jwtIssuer, jwtAudience }: TokenSettings, now: () => number) {
    this.#keys = keys;
    this.#now = now;
    this.#options = {
      algorithms: [...keys.algorithms],
      clockTolerance: CLOCK_TOLERANCE,
      requiredClaims: ['sub', 'exp'],
      ...(jwtIssuer === '' ? {} : { issuer: jwtIssuer }),
      ...(jwtAudience === '' ? {} : { audience: jwtAudience }),
    };
  }

  /** @throws ConfigError where the options name no key, or one that can't be used */
  static async open(settings: TokenSettings, now: () => number): Promise<TokenReader> {
    return new TokenReader(await openKeys(settings), settings, now);
  }

  /** @throws SyncError `UNAUTHORIZED`, or `ACCESS_UNAVAILABLE` where that can't be told now */
  async read(token: string): Promise<Person> {
    if (token.length > MAX_LENGTH) throw unauthorized('the token is too long');
    const payload = await this.#verify(token);
    const parsed = claims.safeParse(payload);
    if (!parsed.success)
      throw unauthorized(`the claim ${parsed.error.issues[0]?.path.join('.')} is not valid`);
    // It was made for somebody else, who is named (RFC 7519, 4.1.3).
    if (this.#options.audience === undefined && parsed.data.aud !== undefined) {
      throw unauthorized('the token has an audience, and JWT_AUDIENCE is not set');
    }
    return this.#personOf(parsed.data);
  }

  async #verify(token: string): Promise<JWTPayload> {
    const options = { ...this.#options, currentDate: new Date(this.#now()) };
    const { key } = this.#keys;
    try {
      const verified =
        typeof key === 'function'
          ? await jwtVerify(token, key, options)
          : await jwtVerify(token, key, options);
      return verified.payload;
    } catch (error) {
      throw error instanceof SyncError ? error : unauthorized('the token is not valid', error);
    }
  }

  #personOf({ sub, exp, iat, jti, access, shared }: z.output<typeof claims>): Person {
    const isPast = exp * 1000 <= this.#now(); // it got in by the tolerance, which then holds for its end, too
    return {
      kind: 'person',
      sub,
      access: strongest(access ?? []),
      writesShared: shared === 'write',
      jti: jti ?? null,
      issuedAt: iat == null ? null : iat * 1000,
      expiresAt: (isPast ? exp + CLOCK_TOLERANCE : exp) * 1000,
    };
  }
}

/** A user who is named twice is named once with the more that was given. */
function strongest(entries: readonly { user: UserId; mode: Mode }[]): Map<UserId, Mode> {
  const access = new Map<UserId, Mode>();
  for (const { user, mode } of entries) if (access.get(user) !== 'write') access.set(user, mode);
  return access;
}

/** One answer for all that can be wrong; the cause, which names no part of the token, is for the log. */
export function unauthorized(why: string, cause?: unknown): SyncError {
  return new SyncError('UNAUTHORIZED', undefined, { cause: new Error(why, { cause }) });
}
