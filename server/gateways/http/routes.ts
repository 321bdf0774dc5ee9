/** The HTTP side: its routes (H1–H4, H6), and how errors are answered. */
import express, { type NextFunction, type Request, type RequestHandler, type Response } from 'express';
import helmet from 'helmet';
import { isObject } from '../../../shared/json.js';
import { type ErrorCode, SyncError } from '../../errors.js';
import { checkBody } from '../../protocol/body-shape.js';
import { parseJson } from '../../protocol/json.js';
import { adminOnly } from '../guard/admin-guard.js';
import { logRefusal } from '../guard/authorize.js';
import { cors } from '../guard/origin.js';
import { challengeIn } from '../guard/request-names.js';
import { postRevoke } from './admin.js';
import { refuseDemo, serveDemo } from './demo.js';
import { postYjs } from './exchange.js';
import { getHistory, postRestore } from './history.js';
import { bodyReader } from './inflation.js';
import { getMetrics } from './metrics.js';
import {
  admit,
  countAnswers,
  door,
  type HttpOptions,
  roomOnDisk,
  userOf,
  userOrSharedOf,
} from './request.js';
import { getSync, postSync } from './sync.js';
import { deleteUser, eraseOwn, exportOwn, sendExport } from './users.js';

const MAX_ADMIN_BODY = 10_000;

/** In messages of `MESSAGE_RATE`: each reads a document, an exchange encodes it, history is read entry by entry. */
const COST = { read: 1, write: 1, exchange: 5, history: 10, all: 50 } as const;

export function createHttp(options: HttpOptions): express.Express {
  const { config, isReady, log, metrics } = options;
  const limit = Number.isFinite(config.maxHttpBody) ? config.maxHttpBody : Number.MAX_SAFE_INTEGER;
  const body = { limit, type: () => true, inflate: false };
  const verify = checkBody(config.maxDepth);
  const json = bodyReader(options, {
    limit,
    plain: express.json({ ...body, verify }),
    read(bytes, request, response) {
      verify(request, response, bytes);
      return parseJson(new TextDecoder().decode(bytes));
    },
  });
  const raw = bodyReader(options, { limit, plain: express.raw(body), read: (bytes) => bytes });
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  // What guards an address in front of the server knows it in one spelling.
  app.enable('case sensitive routing');
  app.enable('strict routing');
  // Whether the way to here is safe from others is known only where it ends here.
  app.use(helmet({ strictTransportSecurity: config.tlsCert !== '' }));
  app.use((request, response, next) => {
    const challenge = challengeIn(request.get('Sync-Challenge'));
    if (challenge !== null) response.set('Sync-Proof', challenge);
    next();
  });
  app.use(cors(config.corsOrigins));
  app.get('/health', (_, response) => void response.json({ status: 'up' }));
  app.get('/ready', (_, response) => {
    response.status(isReady() ? 200 : 503).json({ status: isReady() ? 'ready' : 'not ready' });
  });
  const hasOperator = config.adminToken !== '' || config.nodeEnv !== 'production';
  if (hasOperator) app.get('/metrics', adminOnly(config), getMetrics(metrics));
  app.use('/api', countAnswers(options));
  // Strangers first: they must not use up what the user may ask for.
  const enter = (cost: number, document = userOf) => [door(options, document), admit(options, cost)] as const;
  app.get('/api/sync/:userId', ...enter(COST.read), (request, response) =>
    getSync(options, request, response),
  );
  const room = roomOnDisk(options);
  app.post('/api/sync/:userId', ...enter(COST.write), room, json, (request, response) =>
    postSync(options, request, response),
  );
  app.post('/api/yjs/:userId', ...enter(COST.exchange, userOrSharedOf), room, raw, (request, response) =>
    postYjs(options, request, response),
  );
  app.get('/api/history/:userId', ...enter(COST.history, userOrSharedOf), (request, response) =>
    getHistory(options, request, response),
  );
  app.post(
    '/api/history/:userId/restore',
    ...enter(COST.history, userOrSharedOf),
    json,
    (request, response) => postRestore(options, request, response),
  );
  app.delete('/api/users/:userId', ...enter(COST.all), (request, response) =>
    eraseOwn(options, request, response),
  );
  app.get('/api/users/:userId/export', ...enter(COST.all), (request, response) =>
    exportOwn(options, request, response),
  );
  if (hasOperator) addAdmin(app, options, express.json({ ...body, verify, limit: MAX_ADMIN_BODY }));
  if (config.demo) app.use(config.auth === 'none' ? serveDemo() : refuseDemo);
  app.use(() => {
    throw new SyncError('NOT_FOUND');
  });
  app.use((error: unknown, request: Request, response: Response, next: NextFunction) => {
    if (response.headersSent) return next(error);
    const known = toSyncError(error);
    metrics.refused.add(known.code);
    if (known.code === 'INTERNAL') log('unexpected', { where: `${request.method} request`, error });
    if (REFUSALS.has(known.code)) logRefusal(log, request, options.quotas.addressOf(request), known);
    if (known.status === 401) response.set('WWW-Authenticate', 'Bearer');
    response.status(known.status).json({ code: known.code, message: known.message, index: known.index });
  });
  return app;
}

/** What only the operator may do. */
function addAdmin(app: express.Express, options: HttpOptions, small: RequestHandler): void {
  const { config } = options;
  app.delete('/admin/users/:userId', adminOnly(config), (request, response) =>
    deleteUser(options, userOf(request), response),
  );
  app.get('/admin/users/:userId/export', adminOnly(config), (request, response) =>
    sendExport(options, userOf(request), request, response),
  );
  if (config.auth !== 'jwt') return;
  app.post('/admin/revoke', adminOnly(config), small, (request, response) =>
    postRevoke(options, request, response),
  );
}

/** What is told in the log: somebody without the right to it wants something. */
const REFUSALS: ReadonlySet<ErrorCode> = new Set(['UNAUTHORIZED', 'FORBIDDEN', 'ACCESS_UNAVAILABLE']);

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
