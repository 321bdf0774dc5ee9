/** Tokens that are no longer good before they expire; kept on disk. */
import { z } from 'zod';
import { isUserId, type UserId } from '../../shared/names.js';
import { Batches, DurableLines } from './durable-lines.js';
import type { Person } from './principal.js';
import { CLOCK_TOLERANCE } from './token.js';

/**
 * `jti`: this token; `exp` is that of the token, in seconds, after which it need not be remembered.
 * `user`: every token for this `sub` that was issued until now.
 */
export const revocationSchema = z.union([
  z.strictObject({ jti: z.string().min(1).max(256), exp: z.number().int().positive().optional() }),
  z.strictObject({ user: z.custom<UserId>(isUserId, 'is not a user id') }),
]);
export type Revocation = z.output<typeof revocationSchema>;

const storedSchema = z.union([
  z.strictObject({ jti: z.string(), until: z.number().nullable() }),
  z.strictObject({ user: z.custom<UserId>(isUserId), before: z.number() }),
]);
type Stored = z.output<typeof storedSchema>;

const TOLERANCE = CLOCK_TOLERANCE * 1000;

/** What to make of times where the clock may have been wrong (P9). */
export interface RevocationTimes {
  /** By this time it is decided which tokens have expired for good. */
  readonly retention: () => number;
  /** What a date counts as that was made before. */
  readonly past: (date: number) => number;
}

/** The same revocations at the other servers of a store; the store itself has the contract. */
export interface SharedRevocations {
  add(line: string): Promise<void>;
  follow(take: (line: string) => void): Promise<void>;
}

interface RevocationOptions {
  /** How long a revocation may wait for the disk, in ms. */
  readonly patience?: number;
  readonly times?: RevocationTimes | undefined;
  /** Where several servers share a store. */
  readonly shared?: SharedRevocations | undefined;
  /** Another server has made one. */
  readonly onTaken?: () => void;
}

export class Revocations {
  readonly #lines: DurableLines;
  readonly #now: () => number;
  readonly #times: RevocationTimes;
  readonly #batches: Batches<Stored>;
  readonly #shared: SharedRevocations | undefined;
  /** Until when each token has to be remembered, in ms since 1970; `null` is for good. */
  readonly #tokens = new Map<string, number | null>();
  /** Lines of the file, those of tokens that have expired included. */
  count = 0;
  /** Whether any was added since the file was opened. */
  hasGrown = false;
  /** Is called when one is on disk. */
  onAdded: () => void = () => {};
  /** Tokens of a user that were issued before this are not good. */
  readonly #users = new Map<UserId, number>();

  private constructor(lines: DurableLines, now: () => number, options: RevocationOptions) {
    const { patience, times, shared } = options;
    this.#shared = shared;
    this.#lines = lines;
    this.#now = now;
    this.#times = times ?? { retention: now, past: (date) => date };
    this.#batches = new Batches((all) => this.#lines.append(all.map(lineOf).join('')), patience);
  }

  /**
   * Forgets what has expired. Rejects where a line can't be read: it may be the one that matters.
   */
  static async open(path: string, now: () => number, options: RevocationOptions = {}): Promise<Revocations> {
    const lines = await DurableLines.open(path);
    const revocations = new Revocations(lines, now, options);
    const { shared, onTaken = () => {} } = options;
    await revocations.#readFile(path);
    await shared?.follow((line) => {
      if (revocations.#take(read(line, 'in the store'))) onTaken();
    });
    return revocations;
  }

  async #readFile(path: string): Promise<void> {
    const text = (await this.#lines.read()).toString();
    const whole = text.lastIndexOf('\n') + 1; // behind it is what a crash left unfinished
    for (const line of text.slice(0, whole).split('\n').filter(Boolean)) {
      this.count++;
      this.#take(read(line, path));
    }
    if (whole < text.length) await this.#lines.cut(Buffer.byteLength(text.slice(0, whole)));
  }

  /** For how long the disk has not answered, in ms. */
  get waitsFor(): number {
    return this.#batches.waitsFor;
  }

  /** Resolves once it is on disk, and holds at every server; here it holds from the call on. */
  async add(revocation: Revocation): Promise<void> {
    const stored =
      'user' in revocation
        ? { user: revocation.user, before: this.#now() + TOLERANCE }
        : { jti: revocation.jti, until: untilOf(revocation.exp) };
    this.count++;
    this.#take(stored);
    await Promise.all([this.#batches.add(stored), this.#shared?.add(JSON.stringify(stored))]);
    this.hasGrown = true;
    this.onAdded();
  }

  has({ sub, jti, issuedAt }: Person): boolean {
    if (jti !== null && this.#tokens.has(jti)) return true;
    const before = this.#users.get(sub);
    // One that was made while the clock was ahead must not shut out for so long.
    return before !== undefined && (issuedAt ?? 0) <= this.#times.past(before - TOLERANCE) + TOLERANCE;
  }

  async close(): Promise<void> {
    await this.#batches.idle();
    await this.#lines.close();
  }

  /** Returns whether it is new. */
  #take(stored: Stored): boolean {
    if ('user' in stored) {
      if (stored.before <= (this.#users.get(stored.user) ?? 0)) return false;
      this.#users.set(stored.user, stored.before);
      return true;
    }
    const { jti, until } = stored;
    if (until !== null && until <= this.#times.retention()) return false;
    const isNew = !this.#tokens.has(jti);
    this.#tokens.set(jti, until);
    return isNew;
  }
}

const untilOf = (exp: number | undefined): number | null =>
  exp === undefined ? null : exp * 1000 + TOLERANCE;

const lineOf = (stored: Stored): string => `${JSON.stringify(stored)}\n`;

function read(line: string, path: string): Stored {
  try {
    return storedSchema.parse(JSON.parse(line));
  } catch (cause) {
    throw new Error(`The list of revoked tokens ${path} is damaged; repair it by hand`, { cause });
  }
}
