/** What every request names: a user, perhaps a device; and the user's document, while the request lasts. */
import type { Request, RequestHandler, Response } from 'express';
import type { z } from 'zod';
import { type DeviceId, isUserId, SHARED_DOCUMENT, type UserId } from '../../../shared/names.js';
import type { Access, Visit } from '../../access/access.js';
import type { Hops } from '../../cluster/hops.js';
import type { Config } from '../../config.js';
import type { Origin } from '../../documents/changes.js';
import type { HistoryHead } from '../../documents/history/history-log.js';
import { inOrder } from '../../documents/in-order.js';
import type { DocumentRegistry } from '../../documents/registry.js';
import type { FollowedDocument } from '../../documents/sleep/followed-document.js';
import type { Backlog } from '../../documents/turns/backlog.js';
import type { UserDocument } from '../../documents/user-document.js';
import { SyncError } from '../../errors.js';
import type { Log } from '../../log.js';
import type { Metrics } from '../../metrics.js';
import { hasGone, whenGone } from '../../net/gone.js';
import type { Hindrance, Warning } from '../../readiness.js';
import { authorize, type Grant } from '../guard/authorize.js';
import { type Overload, putOffFor } from '../guard/overload.js';
import type { Caller, Quotas } from '../guard/quotas.js';
import { appIn, asksForEpochIn, deviceInHeader, invalidUser, unsentIn } from '../guard/request-names.js';

/** The backups of this server. */
interface BackupsOf {
  /** When the last good one was made, in ms since 1970; null where none is known of. */
  readonly lastAt: number | null;
  /** When the database was made of one, in ms since 1970; null where it was not. */
  readonly restoredAt: number | null;
  /** @param keep how many stay; all where it is left out */
  make(into: string, keep: number | undefined): Promise<object>;
}

export interface HttpOptions {
  readonly config: Config;
  readonly access: Access;
  readonly registry: DocumentRegistry;
  readonly log: Log;
  readonly now: () => number;
  /** Milliseconds from any moment on, that never jump. */
  readonly uptime: () => number;
  readonly newDeviceId: () => DeviceId;
  /** What keeps the server from taking traffic: nothing, where it is ready (H4). */
  readonly hindrances: () => readonly Hindrance[];
  /** What somebody should look at all the same; undefined for nothing. */
  readonly warnings: () => readonly Warning[] | undefined;
  readonly quotas: Quotas;
  readonly metrics: Metrics;
  readonly backlog: Backlog;
  readonly overload: Pick<Overload, 'isOver'>;
  readonly backups: BackupsOf;
  /** Other nodes; `null` for a server that is alone. */
  readonly hops: Hops | null;
  /** Brings back what a backup has of a user, or had at a time before it. */
  readonly restoreUser: (user: UserId, from: { folder: string; at: number | null }) => Promise<object>;
  /** From 0 to 1. */
  readonly random: () => number;
}

/** What a request of a device comes to. */
interface HttpVisit {
  /** Up to which the device is sent the document, unless it has gone. */
  readonly revision: number;
  /** It sent changes, which are saved. */
  readonly hasSent: boolean;
}

/** What a body counts as that says no size, where there is no limit. */
const LARGEST_BODY = 32 * 2 ** 20;

/**
 * Refuses a request for which no slot is free, or which is over its rate, before its body is read; what comes and
 * goes counts towards the rate.
 *
 * @param cost in messages: what expensive requests cost besides their bytes
 */
export function admit({ quotas, config }: HttpOptions, cost: number): RequestHandler {
  return (request, response, next) => {
    if (hasGone(response)) return; // it has gone while its token was checked, and would never give its place back
    const caller = callerOf(quotas, request);
    const refusal = quotas.refuseRequest(caller);
    if (refusal !== null) {
      // What of the body is still to come is not worth reading.
      response.set({ 'Retry-After': String(refusal.retryAfter), Connection: 'close' });
      next(new SyncError(refusal.code));
      return;
    }
    const { socket } = request;
    const before = socket.bytesRead + socket.bytesWritten;
    const announced = bodySize(request, config.maxHttpBody);
    const leave = quotas.takeRequestSlot(caller, cost, announced);
    whenGone(response, () => {
      leave();
      quotas.sharedOf(caller).take(0, socket.bytesRead + socket.bytesWritten - before - announced);
    });
    next();
  };
}

/** What the body may come to hold in memory; as much as is allowed where the request does not say. */
function bodySize({ headers }: Request, max: number): number {
  const most = Math.min(max, LARGEST_BODY);
  if (headers['transfer-encoding'] !== undefined) return most;
  return Math.min(Number(headers['content-length'] ?? 0) || 0, most);
}

/** Who comes while the server is overloaded, before anything is looked at. */
export const putOff =
  ({ overload, random }: Pick<HttpOptions, 'overload' | 'random'>): RequestHandler =>
  (_request, response, next) => {
    if (!overload.isOver) return next();
    response.set({ 'Retry-After': String(Math.ceil(putOffFor(random))), Connection: 'close' });
    next(new SyncError('OVERLOADED'));
  };

/** Refuses what changes something, before its body is read, while too much waits for the disk. */
export const roomOnDisk =
  ({ backlog }: Pick<HttpOptions, 'backlog'>): RequestHandler =>
  (_request, response, next) => {
    if (!backlog.isFull) return next();
    response.set({ 'Retry-After': '5', Connection: 'close' });
    next(new SyncError('NOT_SAVED', 'Too much waits for the disk already; send it again later.'));
  };

