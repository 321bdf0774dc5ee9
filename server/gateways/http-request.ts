/** What every request names: a user, perhaps a device; and the user's document, while the request lasts. */
import type { Request } from 'express';
import { SyncError } from '../../shared/errors.js';
import { type DeviceId, isDeviceId, isUserId, type UserId } from '../../shared/names.js';
import type { Config } from '../config.js';
import type { HistoryHead } from '../documents/archive.js';
import type { DocumentRegistry } from '../documents/registry.js';
import type { UserDocument } from '../documents/user-document.js';
import type { Log } from '../log.js';

/** Whether who asks may erase and export all data of a user. */
export type MayErase = (request: Request, user: UserId) => boolean;

export interface HttpOptions {
  readonly config: Config;
  readonly registry: DocumentRegistry;
  readonly log: Log;
  readonly now: () => number;
  readonly newDeviceId: () => DeviceId;
  /** Whether the store works and the server takes traffic (H4). */
  readonly isReady: () => boolean;
  readonly mayErase: MayErase;
}

export function userOf(request: Request): UserId {
  const { userId } = request.params;
  if (!isUserId(userId)) throw new SyncError('INVALID_IDENTITY');
  return userId;
}

/** The device that the request names, `null` if it names none. */
export function namedDevice(request: Request): DeviceId | null {
  const device = request.get('Device-ID');
  if (device === undefined || device === '') return null;
  if (!isDeviceId(device)) throw new SyncError('INVALID_IDENTITY');
  return device;
}

export async function withDocument(
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

/** The document as it is, once that is durable. */
export async function durableHead(document: UserDocument): Promise<HistoryHead> {
  const head = await inOrder(document, () => document.historyHead());
  await document.durable();
  return head;
}
