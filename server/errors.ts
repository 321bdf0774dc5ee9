interface ErrorEntry {
  readonly status: number;
  readonly close?: number;
  readonly message: string;
}

/**
 * The one table of errors: code → what a client is told, over HTTP and over a WebSocket.
 * `close` is the WebSocket close code, where the error ends the connection (S4).
 */
export const ERRORS = {
  INVALID_JSON: { status: 400, message: 'The message is not JSON.' },
  INVALID_MESSAGE: { status: 400, message: 'The message has a missing or wrong field.' },
  UNKNOWN_TYPE: {
    status: 400,
    message: 'The type is missing, or none of DATA_UPDATE, DATA_DELETE, REQUEST_SYNC.',
  },
  INVALID_NAME: { status: 400, message: 'A collection name, record id or field name is not allowed.' },
  TOO_DEEP: { status: 400, message: 'The document is nested deeper than the server allows.' },
  WRONG_USER: { status: 403, message: 'The userId is not that of this connection.' },
  UNAUTHORIZED: { status: 401, close: 4401, message: 'The token is missing, has expired or is not valid.' },
  FORBIDDEN: { status: 403, close: 4403, message: 'The token gives no access to this user.' },
  READ_ONLY: { status: 403, message: 'The token allows reading only; nothing was changed.' },
  ORIGIN_REFUSED: { status: 403, message: 'Pages of this origin may not use the server (CORS_ORIGINS).' },
  ACCESS_UNAVAILABLE: {
    status: 503,
    close: 1013,
    message: 'Access could not be checked or recorded at the moment; try again later.',
  },
  MESSAGE_TOO_LARGE: { status: 413, close: 1009, message: 'The message is larger than the server allows.' },
  TOO_MANY_BAD_MESSAGES: { status: 429, close: 1008, message: 'Too many bad messages in a minute.' },
  TOO_MANY_SOCKETS: { status: 429, message: 'Too many connections at once; close some, or try again later.' },
  TOO_MANY_REQUESTS: { status: 429, message: 'Too many requests; try again later.' },
  TOO_MANY_CLOSES: { status: 429, message: 'Too many malformed updates; try again later.' },
  MISSING_IDENTITY: { status: 400, close: 1008, message: 'Missing userId or deviceId' },
  INVALID_IDENTITY: {
    status: 400,
    close: 1008,
    message: 'userId and deviceId have 1 to 128 characters, none of / \\ ? # %, and no white space.',
  },
  NO_SHARED_COLLECTIONS: {
    status: 404,
    close: 1008,
    message: 'This server has no shared collections; its option SHARED_COLLECTIONS names them.',
  },
  MALFORMED_UPDATE: { status: 400, close: 1007, message: 'The update is malformed.' },
  UPDATE_TOO_COSTLY: {
    status: 413,
    close: 1009,
    message: 'The update takes more time or memory than the server allows.',
  },
  MISSING_DEPENDENCIES: {
    status: 409,
    close: 1008,
    message: 'The update builds on changes that the server does not have; send the whole document.',
  },
  BACKUP_FAILED: { status: 500, message: 'The backup could not be made, or used.' },
  DOCUMENT_FULL: {
    status: 413,
    close: 1009,
    message: 'The document is as large as the server allows; delete something first.',
  },
  NOT_SAVED: { status: 503, close: 1011, message: 'The change could not be saved; send it again later.' },
  STORE_UNAVAILABLE: { status: 503, close: 1011, message: 'The store is not available; try again later.' },
  DOCUMENT_CORRUPT: {
    status: 500,
    close: 1011,
    message: 'The stored document of this user is damaged and was set aside; restore it from a backup.',
  },
  ERASED: {
    status: 410,
    close: 4410,
    message: 'The data of this user was erased; delete what this device holds of it, then connect anew.',
  },
  REWRITTEN: {
    status: 409,
    close: 4409,
    message:
      'The document was written anew, and this device holds, or sent, something of the old one; fetch it anew, and write what was not synced again.',
  },
  RESTARTING: { status: 503, close: 1012, message: 'The server is restarting; connect again.' },
  STARTING: { status: 503, close: 1013, message: 'The server is starting; come again in some seconds.' },
  OVERLOADED: {
    status: 503,
    close: 1013,
    message: 'The server has more to do than it gets done; come again in some seconds.',
  },
  NOT_OWNER: { status: 421, message: 'Another node serves this user.' },
  OWNER_UNREACHABLE: {
    status: 503,
    close: 1012, // its client has waited already
    message: 'The node that serves this user can not be reached at the moment; come again in some seconds.',
  },
  NOT_FOUND: {
    status: 404,
    message:
      'There is nothing at this address. WebSockets: /sync, /yjs/USER. HTTP: /api/sync/USER, /api/history/USER, /api/yjs/USER, /health, /ready.',
  },
  NOT_IN_HISTORY: { status: 404, message: 'The record did not exist at this revision.' },
  INTERNAL: { status: 500, close: 1011, message: 'The server failed; the cause is in its log.' },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof ERRORS;

/** An error that a client may be told: a code of the table, and a detail that names the cause. */
export class SyncError extends Error {
  readonly code: ErrorCode;
  /** Position of the refused item in a batch (H2). */
  readonly index: number | undefined;

  constructor(code: ErrorCode, detail?: string, options?: { cause?: unknown; index?: number }) {
    super(detail ?? ERRORS[code].message, options);
    this.name = 'SyncError';
    this.code = code;
    this.index = options?.index;
  }

  get status(): number {
    return ERRORS[this.code].status;
  }

  /** The WebSocket close code; an error that has none in the table ends a connection as a policy matter. */
  get closeCode(): number {
    const entry: ErrorEntry = ERRORS[this.code];
    return entry.close ?? 1008;
  }
}

/** What a failure of the store is to a client. */
export const notSaved = (cause: unknown): SyncError =>
  cause instanceof SyncError ? cause : new SyncError('NOT_SAVED', undefined, { cause });

/** What is stored of a user is damaged; the reason is for the log. */
export const corrupt = (reason: string): SyncError =>
  new SyncError('DOCUMENT_CORRUPT', undefined, { cause: new Error(reason) });
