/** Operators who have signed in with `ADMIN_TOKEN` on the admin page: a cookie stands for the token from then on. */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

const COOKIE = 'telemed_admin';
const COOKIE_VALUE = new RegExp(`(?:^|; *)${COOKIE}=([\\w-]{43})(?:;|$)`);
/** A day's work, in ms. */
const LASTS = 10 * 3_600_000;
/** Signed in at a time; who comes then, ends the oldest. */
const MOST_SESSIONS = 50;

export class AdminSessions {
  readonly #uptime: () => number;
  /** When each ends, the oldest first. */
  readonly #ends = new Map<string, number>();

  constructor(uptime: () => number) {
    this.#uptime = uptime;
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
