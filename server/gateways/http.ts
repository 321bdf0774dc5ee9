/** The HTTP side: its routes (H1–H4, H6), and how errors are answered. */
import express, { type NextFunction, type Request, type Response } from 'express';
import helmet from 'helmet';
import { type ErrorCode, SyncError } from '../../shared/errors.js';
import { isObject } from '../../shared/records.js';
import { serveDemo } from './http-demo.js';
import { postYjs } from './http-exchange.js';
import { getHistory, postRestore } from './http-history.js';
import type { HttpOptions } from './http-request.js';
import { getSync, postSync } from './http-sync.js';
import { deleteUser, getExport } from './http-users.js';

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
  app.get('/api/history/:userId', (request, response) => getHistory(options, request, response));
  app.post('/api/history/:userId/restore', express.json({ limit, type: () => true }), (request, response) =>
    postRestore(options, request, response),
  );
  app.delete('/api/users/:userId', (request, response) => deleteUser(options, request, response));
  app.get('/api/users/:userId/export', (request, response) => getExport(options, request, response));
  if (config.demo) app.use(serveDemo());
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
