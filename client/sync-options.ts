import { isCollectionName, isDeviceId, isUserId } from '../shared/names.js';
import type { SyncOptions } from './api.js';
import { ClientError } from './errors.js';

const NAME_FORM = 'is 1 to 128 of A-Z a-z 0-9 . _ : @ -';

const isFunction = (value: unknown): boolean => typeof value === 'function';

/** What is wrong with one of the options is told before anything is opened. */
export function checkOptions(given: SyncOptions | undefined): SyncOptions {
  const options: Partial<SyncOptions> = given ?? {};
  const serverUrl = checkServerUrl(options.serverUrl);
  if (!isUserId(options.userId)) throw wrong(`userId ${NAME_FORM}`);
  if (options.deviceId !== undefined && !isDeviceId(options.deviceId)) throw wrong(`deviceId ${NAME_FORM}`);
  for (const name of ['getToken', 'onStorageError'] as const)
    if (!isFunction(options[name] ?? isFunction)) throw wrong(`${name} is a function`);
  if (!isFunction((options.storage ?? { open: isFunction }).open)) throw wrong('storage is a DeviceStorage');
  if (![options.sharedCollections ?? []].flat().every(isCollectionName))
    throw wrong('sharedCollections is a list of names of collections');
  for (const [name, schema] of Object.entries(options.schemas ?? {}))
    if (!isFunction(schema?.['~standard']?.validate)) throw wrong(`schemas.${name} is a Standard Schema`);
  return { ...options, serverUrl, userId: options.userId };
}

function checkServerUrl(url: unknown): string {
  if (typeof url === 'string' && /^https?:\/\/[^/?#\s]+[^?#\s]*$/i.test(url)) return url.replace(/\/+$/, '');
  throw wrong("serverUrl is an address such as 'http://host:3001' or 'https://sync.example.org'");
}

const wrong = (what: string) => new ClientError('INVALID_OPTIONS', `${what}.`);
