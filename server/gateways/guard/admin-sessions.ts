/** Operators who have signed in with `ADMIN_TOKEN` on the admin page: a cookie stands for the token from then on. */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { networkOf } from '../../net/client-address.js';
import { RateLimiters } from '../../net/token-bucket.js';
import { isSame } from './admin-guard.js';

const COOKIE = 'telemed_admin';
const COOKIE_VALUE = new RegExp(`(?:^|; *)${COOKIE}=([\\w-]{43})(?:;|$)`);
/** A day's work, in ms. */
const LASTS = 10 * 3_600_000;
/** Signed in at a time; who comes then, ends the oldest. */
const MOST_SESSIONS = 50;
/** Wrong tokens of one address: five at once, and one more each 12 s. */
const WRONG = { rate: 5 / 60, burst: 5 };
const MOST_LIMITERS = 1_000;
const UNLIMITED = { rate: Number.POSITIVE_INFINITY, burst: Number.POSITIVE_INFINITY };

export class AdminSessions {
  readonly #uptime: () => number;
  /** When each ends, the oldest first. */
  readonly #ends = new Map<string, number>();
  readonly #wrong: RateLimiters;

  constructor(uptime: () => number) {
    this.#uptime = uptime;
    this.#wrong = new RateLimiters({ messages: WRONG, bytes: UNLIMITED }, uptime);
  }

  /** How long this address has to wait until a token of it is looked at again, in seconds; 0: not at all. */
  waitFor(address: string): number {
    return Math.ceil(this.#wrong.of(networkOf(address)).waitForOne / 1_000);
  }

  /** Whether this is the token; a wrong one counts. */
  isToken(given: string, adminToken: string, address: string): boolean {
    if (adminToken !== '' && isSame(given, adminToken)) return true;
    if (this.#wrong.size > MOST_LIMITERS) this.#wrong.sweep();
    this.#wrong.of(networkOf(address)).take(1, 0);
    return false;
  }

  /** Begins a session; returns the cookie that stands for it, as a header sets it. */
  begin(isSecure: boolean): string {
    const id = randomBytes(32).toString('base64url');
    this.#ends.set(id, this.#uptime() + LASTS);
    const [oldest] = this.#ends.keys();
    if (oldest !== undefined && this.#ends.size > MOST_SESSIONS) this.#ends.delete(oldest);
    return cookie(id, LASTS / 1_000, isSecure);
  }

  /** Whether the request has the cookie of a session. */
  has(request: IncomingMessage): boolean {
    const id = idIn(request);
    const ends = id === null ? undefined : this.#ends.get(id);
    if (id !== null && ends !== undefined && ends <= this.#uptime()) this.#ends.delete(id);
    return ends !== undefined && ends > this.#uptime();
  }

  /** Ends the session of the request; returns what takes its cookie away. */
  end(request: IncomingMessage, isSecure: boolean): string {
    const id = idIn(request);
    if (id !== null) this.#ends.delete(id);
    return cookie('', 0, isSecure);
  }
}

const idIn = ({ headers }: IncomingMessage): string | null =>
  COOKIE_VALUE.exec(headers.cookie ?? '')?.[1] ?? null;

/** Scripts can't read it, and no other site's page has it sent along. */
const cookie = (id: string, seconds: number, isSecure: boolean): string =>
  `${COOKIE}=${id}; Path=/admin; Max-Age=${seconds}; HttpOnly; SameSite=Strict${isSecure ? '; Secure' : ''}`;
