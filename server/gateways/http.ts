/** The HTTP side: full sync, batches and exchanges for devices without a socket, health (H1–H4). */
import { crc32 } from 'node:zlib';
import express, { type NextFunction, type Request, type Response } from 'express';
import helmet from 'helmet';
import { type ErrorCode, SyncError } from '../../shared/errors.js';
import { type DeviceId, isDeviceId, isUserId, type UserId } from '../../shared/names.js';
import { decodeExchange, encodeExchange } from '../../shared/protocol/http.js';
import { checkMessage } from '../../shared/protocol/json.js';
import { decodeStateVector } from '../../shared/protocol/yjs.js';
import { type Collections, isObject } from '../../shared/records.js';
import type { Config } from '../config.js';
import type { Origin } from '../documents/changes.js';
import { applyMessage, type ChangeMessage } from '../documents/json-changes.js';
import type { DocumentRegistry } from '../documents/registry.js';
import type { UserDocument } from '../documents/user-document.js';
import type { Log } from '../log.js';

export interface HttpOptions {
  readonly config: Config;
  readonly registry: DocumentRegistry;
  readonly log: Log;
  readonly newDeviceId: () => DeviceId;
  /** Whether the store works and the server takes traffic (H4). */
  readonly isReady: () => boolean;
}

const MAX_CHANGES = 1_000;

export function createHttp(options: HttpOptions): express.Express {
  const { config, isReady, log } = options;
  const limit = Number.isFinite(config.maxHttpBody) ? config.maxHttpBody : Number.MAX_SAFE_INTEGER;
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.use(helmet());
  app.get('/health', (_, response) => void response.json({ status: 'up' }));
  app.get('/ready', (_, response) => {
    response.status(isReady() ? 200 : 503).json({ status: isReady() ? 'ready' : 'not ready' });
  });
  app.get('/api/sync/:userId', (request, response) => getSync(options, request, response));
  app.post('/api/sync/:userId', express.json({ limit, type: () => true }), (request, response) =>
    postSync(options, request, response),
  );
  app.post('/api/yjs/:userId', express.raw({ limit, type: () => true }), (request, response) =>
    postYjs(options, request, response),
  );
  app.use(() => {
    throw new SyncError('NOT_FOUND');
  });
  app.use((error: unknown, request: Request, response: Response, next: NextFunction) => {
    if (response.headersSent) return next(error);
    const known = toSyncError(error);
    if (known.code === 'INTERNAL') log('unexpected', { where: `${request.method} request`, error });
    response.status(known.status).json({ code: known.code, message: known.message, index: known.index });
  });
  return app;
}

/** All records, with an ETag of the revision that they show (H1). */
async function getSync(options: HttpOptions, request: Request, response: Response): Promise<void> {
  deviceOf(request, options);
  await withDocument(options, request, async (document) => {
    const known = request.headers['if-none-match'];
    await sendCollections(document, await inOrder(document, () => answerOf(document, known)), response);
  });
}

/** Applies a list of changes in one atomic batch, then answers like GET (H2). */
async function postSync(options: HttpOptions, request: Request, response: Response): Promise<void> {
  const user = userOf(request);
  const device = deviceOf(request, options);
  const changes = readChanges(request.body, user, options.config.maxDepth);
  await withDocument(options, request, async (document) => {
    const answer = await inOrder(document, () => {
      document.write({ via: 'http', device, member: null }, (doc) => {
        for (const change of changes) applyMessage(doc, change);
      });
      return answerOf(document, undefined);
    });
    await sendCollections(document, answer, response);
  });
}

/** Takes an update, gives what the sender lacks; for background sync (H3). */
async function postYjs(options: HttpOptions, request: Request, response: Response): Promise<void> {
  const origin: Origin = { via: 'http', device: deviceOf(request, options), member: null };
  const body = Buffer.isBuffer(request.body) ? new Uint8Array(request.body) : new Uint8Array(0);
  const { stateVector, update } = decodeExchange(body);
  await withDocument(options, request, async (document) => {
    await inOrder(document, () => {
      const saw = stateVector.length > 0 ? decodeStateVector(stateVector) : null;
      const missing = update.length > 0 && document.receive(origin, update, saw).missing !== null;
      if (missing) throw new SyncError('MISSING_DEPENDENCIES');
    });
    // Only now: a union that failed has left a document that must not be read before it is rebuilt.
    const answer = await inOrder(document, () => ({
      stateVector: document.stateVector(),
      update: stateVector.length > 0 ? document.diff(stateVector) : new Uint8Array(0),
    }));
    await document.durable();
    response.type('application/octet-stream').send(Buffer.from(encodeExchange(answer)));
  });
}

