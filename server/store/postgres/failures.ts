/** Why a PostgreSQL can't be used, in a sentence with cause and cure, without a password. */
import type { Client } from 'pg';
import { SyncError } from '../../errors.js';

export function codeOf(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? cause.code : '';
  return typeof code === 'string' ? code : '';
}

export function noAddress(cause: unknown): SyncError {
  const sentence =
    cause instanceof Error && 'path' in cause
      ? `A file that the address of the PostgreSQL names can't be read (${cause.message}): look at sslrootcert, sslcert and sslkey there, and let this user read the file.`
      : 'This is no address of a PostgreSQL: postgres://user:password@host/database, where signs such as @, / or # in a password are written as %40, %2F, %23. Look at STORE, or at what the command was given.';
  return new SyncError('STORE_UNAVAILABLE', sentence, { cause });
}

export function noCertificate(cause: unknown): SyncError {
  const said = cause instanceof Error ? cause.message : String(cause);
  const sentence = `A certificate or a key that the address of the PostgreSQL names can't be used (${said}): look at sslcert and sslkey there, which have to belong together, and at sslrootcert; all of them have to be whole, as PEM.`;
  return new SyncError('STORE_UNAVAILABLE', sentence, { cause });
}

/** What PostgreSQL answers who wants to connect, by its code. */
const REFUSALS: Readonly<Record<string, string>> = {
  '28P01': 'refuses user or password: correct them in STORE',
  '28000': 'lets this user not in from here: correct STORE, or pg_hba.conf of the PostgreSQL',
  '3D000': 'has no such database: create it, or correct STORE',
  '53300': 'takes no more connections: raise max_connections, or run fewer servers',
  '57P03': 'is starting or stopping: try again when it is ready',
};

export function whyNotConnected(cause: unknown, { host, port, database }: Client): SyncError {
  if (cause instanceof SyncError) return cause;
  const code = codeOf(cause);
  const place = `The PostgreSQL of STORE, ${host}:${port}, database ${database},`;
  const said = reasonOf(cause);
  const refusal = REFUSALS[code];
  const sentence =
    refusal !== undefined
      ? `${place} ${refusal} (${said}).`
      : `${place} can't be reached (${said}): start it, open the way to it, or correct STORE.`;
  return new SyncError('STORE_UNAVAILABLE', sentence, { cause });
}

/** The driver's own sentence; of several addresses that were tried there is none, and the code has to do. */
function reasonOf(cause: unknown): string {
  const message = cause instanceof Error ? cause.message : String(cause);
  return message === '' ? codeOf(cause) : message;
}

/** What keeps the tables from being made or looked at. */
export function whyNotPrepared(cause: unknown): SyncError {
  if (cause instanceof SyncError) return cause;
  const cure =
    codeOf(cause) === '42501'
      ? 'let the user of STORE create tables there (GRANT CREATE ON SCHEMA …)'
      : 'look into the log of the PostgreSQL';
  return new SyncError(
    'STORE_UNAVAILABLE',
    `The tables in the PostgreSQL of STORE can't be made ready (${reasonOf(cause)}): ${cure}.`,
    { cause },
  );
}
