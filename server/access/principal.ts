/** Who somebody is, and what they may do (A2). */
import { SHARED_DOCUMENT, type UserId } from '../../shared/names.js';

export type Mode = 'read' | 'write';

/** The bearer of a token. */
export interface Person {
  readonly kind: 'person';
  readonly sub: UserId;
  /** What the token says of single users; an entry for `sub` itself counts too. */
  readonly access: ReadonlyMap<UserId, Mode>;
  /** Whether the token lets its bearer change the shared collections (D8). */
  readonly writesShared: boolean;
  readonly jti: string | null;
  /** Milliseconds since 1970; `null` where the token does not say. */
  readonly issuedAt: number | null;
  /** When what was begun with the token ends, in ms since 1970. */
  readonly expiresAt: number;
}

/** With AUTH=none, nobody is known and everybody may do everything. */
export type Principal = Person | { readonly kind: 'anybody' };

export const ANYBODY: Principal = { kind: 'anybody' };

/**
 * What the token itself lets its bearer do with the document of this user; `null` for nothing. Looks at nothing else,
 * so the answer for a user that does not exist is the same, and takes the same time.
 */
export function modeByToken(principal: Principal, user: UserId): Mode | null {
  if (principal.kind === 'anybody') return 'write';
  if (user === SHARED_DOCUMENT) return principal.writesShared ? 'write' : 'read';
  return principal.access.get(user) ?? (principal.sub === user ? 'write' : null);
}

/** Who a change is entered for in the history; `null` where nobody is known. */
export const actorOf = (principal: Principal): UserId | null =>
  principal.kind === 'anybody' ? null : principal.sub;

export const expiryOf = (principal: Principal): number =>
  principal.kind === 'anybody' ? Number.POSITIVE_INFINITY : principal.expiresAt;