interface Answer {
  readonly etag: string;
  /** `null` for who has it already. */
  readonly body: Collections | null;
}

function answerOf(document: UserDocument, known: string | undefined): Answer {
  const etag = etagOf(document);
  return { etag, body: matches(known, etag) ? null : document.collections() };
}

async function sendCollections(document: UserDocument, answer: Answer, response: Response): Promise<void> {
  await document.durable();
  response.set({ ETag: answer.etag, 'Cache-Control': 'private, no-cache' });
  if (answer.body === null) response.status(304).end();
  else response.json(answer.body);
}

/**
 * The revision, and a mark of the content: after a restored backup, the same revision can stand for another one.
 */
function etagOf(document: UserDocument): string {
  return `"${document.revision}.${crc32(document.stateVector()).toString(36)}"`;
}

function matches(header: string | undefined, etag: string): boolean {
  const tags = (header ?? '').split(',').map((tag) => tag.trim().replace(/^W\//, ''));
  return tags.includes(etag) || tags.includes('*');
}

function readChanges(body: unknown, user: UserId, maxDepth: number): ChangeMessage[] {
  const changes = isObject(body) ? body.changes : undefined;
  if (!Array.isArray(changes))
    throw new SyncError('INVALID_MESSAGE', 'changes: must be an array of messages');
  if (changes.length > MAX_CHANGES) {
    throw new SyncError('INVALID_MESSAGE', `changes: must have at most ${MAX_CHANGES} messages`);
  }
  return changes.map((change, index) => {
    try {
      const message = checkMessage(change, user, { maxDepth });
      if (message.type === 'REQUEST_SYNC') throw new SyncError('UNKNOWN_TYPE');
      return message;
    } catch (error) {
      if (!(error instanceof SyncError)) throw error;
      throw new SyncError(error.code, error.message, { index });
    }
  });
}

function userOf(request: Request): UserId {
  const { userId } = request.params;
  if (!isUserId(userId)) throw new SyncError('INVALID_IDENTITY');
  return userId;
}

function deviceOf(request: Request, { newDeviceId }: HttpOptions): DeviceId {
  const device = request.get('Device-ID');
  if (device === undefined || device === '') return newDeviceId();
  if (!isDeviceId(device)) throw new SyncError('INVALID_IDENTITY');
  return device;
}

async function withDocument(
  { registry }: HttpOptions,
  request: Request,
  use: (document: UserDocument) => Promise<void>,
): Promise<void> {
  const lease = await registry.open(userOf(request));
  try {
    await use(lease.document);
  } finally {
    lease.release();
  }
}

/** Waits for a rebuild that is under way, then runs `action` in one go. */
function inOrder<T>(document: UserDocument, action: () => T): Promise<T> {
  return new Promise((resolve, reject) => {
    document.enter(() => {
      try {
        resolve(action());
      } catch (error) {
        reject(error);
      }
    });
  });
}

/** Errors of the body parsers, by their type. */
const PARSER_ERRORS: Readonly<Record<string, ErrorCode>> = {
  'entity.parse.failed': 'INVALID_JSON',
  'entity.too.large': 'MESSAGE_TOO_LARGE',
  'charset.unsupported': 'INVALID_JSON',
  'encoding.unsupported': 'INVALID_MESSAGE',
  'request.aborted': 'INVALID_MESSAGE',
  'request.size.invalid': 'INVALID_MESSAGE',
};

function toSyncError(error: unknown): SyncError {
  if (error instanceof SyncError) return error;
  if (error instanceof URIError) return new SyncError('INVALID_IDENTITY');
  const { type, status } = isObject(error) ? error : {};
  const code =
    typeof type === 'string' ? PARSER_ERRORS[type] : status === 400 ? 'INVALID_MESSAGE' : undefined;
  return new SyncError(code ?? 'INTERNAL', undefined, { cause: error });
}
