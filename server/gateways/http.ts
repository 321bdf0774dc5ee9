/** The HTTP side: its routes (H1–H4, H6), and how errors are answered. */
import express, { type NextFunction, type Request, type Response } from 'express';
import helmet from 'helmet';
import { type ErrorCode, SyncError } from '../../shared/errors.js';
import { isObject } from '../../shared/records.js';
import { adminOnly } from './admin-guard.js';
import { checkBody } from './http-body.js';
import { serveDemo } from './http-demo.js';
import { postYjs } from './http-exchange.js';
import { getHistory, postRestore } from './http-history.js';
import { getMetrics } from './http-metrics.js';
import { admit, type HttpOptions } from './http-request.js';
import { getSync, postSync } from './http-sync.js';

/** In messages of `MESSAGE_RATE`: each reads a document, an exchange encodes it, history is read entry by entry. */
const COST = { read: 1, write: 1, exchange: 5, history: 10 } as const;

export function createHttp(options: HttpOptions): express.Express {
  const { config, isReady, log, metrics } = options;
  const limit = Number.isFinite(config.maxHttpBody) ? config.maxHttpBody : Number.MAX_SAFE_INTEGER;
  // Decompression stays off: a small body could become a large one.
  const body = { limit, type: () => true, inflate: false };
  const json = { ...body, verify: checkBody(config.maxDepth) };
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  // Whether the way to here is safe from others is known only where it ends here.
  app.use(helmet({ strictTransportSecurity: config.tlsCert !== '' }));
  app.get('/health', (_, response) => void response.json({ status: 'up' }));
  app.get('/ready', (_, response) => {
    response.status(isReady() ? 200 : 503).json({ status: isReady() ? 'ready' : 'not ready' });
  });
  app.get('/metrics', adminOnly(config), getMetrics(metrics));
  app.get('/api/sync/:userId', admit(options, COST.read), (request, response) =>
    getSync(options, request, response),
  );
  app.post('/api/sync/:userId', admit(options, COST.write), express.json(json), (request, response) =>
    postSync(options, request, response),
  );
  app.post('/api/yjs/:userId', admit(options, COST.exchange), express.raw(body), (request, response) =>
    postYjs(options, request, response),
  );
  app.get('/api/history/:userId', admit(options, COST.history), (request, response) =>
    getHistory(options, request, response),
  );
  app.post(
    '/api/history/:userId/restore',
    admit(options, COST.history),
    express.json(json),
    (request, response) => postRestore(options, request, response),
  );
  if (config.demo) app.use(serveDemo());
  app.use(() => {
    throw new SyncError('NOT_FOUND');
  });
  app.use((error: unknown, request: Request, response: Response, next: NextFunction) => {
    if (response.headersSent) return next(error);
    const known = toSyncError(error);
    metrics.refused.add(known.code);
    if (known.code === 'INTERNAL') log('unexpected', { where: `${request.method} request`, error });
    response.status(known.status).json({ code: known.code, message: known.message, index: known.index });
  });
  return app;
}

/** Errors of the body parsers, by their type. */
const PARSER_ERRORS: Readonly<Record<string, ErrorCode>> = {
  'entity.parse.failed': 'INVALID_JSON',
  'entity.too.large': 'MESSAGE_TOO_LARGE',
  'entity.too.many': 'MESSAGE_TOO_LARGE',
  'entity.too.deep': 'TOO_DEEP',
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
