/** Errors that an app can tell apart: by class, and by `code`. */

/** What the app is told when the cause has no better words; the other codes always come with words of their own. */
const MESSAGES = {
  NOT_INITIALIZED: 'Call and await initialize({ serverUrl, userId }) first.',
  SCHEMA: 'The record does not fit the schema of its collection.',
  OFFLINE: 'The server could not be reached; changes are kept and sent later.',
  NEEDS_TOKEN: 'The server wants a valid token.',
  REFUSED: 'The server refused this device.',
  ERASED: 'The data of this user was erased on the server, and now on this device.',
  CLOSED: 'The client was closed.',
  ABORTED: 'Waiting was given up.',
} as const;

type Unexplained = keyof typeof MESSAGES;
type Explained =
  | 'INVALID_OPTIONS'
  | 'INVALID_NAME'
  | 'INVALID_RECORD'
  | 'TOO_DEEP'
  | 'NOT_FOUND'
  | 'UNSYNCED_CHANGES';
export type ClientErrorCode = Unexplained | Explained;

/** An error of the client. `code` is a code of the documented table; `message` names the cause and the cure. */
export class ClientError extends Error {
  readonly code: ClientErrorCode;

  constructor(code: ClientErrorCode, detail?: string, options?: { cause?: unknown }) {
    super(detail ?? MESSAGES[code as Unexplained], options);
    this.name = 'ClientError';
    this.code = code;
  }
}

/** `logout` or `clearSyncData` while changes are pending; nothing was deleted. */
export class UnsyncedChangesError extends ClientError {
  /** How many changes the server does not have yet. */
  readonly pendingChanges: number;
  /** How many it refused: see `status.refused`. */
  readonly refusedChanges: number;

  constructor(pendingChanges: number, refusedChanges = 0) {
    const count = pendingChanges + refusedChanges;
    const why = refusedChanges === 0 ? ' yet' : `, which refused ${refusedChanges} (see status.refused)`;
    super(
      'UNSYNCED_CHANGES',
      `${count} ${count === 1 ? 'change is' : 'changes are'} not on the server${why}. ` +
        'Wait for whenSynced(), or pass { force: true } to lose them.',
    );
    this.name = 'UnsyncedChangesError';
    this.pendingChanges = pendingChanges;
    this.refusedChanges = refusedChanges;
  }
}

/** What a schema found wrong with one place of a record. */
export interface RecordIssue {
  readonly message: string;
  /** From the record down, as in `['address', 'city']`. */
  readonly path: readonly (string | number)[];
}

/** A record that was refused before anything changed: by its names, its depth or the schema of its collection. */
export class RecordError extends ClientError {
  readonly collection: string;
  readonly issues: readonly RecordIssue[];

  constructor(
    code: 'INVALID_NAME' | 'INVALID_RECORD' | 'TOO_DEEP' | 'SCHEMA',
    collection: string,
    issues: readonly RecordIssue[],
  ) {
    const what = issues.map(({ message, path }) =>
      path.length > 0 ? `${path.join('.')}: ${message}` : message,
    );
    super(code, what.length > 0 ? what.join('; ') : undefined);
    this.name = 'RecordError';
    this.collection = collection;
    this.issues = issues;
  }
}

/**
 * - `UNAVAILABLE`: there is no storage here, or it was closed or deleted under the app
 * - `BLOCKED`: another tab holds an older version open, or storage does not answer
 * - `QUOTA`: the device has no room left
 * - `CORRUPT`: something that was stored can't be read any more
 */
export type StorageErrorCode = 'UNAVAILABLE' | 'BLOCKED' | 'QUOTA' | 'CORRUPT';

/** Local storage failed (C7). The app goes on in memory; what the server has confirmed is safe. */
export class StorageError extends Error {
  readonly code: StorageErrorCode;

  constructor(code: StorageErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'StorageError';
    this.code = code;
  }
}

/** Stored bytes do not have their checksum any more. */
export function unreadableChanges(count: number): StorageError {
  const what = `${count} stored ${count === 1 ? 'change' : 'changes'} can't be read any more.`;
  const cure = 'What the server has is fetched again; a change that it had not confirmed may be lost.';
  return new StorageError('CORRUPT', `${what} ${cure}`);
}
