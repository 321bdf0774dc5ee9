import { ClientError } from '../errors.js';
import { HttpStatus, isRewritten } from './http-exchange.js';
import type { LinkEnd } from './socket-link.js';

/** What follows from a failed attempt or a lost connection. */
export interface RetryDecision {
  /**
   * - `again`: after a pause that grows
   * - `now`: at once: the network is another one
   * - `busy`: the same as `again`, beginning with a longer one
   * - `slowest`: after the longest pause: the same thing would be refused again
   * - `token`: with another token
   * - `refused`: not by itself
   * - `rewritten`: with the document as the server has written it anew (P10)
   */
  readonly next: 'again' | 'now' | 'busy' | 'slowest' | 'token' | 'refused' | 'rewritten';
  readonly reason: string;
  readonly error: ClientError | null;
  /** So long at least, in ms; a random time follows, as ever. */
  readonly pause?: number;
  /** The server refused something that this device sent; an exchange over HTTP finds out which change (C11). */
  readonly isOfChange?: boolean;
  /** The server lacks what the pending changes build on. */
  readonly lacksBase?: boolean;
}

const LOST = 'There is no connection to the server; it is tried again by itself.';

const REWRITTEN = 4409;

const NEXT: Readonly<Record<number, RetryDecision['next']>> = {
  1007: 'slowest',
  1008: 'slowest',
  1009: 'slowest',
  1013: 'busy',
  4401: 'token',
  4403: 'refused',
  [REWRITTEN]: 'rewritten',
  4410: 'refused',
  // Over HTTP.
  400: 'slowest',
  401: 'token',
  403: 'refused',
  409: 'slowest',
  410: 'refused',
  413: 'slowest',
  429: 'busy',
};

/** Where the server gives no reason of its own. */
const REASONS: Readonly<Record<RetryDecision['next'], string>> = {
  again: LOST,
  now: LOST,
  busy: 'The server has too much to do; it is tried again by itself.',
  slowest: 'The server refused what this device sent; it is tried again from time to time.',
  token: 'The server wants a valid token.',
  refused: 'The server refused this device.',
  rewritten: LOST,
};

/** What follows from the end of a socket. */
export function decisionOnEnd({ code, reason, proved = false, isDead, cause }: LinkEnd): RetryDecision {
  // The server may send the same again at once, as each connection begins with all that it has: hence the long pause.
  if (cause !== undefined)
    return { next: 'busy', reason, error: new ClientError('OFFLINE', reason, { cause }) };
  if (isDead) return { next: 'now', reason, error: null };
  if (!proved) return foreign(code, 'closed the connection with code', reason);
  return {
    ...decisionOn(code, reason),
    lacksBase: code === 1008,
    isOfChange: code === 1007 || code === 1009,
  };
}

/** What follows from an HTTP exchange that failed. */
export function decisionOnFailure(error: unknown): RetryDecision {
  if (error instanceof HttpStatus) {
    const { status, proved, said, pause } = error;
    return proved
      ? { ...decisionOn(isRewritten(error) ? REWRITTEN : status, said), pause }
      : foreign(status, 'answered with HTTP status', said);
  }
  const reason = error instanceof Error ? error.message : String(error);
  const told = error instanceof ClientError ? error : null;
  return { next: 'again', reason: `${LOST} (${reason})`, error: told };
}

/** What is not provably said by our server stops nothing and deletes nothing (C10). */
function foreign(code: number | null, did: string, said: string): RetryDecision {
  // A page with status 200 comes from something on the way as well: our server would have proved itself.
  const stops = code !== null && (NEXT[code] !== undefined || code < 300);
  const what = stops ? `${LOST} (Something on the way ${did} ${code}.)` : said || LOST;
  return { next: 'again', reason: what, error: null };
}

function decisionOn(code: number | null, said: string): RetryDecision {
  const next = (code === null ? undefined : NEXT[code]) ?? 'again';
  const reason = said === '' ? REASONS[next] : said;
  if (code === 4410 || code === 410) return { next, reason, error: new ClientError('ERASED') };
  return { next, reason, error: next === 'slowest' ? new ClientError('REFUSED', reason) : null };
}