/** Counts answers by their status, whichever route gave them. */
export const countAnswers =
  ({ metrics }: Pick<HttpOptions, 'metrics'>): RequestHandler =>
  (_request, response, next) => {
    response.once('finish', () => metrics.requests.add(String(response.statusCode)));
    next();
  };

/** Charges for more than `admit` could know of, in messages and bytes. */
export function charge({ quotas }: HttpOptions, request: Request, cost: number, bytes = 0): void {
  quotas.sharedOf(callerOf(quotas, request)).take(cost, bytes);
}

/** Charges for a body that was inflated, and counts it among those of its address while it lasts. */
export function chargeBody(options: HttpOptions, request: Request, response: Response, bytes: number): void {
  const { quotas } = options;
  charge(options, request, 0, bytes);
  const bodies = quotas.sharedOf({ user: null, address: quotas.addressOf(request) });
  bodies.take(0, bytes);
  whenGone(response, () => bodies.take(0, -bytes));
}

function callerOf(quotas: Quotas, request: Request): Caller {
  const { userId } = request.params;
  return { user: isUserId(userId) ? userId : null, address: quotas.addressOf(request) };
}

const arrivals = new WeakMap<Request, number>();

/** When the request itself arrived, before its body. */
export const arrivalOf = (request: Request): number | null => arrivals.get(request) ?? null;

const grants = new WeakMap<Request, Grant>();

/** Authorizes a request for the user that its path names, before its body is read. */
export const authorized =
  (
    { access, quotas, now }: Pick<HttpOptions, 'access' | 'quotas' | 'now'>,
    document = userOf,
  ): RequestHandler =>
  async (request, _response, next) => {
    arrivals.set(request, now());
    const address = quotas.addressOf(request);
    grants.set(request, await authorize(access, request, address, () => document(request)));
    next();
  };

/** The same, or the shared document (D8). */
export const userOrSharedOf = (request: Request): UserId =>
  request.params.userId === SHARED_DOCUMENT ? SHARED_DOCUMENT : userOf(request);

/** Whose document the path names: that of a user. */
export function userOf(request: Request): UserId {
  const { userId } = request.params;
  if (!isUserId(userId)) throw invalidUser(String(userId));
  return userId;
}

/** The grant of a request that was authorized. */
export function grantOf(request: Request): Grant {
  const grant = grants.get(request);
  if (grant === undefined) throw new SyncError('UNAUTHORIZED');
  return grant;
}

/** Refuses a caller that may only read. */
export function mustWrite(request: Request): void {
  if (!grantOf(request).mayWrite) throw new SyncError('READ_ONLY');
}

/** Where the changes of this request come from: a device that is named, or a new one. */
export const originOf = (request: Request, newDeviceId: () => DeviceId): Origin => ({
  via: 'http',
  device: namedDevice(request) ?? newDeviceId(),
  actor: grantOf(request).actor,
  subscriber: null,
});

/** The device that the request names, `null` if it names none. */
export const namedDevice = (request: Request): DeviceId | null => deviceInHeader(request.get('Device-ID'));

/** The document as connections follow it, awake or asleep. */
export async function withFollowed(
  { access, registry }: HttpOptions,
  request: Request,
  use: (document: FollowedDocument) => Promise<void>,
): Promise<void> {
  const { principal, user, address } = grantOf(request);
  await access.enter(principal, { user, action: 'read', via: 'http', address });
  const following = await registry.follow(user);
  try {
    await use(following.document);
  } finally {
    following.release();
  }
}

/**
 * A device that comes over HTTP, for the operator, once what it sent is durable, as its answer leaves; one without a
 * name is another one each time. One that fetches a document anew tells nothing of what waits for that.
 */
export function noteSeen(
  { registry, now }: HttpOptions,
  request: Request,
  response: Response,
  { revision, hasSent }: HttpVisit,
): void {
  const { user, actor } = grantOf(request);
  const device = namedDevice(request);
  if (device === null || user === SHARED_DOCUMENT) return;
  const { originalUrl: url } = request;
  const arrivedAt = arrivalOf(request) ?? now();
  const isSent = !hasGone(response);
  registry.seen.note(user, {
    device,
    actor,
    via: 'http',
    app: appIn(url),
    at: isSent ? now() : arrivedAt,
    revision: isSent ? revision : null,
    unsent: asksForEpochIn(url) ? null : unsentIn(url, arrivedAt),
    sentAt: hasSent ? arrivedAt : null,
  });
}

export async function withDocument(
  { access, registry }: HttpOptions,
  request: Request,
  action: Visit['action'],
  use: (document: UserDocument) => Promise<void>,
): Promise<void> {
  const { principal, user, address } = grantOf(request);
  await access.enter(principal, { user, action, via: 'http', address });
  const lease = await registry.open(user);
  try {
    await use(lease.document);
  } finally {
    lease.release();
  }
}

/** The document as it is, once that is durable. */
export async function durableHead(document: UserDocument): Promise<HistoryHead> {
  const head = await inOrder(document, () => document.historyHead());
  await document.durable();
  return head;
}

/** What a query or a body says, as it has to be. */
export function read<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const field = issue?.path.join('.') || 'body';
  throw new SyncError('INVALID_MESSAGE', `${field}: ${issue?.message ?? 'is not valid'}`);
}
