/**
 * Names that travel between devices: users, devices, collections, records and fields (D6).
 * Each kind is a branded string, so that a name that was never checked does not compile where one is needed.
 */
declare const kind: unique symbol;
type Name<Kind extends string> = string & { readonly [kind]: Kind };

export type UserId = Name<'user'>;
export type DeviceId = Name<'device'>;
/** A device in the hands of a person: its id alone is that of one of the document's owner (A2). */
export type DeviceKey = DeviceId | Name<'device of another'>;
export type CollectionName = Name<'collection'>;
export type RecordId = Name<'record'>;

export const MAX_NAME_LENGTH = 256;
export const MAX_ID_LENGTH = 128;

/** The collections that a full sync always has, empty or not (D7). */
export const STANDARD_COLLECTIONS = [
  'appointments',
  'consultations',
  'prescriptions',
  'medicalRecords',
] as readonly string[] as readonly CollectionName[];

/**
 * The document of the collections that belong to nobody and are read by everybody (D8). No user can have its name,
 * since a `userId` never begins with `~`.
 */
export const SHARED_DOCUMENT = '~shared' as UserId;

const RESERVED = new Set(['__proto__', 'constructor', 'prototype']);
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;
const ID = /^[A-Za-z0-9._:@-]{1,128}$/;

/**
 * Says what is wrong with a collection name, record id or field name, or `null` if it may be used.
 *
 * @example nameProblem('__proto__') // 'is reserved'
 */
export function nameProblem(name: string): string | null {
  if (name.length === 0) return 'is empty';
  if (name.length > MAX_NAME_LENGTH) return `is longer than ${MAX_NAME_LENGTH} characters`;
  if (RESERVED.has(name)) return 'is reserved';
  if (CONTROL.test(name)) return 'has a control character';
  return null;
}

export const isUserId = (value: unknown): value is UserId => typeof value === 'string' && ID.test(value);
export const isDeviceId = (value: unknown): value is DeviceId => typeof value === 'string' && ID.test(value);
export const isCollectionName = (value: unknown): value is CollectionName =>
  typeof value === 'string' && nameProblem(value) === null;
export const isRecordId = (value: unknown): value is RecordId =>
  typeof value === 'string' && nameProblem(value) === null;

/**
 * The key of a record whose `id` field is `id`: numbers key by their decimal string, so 1 and "1" are one
 * record. `null` when `id` can't be one.
 */
export function recordIdOf(id: unknown): RecordId | null {
  const key = typeof id === 'number' && Number.isSafeInteger(id) ? String(id) : id;
  return isRecordId(key) ? key : null;
}
