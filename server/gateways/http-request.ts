/** What every request names: a user, perhaps a device; and the user's document, while the request lasts. */
import type { Request, RequestHandler } from 'express';
import { SyncError } from '../../shared/errors.js';
import { type DeviceId, isDeviceId, isUserId, type UserId } from '../../shared/names.js';
import type { Access, Visit } from '../access.js';
import type { Config } from '../config.js';
import type { Author } from '../documents/device-key.js';
import type { DocumentRegistry } from '../documents/registry.js';
import type { UserDocument } from '../documents/user-document.js';
import type { Log } from '../log.js';
import { letIn, type Visitor } from './visitor.js';

export interface HttpOptions {
  readonly config: Config;
  readonly access: Access;
  readonly registry: DocumentRegistry;
  readonly log: Log;
  readonly now: () => number;
  readonly newDeviceId: () => DeviceId;
  /** Whether the store works and the server takes traffic (H4). */
  readonly isReady: () => boolean;
}

const visitors = new WeakMap<Request, Visitor>();

/** Lets the request in to the user that its path names, before its body is read. */
export const door =
  ({ access }: Pick<HttpOptions, 'access'>): RequestHandler =>
  async (request, _response, next) => {
    visitors.set(request, await letIn(access, request, () => userOf(request)));
    next();
  };

function userOf(request: Request): UserId {
  const { userId } = request.params;
  if (!isUserId(userId)) throw new SyncError('INVALID_IDENTITY');
  return userId;
}

/** Who has come in by the door. */
export function visitorOf(request: Request): Visitor {
  const visitor = visitors.get(request);
  if (visitor === undefined) throw new SyncError('UNAUTHORIZED');
  return visitor;
}

/** Refuses who may only read. */
export function mustWrite(request: Request): void {
  if (!visitorOf(request).mayWrite) throw new SyncError('READ_ONLY');
}

/** Who makes the changes of this request: a device that is named, or a new one. */
export const authorOf = (request: Request, newDeviceId: () => DeviceId): Author => ({
  device: namedDevice(request) ?? newDeviceId(),
  actor: visitorOf(request).actor,
});

/** The device that the request names, `null` if it names none. */
export function namedDevice(request: Request): DeviceId | null {
  const device = request.get('Device-ID');
  if (device === undefined || device === '') return null;
  if (!isDeviceId(device)) throw new SyncError('INVALID_IDENTITY');
  return device;
}

export async function withDocument(
  { access, registry }: HttpOptions,
  request: Request,
  action: Visit['action'],
  use: (document: UserDocument) => Promise<void>,
): Promise<void> {
  const { principal, user, address } = visitorOf(request);
  await access.enter(principal, { user, action, via: 'http', address });
  const lease = await registry.open(user);
  try {
    await use(lease.document);
  } finally {
    lease.release();
  }
}

/** Waits until the document is in order and its history is in memory since `from`, then runs `action` in one go. */
export function inOrder<T>(
  document: UserDocument,
  action: () => T,
  from = Number.POSITIVE_INFINITY,
): Promise<T> {
  return new Promise((resolve, reject) => {
    document.withHistory(from, () => {
      try {
        resolve(action());
      } catch (error) {
        reject(error);
      }
    });
  });
}
