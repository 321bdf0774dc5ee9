/** One line of the audit trail. Each has the hash of the one before in its own, so none can be changed alone. */
import { createHash } from 'node:crypto';
import type { ErrorCode } from '../errors.js';

/** What only the operator does, beside `read`, `history` and `restore`; `users` is a look at the list of all, `devices` at those of one. */
export type OperatorAction =
  | 'sign-in'
  | 'sign-out'
  | 'users'
  | 'devices'
  | 'export'
  | 'erase'
  | 'revoke'
  | 'backup';

/** Somebody came to another user's document, or the operator did something. */
export interface AuditEntry {
  readonly actor: string;
  readonly user: string;
  /** `connect-read` and `connect-write` stand for a WebSocket, and what its token allows. */
  readonly action:
    | 'connect-read'
    | 'connect-write'
    | 'read'
    | 'write'
    | 'history'
    | 'restore'
    | OperatorAction;
  readonly via: 'yjs' | 'json' | 'http' | 'admin';
  readonly address: string;
  /** What the action is about beside the user: a record and a revision, a backup, a token. */
  readonly what?: Readonly<Record<string, string | number | undefined>> | undefined;
  /** The code of the error by which it ended; where it had begun, the line of that is before it. */
  readonly failed?: ErrorCode;
}

/** The server went on after a line that a crash had left unfinished. */
interface Recovery {
  readonly action: 'recovered';
  readonly bytes: number;
}

/** The file is older than the database, or another one: by that, there were so many lines. */
interface SetBack {
  readonly action: 'set back';
  readonly lines: number;
}

/** Where the chain stands: the number and the hash of its last line. */
export interface ChainHead {
  readonly number: number;
  readonly hash: string;
}

export const CHAIN_START: ChainHead = { number: 0, hash: '0'.repeat(64) };

const HASH_FIELD = /^(\{.+),"hash":"([0-9a-f]{64})"\}$/;

/** The line without its end, and where the chain stands after it. */
export function auditLine(
  head: ChainHead,
  entry: AuditEntry | Recovery | SetBack,
  now: number,
): { readonly line: string; readonly head: ChainHead } {
  const number = head.number + 1;
  const body = JSON.stringify({ n: number, at: new Date(now).toISOString(), ...entry }).slice(0, -1);
  const hash = hashOf(head.hash, body);
  return { line: `${body},"hash":"${hash}"}`, head: { number, hash } };
}

const hashOf = (before: string, body: string): string =>
  createHash('sha256').update(`${before}\n${body}`).digest('hex');

/** Where the chain stands by what the line says of itself; `null` if it is no line of a trail. */
export function headIn(line: string): ChainHead | null {
  const [, body = '', hash] = HASH_FIELD.exec(line) ?? [];
  const number = Number(/^\{"n":(\d{1,15}),/.exec(body)?.[1]);
  return hash === undefined || Number.isNaN(number) ? null : { number, hash };
}

/** Where the chain stands after this line; `null` if it is not the one that follows on `head`. */
export function follow(head: ChainHead, line: string): ChainHead | null {
  const found = headIn(line);
  const [, body = ''] = HASH_FIELD.exec(line) ?? [];
  if (found === null || found.number !== head.number + 1) return null;
  return found.hash === hashOf(head.hash, body) ? found : null;
}
