/**
 * A service that knows who may see whom (`ACCESS_URL`): for people with more access than a token can carry. It is
 * asked with the token, and what it says is remembered for a while.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { UserId } from '../../shared/names.js';
import { SyncError } from '../errors.js';
import type { Mode, Person } from './principal.js';

const TIMEOUT = 5_000;
/** Who was just given access should not wait for long. */
const MAX_AGE_OF_NO = 5_000;
const MAX_ANSWERS = 10_000;
/** Of one of them, in bytes: an address that is not meant may send anything. */
const MAX_ANSWER = 65_536;
/** Questions under way, in all and for one person: an address can be made up for each. */
const MAX_AT_ONCE = 200;
const MAX_OF_PERSON = 50;
/** Answers of HTTP that are a no. */
const NO: ReadonlySet<number> = new Set([401, 403, 404]);

const answerSchema = z.object({ mode: z.enum(['read', 'write', 'none']) });

interface Answer {
  readonly mode: Promise<Mode | null>;
  /** In ms of uptime; one that is under way has no end. */
  until: number;
}

export interface AccessServiceOptions {
  readonly url: URL;
  /** How long an answer holds, in ms. */
  readonly maxAge: number;
  /** In ms from any moment on: how long an answer holds follows no clock, which may be set back. */
  readonly uptime: () => number;
  /** How many answers are kept. */
  readonly maxAnswers?: number;
}

export class AccessService {
  readonly #options: AccessServiceOptions;
  /** The one that was asked for first comes first. */
  readonly #answers = new Map<string, Answer>();
  readonly #underWay = new Map<UserId, number>();
  #open = 0;

  constructor(options: AccessServiceOptions) {
    this.#options = options;
  }

  /**
   * What the bearer of the token may do with the document of a user; `null` for nothing.
   *
   * @param token has to be known to be good
   * @throws SyncError `ACCESS_UNAVAILABLE` where the service gives no answer
   */
  modeOf({ sub }: Person, token: string, user: UserId): Promise<Mode | null> {
    // Not the token itself: what is kept here is of no use to anybody.
    const key = `${createHash('sha256').update(token).digest('base64')} ${user}`;
    const known = this.#answers.get(key);
    if (known !== undefined && known.until > this.#options.uptime()) return known.mode;
    const ofPerson = this.#underWay.get(sub) ?? 0;
    if (this.#open >= MAX_AT_ONCE || ofPerson >= MAX_OF_PERSON)
      return Promise.reject(unavailable(new Error('too many questions to ACCESS_URL are under way')));
    this.#begin(sub, 1);
    const mode = this.#ask(token, user).finally(() => this.#begin(sub, -1));
    this.#keep(key, { mode, until: Number.POSITIVE_INFINITY });
    return mode;
  }

  #begin(person: UserId, count: 1 | -1): void {
    this.#open += count;
    const ofPerson = (this.#underWay.get(person) ?? 0) + count;
    if (ofPerson === 0) this.#underWay.delete(person);
    else this.#underWay.set(person, ofPerson);
  }

  #keep(key: string, answer: Answer): void {
    const { maxAge, uptime, maxAnswers = MAX_ANSWERS } = this.#options;
    this.#answers.delete(key);
    this.#answers.set(key, answer);
    for (const oldest of this.#answers.keys()) {
      if (this.#answers.size <= maxAnswers) break;
      this.#answers.delete(oldest);
    }
    answer.mode.then(
      (mode) => {
        answer.until = uptime() + (mode === null ? Math.min(maxAge, MAX_AGE_OF_NO) : maxAge);
      },
      () => {
        if (this.#answers.get(key) === answer) this.#answers.delete(key);
      },
    );
  }

  async #ask(token: string, user: UserId): Promise<Mode | null> {
    const url = new URL(this.#options.url);
    url.searchParams.set('user', user);
    try {
      const response = await fetch(url, {
        headers: { Authorization: `Bearer ${token}`, Accept: 'application/json' },
        redirect: 'error', // the token is for nobody else
        signal: AbortSignal.timeout(TIMEOUT),
      });
      if (NO.has(response.status)) {
        await response.body?.cancel();
        return null;
      }
      if (!response.ok) throw new Error(`ACCESS_URL answered with ${response.status}`);
      const { mode } = answerSchema.parse(JSON.parse(await textOf(response)));
      return mode === 'none' ? null : mode;
    } catch (cause) {
      throw unavailable(cause);
    }
  }
}

async function textOf({ body }: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body ?? []) {
    size += chunk.length;
    if (size > MAX_ANSWER) throw new Error(`ACCESS_URL answered with more than ${MAX_ANSWER} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

const unavailable = (cause: unknown): SyncError => new SyncError('ACCESS_UNAVAILABLE', undefined, { cause });
