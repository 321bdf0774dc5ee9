/** The HTTP side: its routes (H1–H4, H6), and how errors are answered. */
import express, { type ErrorRequestHandler, type Request, type RequestHandler, type Response } from 'express';
import helmet from 'helmet';
import { isObject } from '../../../shared/json.js';
import { type ErrorCode, SyncError } from '../../errors.js';
import { hasGone } from '../../net/gone.js';
import { checkBody } from '../../protocol/body-shape.js';
import { parseJson } from '../../protocol/json.js';
import { AdminGuard } from '../guard/admin-guard.js';
import { logRefusal } from '../guard/authorize.js';
import { cors } from '../guard/origin.js';
import { challengeIn } from '../guard/request-names.js';
import type { OperatorSources } from './admin/options.js';
import { addAdmin } from './admin/routes.js';
import { refuseDemo, serveDemo } from './demo.js';
import { postYjs } from './exchange.js';
import { getHistory, postRestore } from './history.js';
import { bodyReader } from './inflation.js';
import { getMetrics } from './metrics.js';
import {
  admit,
  authorized,
  countAnswers,
  type HttpOptions,
  putOff,
  roomOnDisk,
  userOf,
  userOrSharedOf,
} from './request.js';
import { getSync, postSync } from './sync.js';
import { toOwner } from './to-owner.js';
import { eraseOwn, exportOwn } from './users.js';

const MAX_ADMIN_BODY = 10_000;

/** In messages of `MESSAGE_RATE`: each reads a document, an exchange encodes it, history is read entry by entry. */
const COST = { read: 1, write: 1, exchange: 5, history: 10, all: 50 } as const;

/** @param operator what the operator's side knows beyond it; without it there is none */
export function createHttp(options: HttpOptions, operator: OperatorSources | null = null): express.Express {
  const { config, metrics } = options;
  const bodies = bodyReaders(options);
  const app = frontOf(options);
  const hasOperator = config.adminToken !== '' || config.nodeEnv !== 'production';
  const guard = new AdminGuard(options);
  if (hasOperator) app.get('/metrics', guard.only, getMetrics(metrics));
  app.use('/api', countAnswers(options), putOff(options));
  addApi(app, options, bodies);
  if (hasOperator && operator !== null) addAdmin(app, { ...options, operator, guard }, bodies.small);
  if (config.demo) app.use(config.auth === 'none' ? serveDemo() : refuseDemo);
  app.use(() => {
    throw new SyncError('NOT_FOUND');
  });
  app.use(answerErrors(options));
  return app;
}

/** What comes first of every server, and answers also while it starts: whether it is there, and from which pages. */
export function frontOf(options: Pick<HttpOptions, 'config' | 'hindrances' | 'warnings'>): express.Express {
  const { config } = options;
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  // What guards an address in front of the server knows it in one spelling.
  app.enable('case sensitive routing');
  app.enable('strict routing');
  // Whether the way to here is safe from others is known only where it ends here.
  app.use(helmet({ strictTransportSecurity: config.tlsCert !== '' }));
  app.use(proveServer);
  app.use(cors(config.corsOrigins));
  addHealth(app, options);
  return app;
}

/** How bodies are read: JSON, bytes, and the small JSON of the operator. */
interface BodyReaders {
  readonly json: RequestHandler;
  readonly raw: RequestHandler;
  readonly small: RequestHandler;
}

function bodyReaders(options: HttpOptions): BodyReaders {
  const { config } = options;
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
  return { json, raw, small: express.json({ ...body, verify, limit: MAX_ADMIN_BODY }) };
}

/** Answers the challenge by which clients tell this server from a proxy or portal on the way. */
const proveServer: RequestHandler = (request, response, next) => {
  const challenge = challengeIn(request.get('Sync-Challenge'));
  if (challenge !== null) response.set('Sync-Proof', challenge);
  next();
};

function addHealth(
  app: express.Express,
  { hindrances, warnings }: Pick<HttpOptions, 'hindrances' | 'warnings'>,
): void {
  app.get('/health', (_, response) => void response.json({ status: 'up' }));
  app.get('/ready', (_, response) => {
    const reasons = hindrances();
    if (reasons.length === 0) response.json({ status: 'ready', warnings: warnings() });
    else response.status(503).json({ status: 'not ready', reasons });
  });
}

/** What devices and their users may do. */
function addApi(app: express.Express, options: HttpOptions, { json, raw }: BodyReaders): void {
  type Route = (options: HttpOptions, request: Request, response: Response) => Promise<void>;
  const to = (route: Route) => (request: Request, response: Response) => route(options, request, response);
  // Strangers first: they must not use up what the user may ask for. What is led on costs this node something, too.
  const led = options.hops === null ? [] : [toOwner(options.hops, options)];
  const admitted = (cost: number, document = userOf) => [
    authorized(options, document),
    admit(options, cost),
    ...led,
  ];
  const history = admitted(COST.history, userOrSharedOf);
  const room = roomOnDisk(options);
  app.get('/api/sync/:userId', admitted(COST.read), to(getSync));
  app.post('/api/sync/:userId', admitted(COST.write), room, json, to(postSync));
  app.post('/api/yjs/:userId', admitted(COST.exchange, userOrSharedOf), room, raw, to(postYjs));
  app.get('/api/history/:userId', history, to(getHistory));
  app.post('/api/history/:userId/restore', history, json, to(postRestore));
  app.delete('/api/users/:userId', admitted(COST.all), to(eraseOwn));
  app.get('/api/users/:userId/export', admitted(COST.all), to(exportOwn));
}

function answerErrors({ log, metrics, quotas }: HttpOptions): ErrorRequestHandler {
  return (error: unknown, request, response, _next) => {
    // The client has gone, and so the work for it was ended: nobody was refused.
    if (hasGone(response) && isEnded(error)) return;
    const known = toSyncError(error);
    if (response.headersSent) {
      log('unexpected', { where: `${request.method} request, which was cut off`, error });
      response.destroy();
      return;
    }
    metrics.refused.add(known.code);
    if (known.code === 'INTERNAL') log('unexpected', { where: `${request.method} request`, error });
    if (REFUSALS.has(known.code)) logRefusal(log, request, quotas.addressOf(request), known);
    tell(response, known);
  };
}

export function tell(response: Response, { status, code, message, index }: SyncError): void {
  if (status === 401) response.set('WWW-Authenticate', 'Bearer');
  response.status(status).json({ code, message, index });
}

/** What is told in the log: a caller has not the right to what it asks for. */
const REFUSALS: ReadonlySet<ErrorCode> = new Set(['UNAUTHORIZED', 'FORBIDDEN', 'ACCESS_UNAVAILABLE']);

/** What streams throw where the other end was closed, and work that was ended for that. */
const ENDED: ReadonlySet<unknown> = new Set(['RESTARTING', 'ERR_STREAM_PREMATURE_CLOSE']);

const isEnded = (error: unknown): boolean => isObject(error) && ENDED.has(error.code);

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

export function toSyncError(error: unknown): SyncError {
  if (error instanceof SyncError) return error;
  if (error instanceof URIError) return new SyncError('INVALID_IDENTITY');
  const { type, status } = isObject(error) ? error : {};
  const code =
    typeof type === 'string' ? PARSER_ERRORS[type] : status === 400 ? 'INVALID_MESSAGE' : undefined;
  return new SyncError(code ?? 'INTERNAL', undefined, { cause: error });
}
