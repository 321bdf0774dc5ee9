/** What is moved of a user, and in which order: the same in every store. */
import * as format from '../format.js';

/** Values of which a user has at most one, by the names that tables have for them. */
export const SINGLES: readonly (readonly [kind: string, key: (user: string) => Buffer])[] = [
  ['key', format.wrappedKey],
  ['tombstone', format.tombstoneKey],
  ['memory', format.memoryKey],
  ['epoch', format.epochKey],
  ['rest', format.restKey],
  ['view', format.viewKey],
  ['seen', format.seenKey],
  ['plain', format.plainVisitKey],
];

export const NAMED: readonly format.NamedKind[] = ['device', 'deleted'];

/** Behind the row and the singles. */
export const rangesOf = (user: string): readonly format.KeyRange[] => [
  format.updateRange(user),
  format.historyRange(user),
  ...NAMED.map((kind) => format.namedRange(kind, user)),
];

/** A row that says nothing is not there in one store, and has to be in another. */
export const saysNothing = (row: format.Row): boolean =>
  Object.entries(format.EMPTY_ROW).every(([name, value]) => row[name as keyof format.Row] === value);

/** The ids of the master keys, as one of the rows that belong to no user. */
export const keysRow = (ids: readonly string[]): readonly [Buffer, Buffer] => [
  format.ENCRYPTION_KEY,
  Buffer.from([...ids].sort().join(' ')),
];
export const keysIn = (value: Uint8Array): string[] => Buffer.from(value).toString().split(' ');

const NOTES = format.noteKey('');
export const noteIn = (key: Uint8Array): string => Buffer.from(key).toString('utf8', NOTES.length);
/** `"` follows `!`. */
export const NOTE_RANGE: format.KeyRange = { gte: NOTES, lt: Buffer.from('!sync!note"') };
