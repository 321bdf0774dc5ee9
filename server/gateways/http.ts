/** The HTTP side: its routes (H1–H4, H6), and how errors are answered. */
import express, { type NextFunction, type Request, type Response } from 'express';
import helmet from 'helmet';
import { type ErrorCode, SyncError } from '../../shared/errors.js';
import { isObject } from '../../shared/records.js';
import { adminOnly } from './admin-guard.js';
import { postRevoke } from './http-admin.js';
import { refuseDemo, serveDemo } from './http-demo.js';
import { postYjs } from './http-exchange.js';
import { getHistory, postRestore } from './http-history.js';
import { door, type HttpOptions } from './http-request.js';
import { getSync, postSync } from './http-sync.js';
import { cors } from './origin.js';
import { logRefusal } from './visitor.js';

const MAX_ADMIN_BODY = 10_000;

export function createHttp(options: HttpOptions): express.Express {
  const { config, isReady, log } = options;
  const limit = Number.isFinite(config.maxHttpBody) ? config.maxHttpBody : Number.MAX_SAFE_INTEGER;
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.use(helmet());
  app.use(cors(config.corsOrigins));
  app.get('/health', (_, response) => void response.json({ status: 'up' }));
  app.get('/ready', (_, response) => {
    response.status(isReady() ? 200 : 503).json({ status: isReady() ? 'ready' : 'not ready' });
  });
  const enter = door(options);
  app.get('/api/sync/:userId', enter, (request, response) => getSync(options, request, response));
  app.post('/api/sync/:userId', enter, express.json({ limit, type: () => true }), (request, response) =>
    postSync(options, request, response),
  );
  app.post('/api/yjs/:userId', enter, express.raw({ limit, type: () => true }), (request, response) =>
    postYjs(options, request, response),
  );
  app.get('/api/history/:userId', enter, (request, response) => getHistory(options, request, response));
  app.post(
    '/api/history/:userId/restore',
    enter,
    express.json({ limit, type: () => true }),
    (request, response) => postRestore(options, request, response),
  );
  if (config.auth === 'jwt') {
    const json = express.json({ limit: MAX_ADMIN_BODY, type: () => true });
    app.post('/admin/revoke', adminOnly(config), json, (request, response) =>
      postRevoke(options, request, response),
    );
  }
  if (config.demo) app.use(config.auth === 'none' ? serveDemo() : refuseDemo);
  app.use(() => {
    throw new SyncError('NOT_FOUND');
  });
  app.use((error: unknown, request: Request, response: Response, next: NextFunction) => {
    if (response.headersSent) return next(error);
    const known = toSyncError(error);
    if (known.code === 'INTERNAL') log('unexpected', { where: `${request.method} request`, error });
    if (REFUSALS.has(known.code)) logRefusal(log, request, known);
    if (known.status === 401) response.set('WWW-Authenticate', 'Bearer');
    response.status(known.status).json({ code: known.code, message: known.message, index: known.index });
  });
  return app;
}

/** What is told in the log: somebody without the right to it wants something. */
const REFUSALS: ReadonlySet<ErrorCode> = new Set(['UNAUTHORIZED', 'FORBIDDEN', 'ACCESS_UNAVAILABLE']);

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
