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
/** Half of a character: bytes can't hold it, so it would be another one after a restart. */
const LONE_SURROGATE = /[\ud800-\udbff](?![\udc00-\udfff])|(?:^|[^\ud800-\udbff])[\udc00-\udfff]/;
/** Whole characters of two halves, and halves. */
const ALL_SURROGATES = /[\ud800-\udbff][\udc00-\udfff]|[\ud800-\udfff]/g;
/**
 * What nobody sees, and what turns around or breaks the line that it stands in: two names that look the same, or a
 * line of a log that says something else. Without \p{…}, which the JavaScript of some phones lacks.
 */
const HIDDEN = /[\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/;
const WHITE_SPACE = /\s/;
const WHITE_SPACE_BUT_SPACES = /[^\S ]/;
const ADDRESS_SIGNS = /[/\\?#%]/;

/**
 * Says what is wrong with a collection name, record id or field name that is new, or `null` if it may be used.
 *
 * @example nameProblem('__proto__') // 'is reserved'
 */
export function nameProblem(name: string): string | null {
  return storedNameProblem(name) ?? textProblem(name);
}

/** The same of a name that a document may hold from before: only this keeps it from being seen and changed. */
export function storedNameProblem(name: string): string | null {
  if (name.length === 0) return 'is empty';
  if (name.length > MAX_NAME_LENGTH) return `is longer than ${MAX_NAME_LENGTH} characters`;
  if (RESERVED.has(name)) return 'is reserved';
  if (CONTROL.test(name)) return 'has a control character';
  return null;
}

/** What no record can have anywhere: an object would be another one by it. */
export const isReservedName = (name: string): boolean => RESERVED.has(name);

/** Whether it has no half of a character. */
export const isWellFormed = (text: string): boolean => !LONE_SURROGATE.test(text);

const escapeOf = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** The text with escapes for what is not seen, so that it can be shown. */
export const visible = (text: string): string => text.replace(new RegExp(HIDDEN, 'g'), escapeOf);

/** The text with U+FFFD for each half of a character, as bytes will have it. */
export const wellFormedText = (text: string): string =>
  isWellFormed(text)
    ? text
    : text.replace(ALL_SURROGATES, (match) => (match.length === 2 ? match : '\ufffd'));

function textProblem(name: string): string | null {
  if (!isWellFormed(name)) return 'has half of a character (a lone surrogate)';
  const hidden = HIDDEN.exec(name)?.[0].charCodeAt(0).toString(16).toUpperCase().padStart(4, '0');
  return hidden === undefined ? null : `has a character that is not seen (U+${hidden})`;
}

/** What is wrong with a user id, or `null`. Two that differ in any way are two users: nothing is normalised. */
export const userIdProblem = (id: string): string | null => idProblem(id, WHITE_SPACE, 'white space');

/** What is wrong with a device id, or `null`: that of users, but that it may have spaces. */
export const deviceIdProblem = (id: string): string | null =>
  idProblem(id, WHITE_SPACE_BUT_SPACES, 'white space other than spaces');

function idProblem(id: string, whiteSpace: RegExp, called: string): string | null {
  if (id.length === 0) return 'is empty';
  if (id.length > MAX_ID_LENGTH) return `is longer than ${MAX_ID_LENGTH} characters`;
  if (id.startsWith('~')) return 'begins with ~, which is reserved';
  if (CONTROL.test(id)) return 'has a control character';
  if (whiteSpace.test(id)) return `has ${called}`;
  if (ADDRESS_SIGNS.test(id)) return 'has one of / \\ ? # %';
  return textProblem(id);
}

export const isUserId = (value: unknown): value is UserId =>
  typeof value === 'string' && userIdProblem(value) === null;
export const isDeviceId = (value: unknown): value is DeviceId =>
  typeof value === 'string' && deviceIdProblem(value) === null;
/** Of what a document has, or may have from before; a new one is asked for its `nameProblem`, too. */
export const isCollectionName = (value: unknown): value is CollectionName =>
  typeof value === 'string' && storedNameProblem(value) === null;
/** The same for records. */
export const isRecordId = (value: unknown): value is RecordId =>
  typeof value === 'string' && storedNameProblem(value) === null;

/**
 * The key of a record whose `id` field is `id`: numbers key by their decimal string, so 1 and "1" are one
 * record. `null` when `id` can't be one.
 */
export function recordIdOf(id: unknown): RecordId | null {
  const key = typeof id === 'number' && Number.isSafeInteger(id) ? String(id) : id;
  return isRecordId(key) ? key : null;
}
