/** Reads a token: who is it for, and what does it allow (A2). */
import { type JWTPayload, type JWTVerifyOptions, jwtVerify } from 'jose';
import { z } from 'zod';
import { isUserId, type UserId, userIdProblem } from '../../shared/names.js';
import type { Config } from '../config.js';
import { SyncError } from '../errors.js';
import type { Mode, Person } from './principal.js';
import { type KeySettings, type Keys, openKeys } from './token-keys.js';
import { sentenceOf } from './token-problem.js';

export type TokenSettings = KeySettings & Pick<Config, 'jwtIssuer' | 'jwtUserClaim' | 'maxHeaders'>;

/** Clocks of servers differ; in seconds. */
export const CLOCK_TOLERANCE = 30;
/** More than fits into the largest headers that a server takes by default. */
const MAX_ENTRIES = 5_000;

const userId = z.custom<UserId>(isUserId, {
  error: ({ input }) => `is not a valid user id: ${problemOf(input)}`,
});
const problemOf = (id: unknown): string =>
  typeof id === 'string' ? `it ${userIdProblem(id)}` : 'it is not a text';
const seconds = z.number('is not a number of seconds').nonnegative('is before 1970');
const claims = z.object({
  exp: seconds,
  iat: seconds.nullish(),
  jti: z.string('is not a text').min(1, 'is empty').max(256, 'is longer than 256 characters').nullish(),
  aud: z.unknown().optional(),
  shared: z.enum(['read', 'write'], 'is neither read nor write').nullish(),
  access: z
    .array(
      z.object(
        { user: userId, mode: z.enum(['read', 'write'], 'is neither read nor write') },
        'is no object',
      ),
      'is no list',
    )
    .max(MAX_ENTRIES, `has more than ${MAX_ENTRIES} entries`)
    .nullish(),
});

export class TokenReader {
  readonly #keys: Keys;
  readonly #options: JWTVerifyOptions;
  readonly #settings: TokenSettings;
  readonly #now: () => number;

  private constructor(keys: Keys, settings: TokenSettings, now: () => number) {
    const { jwtIssuer, jwtAudience, jwtUserClaim } = settings;
    this.#keys = keys;
    this.#now = now;
    this.#settings = settings;
    this.#options = {
      algorithms: [...keys.algorithms],
      clockTolerance: CLOCK_TOLERANCE,
      requiredClaims: [jwtUserClaim, 'exp'],
      ...(jwtIssuer === '' ? {} : { issuer: jwtIssuer }),
      ...(jwtAudience === '' ? {} : { audience: jwtAudience }),
    };
  }

  /** @throws ConfigError where the options name no key, or one that can't be used */
  static async open(settings: TokenSettings, now: () => number): Promise<TokenReader> {
    return new TokenReader(await openKeys(settings), settings, now);
  }

  /**
   * @throws SyncError `UNAUTHORIZED`, whose message tells the client why, or `ACCESS_UNAVAILABLE` where that can't be
   * told now
   */
  async read(token: string): Promise<Person> {
    const { maxHeaders, jwtUserClaim } = this.#settings;
    if (token.length > maxHeaders) throw unauthorized('The token is longer than the server allows.');
    const payload = await this.#verify(token);
    const sub = checked(userId, payload[jwtUserClaim], [jwtUserClaim]);
    const { exp, iat, jti, aud, access, shared } = checked(claims, payload, []);
    // It was made for somebody else, who is named (RFC 7519, 4.1.3).
    if (this.#options.audience === undefined && aud !== undefined) {
      throw unauthorized("The token has a claim 'aud', and JWT_AUDIENCE of the server is not set.");
    }
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
      throw error instanceof SyncError ? error : unauthorized(sentenceOf(error, this.#now()), error);
    }
  }
}

/** Of a token that is signed by who may do so, its bearer is told which claim is wrong, but not what it says. */
function checked<Output>(schema: z.ZodType<Output>, value: unknown, place: readonly string[]): Output {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const path = [...place, ...(issue?.path ?? [])].join('.');
  throw unauthorized(`The claim '${path}' ${issue?.message ?? 'is not valid'}.`);
}

/** A user who is named twice is named once with the more that was given. */
function strongest(entries: readonly { user: UserId; mode: Mode }[]): Map<UserId, Mode> {
  const access = new Map<UserId, Mode>();
  for (const { user, mode } of entries) if (access.get(user) !== 'write') access.set(user, mode);
  return access;
}

/** @param why for the client and the log: names no part of the token, no key, and no user but its bearer */
export const unauthorized = (why: string, cause?: unknown): SyncError =>
  new SyncError('UNAUTHORIZED', why, { cause });
