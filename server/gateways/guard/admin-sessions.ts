/** Operators who have signed in with `ADMIN_TOKEN` on the admin page: a cookie stands for the token from then on. */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

const COOKIE = 'telemed_admin';
const COOKIE_VALUES = new RegExp(`(?:^|; *)${COOKIE}=([\\w-]{43})(?=;|$)`, 'g');
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

  /** Begins a session, in the place of that of the request; returns the cookie that stands for it, as a header sets it. */
  begin(request: IncomingMessage, isSecure: boolean): string {
    this.#end(request);
    const id = randomBytes(32).toString('base64url');
    this.#ends.set(id, this.#uptime() + LASTS);
    const [oldest] = this.#ends.keys();
    if (oldest !== undefined && this.#ends.size > MOST_SESSIONS) this.#ends.delete(oldest);
    return cookie(id, LASTS / 1_000, isSecure);
  }

  /** Whether the request has the cookie of a session. */
  has(request: IncomingMessage): boolean {
    return idsIn(request).some((id) => this.#lasts(id));
  }

  /** Ends the session of the request; returns what takes its cookie away. */
  end(request: IncomingMessage, isSecure: boolean): string {
    this.#end(request);
    return cookie('', 0, isSecure);
  }

  #lasts(id: string): boolean {
    const ends = this.#ends.get(id);
    if (ends !== undefined && ends <= this.#uptime()) this.#ends.delete(id);
    return this.#ends.has(id);
  }

  #end(request: IncomingMessage): void {
    for (const id of idsIn(request)) this.#ends.delete(id);
  }
}

/** A page of a sister domain can set a cookie of this name, too, which comes first or last. */
const idsIn = ({ headers }: IncomingMessage): string[] =>
  [...(headers.cookie ?? '').matchAll(COOKIE_VALUES)].flatMap(([, id]) => id ?? []);

/** Scripts can't read it, and no other site's page has it sent along. */
const cookie = (id: string, seconds: number, isSecure: boolean): string =>
  `${COOKIE}=${id}; Path=/admin; Max-Age=${seconds}; HttpOnly; SameSite=Strict${isSecure ? '; Secure' : ''}`;
