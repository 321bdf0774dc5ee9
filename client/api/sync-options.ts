import {
  deviceIdProblem,
  isCollectionName,
  isDeviceId,
  isUserId,
  userIdProblem,
} from '../../shared/names.js';
import { ClientError } from '../errors.js';
import type { SyncOptions } from './api.js';

const isFunction = (value: unknown): boolean => typeof value === 'function';

/** What is wrong with one of the options is told before anything is opened. */
export function checkOptions(given: SyncOptions | undefined): SyncOptions {
  const options: Partial<SyncOptions> = given ?? {};
  const serverUrl = checkServerUrl(options.serverUrl);
  const { userId, deviceId } = options;
  if (!isUserId(userId)) throw wrong(`userId ${problemOf(userId, userIdProblem)}`);
  if (deviceId !== undefined && !isDeviceId(deviceId))
    throw wrong(`deviceId ${problemOf(deviceId, deviceIdProblem)}`);
  for (const name of ['getToken', 'onStorageError'] as const)
    if (!isFunction(options[name] ?? isFunction)) throw wrong(`${name} is a function`);
  if (!isFunction((options.storage ?? { open: isFunction }).open)) throw wrong('storage is a DeviceStorage');
  if (![options.sharedCollections ?? []].flat().every(isCollectionName))
    throw wrong('sharedCollections is a list of names of collections');
  for (const [name, schema] of Object.entries(options.schemas ?? {}))
    if (!isFunction(schema?.['~standard']?.validate)) throw wrong(`schemas.${name} is a Standard Schema`);
  return { ...options, serverUrl, userId };
}

const problemOf = (id: unknown, problem: (id: string) => string | null): string | null =>
  typeof id === 'string' ? problem(id) : 'is a text of 1 to 128 characters';

function checkServerUrl(url: unknown): string {
  if (typeof url === 'string' && /^https?:\/\/[^/?#\s]+[^?#\s]*$/i.test(url)) return url.replace(/\/+$/, '');
  throw wrong("serverUrl is an address such as 'http://host:3001' or 'https://sync.example.org'");
}

const wrong = (what: string) => new ClientError('INVALID_OPTIONS', `${what}.`);

/** Whether what is open for the one will do for the other. */
export const needNoOther = (open: SyncOptions | null, options: SyncOptions): boolean =>
  open?.userId === options.userId &&
  open.serverUrl === options.serverUrl &&
  open.storage === options.storage &&
  String(open.sharedCollections ?? []) === String(options.sharedCollections ?? []) &&
  (open.getToken === undefined) === (options.getToken === undefined);

/** An option that is given as undefined is one that is not given. */
export function withoutUndefined<T extends object>(options: T): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T;
}
