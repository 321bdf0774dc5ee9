import { crc32 } from 'node:zlib';
import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import { encoded } from '../protocol/bytes.js';
import type { Deletion } from './store.js';

/**
 * Where each value belongs, and its bytes. These are the keys of a LevelDB, and in every store the place that a
 * value is sealed for. Updates and state vectors have the keys of y-leveldb, byte for byte, so that it
 * can read what is written here. Keys of our own start with `!`: y-leveldb's start with 0, so none of its range
 * scans meets one.
 */
const STRING = 0;
const UINT32 = 1;
const MAX_CLOCK = 0xffffffff;
const CLOCK_BYTES = 4;

type KeyPart = string | number;

const encodeKey = (parts: readonly KeyPart[]): Buffer => encoded((encoder) => writeKey(encoder, parts));

function writeKey(encoder: encoding.Encoder, parts: readonly KeyPart[]): void {
  for (const part of parts) {
    if (typeof part === 'string') {
      encoding.writeUint8(encoder, STRING);
      encoding.writeVarString(encoder, part);
    } else {
      encoding.writeUint8(encoder, UINT32);
      encoding.writeUint32BigEndian(encoder, part);
    }
  }
}

export interface KeyRange {
  readonly gte: Buffer;
  readonly lt: Buffer;
}

export const isIn = (key: Uint8Array, { gte, lt }: KeyRange): boolean =>
  Buffer.compare(key, gte) >= 0 && Buffer.compare(key, lt) < 0;

export const updateKey = (user: string, clock: number): Buffer => encodeKey(['v1', user, 'update', clock]);
export const stateVectorKey = (user: string): Buffer => encodeKey(['v1_sv', user]);

/** All updates of one user; as in y-leveldb, the last clock of 32 bits is never used. */
export const updateRange = (user: string): KeyRange => ({
  gte: updateKey(user, 0),
  lt: updateKey(user, MAX_CLOCK),
});

/** One key for each user that has a document, and nothing else. */
export const STATE_VECTORS: KeyRange = { gte: encodeKey(['v1_sv']), lt: encodeKey(['v1_sw']) };

export function clockOf(updateKey: Uint8Array): number {
  return Buffer.from(updateKey.buffer, updateKey.byteOffset, updateKey.byteLength).readUInt32BE(
    updateKey.length - CLOCK_BYTES,
  );
}

export function userOf(stateVectorKey: Uint8Array): string {
  const decoder = decoding.createDecoder(stateVectorKey);
  decoder.pos = encodeKey(['v1_sv']).length + 1;
  return decoding.readVarString(decoder);
}

/** The number of the format that all of the database has; see `migrations.ts`. */
export const FORMAT_KEY = Buffer.from('!sync!format');
export const PROBE_KEY = Buffer.from('!sync!probe');
/** What the server notes that belongs to no user. */
export const noteKey = (name: string): Buffer => Buffer.from(`!sync!note!${name}`);
const ROW_PREFIX = '!sync!row!';
export const rowKey = (user: string): Buffer => Buffer.from(ROW_PREFIX + user);
const MEMORY_PREFIX = '!sync!memory!';
export const memoryKey = (user: string): Buffer => Buffer.from(MEMORY_PREFIX + user);
export const MEMORIES: KeyRange = { gte: Buffer.from(MEMORY_PREFIX), lt: Buffer.from('!sync!memory"') };
export const userOfMemory = (key: Uint8Array): string =>
  Buffer.from(key).toString('utf8', MEMORY_PREFIX.length);
/** `"` follows `!`: every row key, and nothing else. */
export const ROWS: KeyRange = { gte: Buffer.from(ROW_PREFIX), lt: Buffer.from('!sync!row"') };
export const userOfRow = (key: Uint8Array): string => Buffer.from(key).toString('utf8', ROW_PREFIX.length);

/**
 * The user before a name or a number. Without a `!` of its own, so that no user's range holds a key of another one
 * whose name begins like it; ids from before `!` was allowed in them had neither of the two signs.
 */
const escaped = (user: string): string => user.replace(/[%!]/g, (sign) => (sign === '!' ? '%21' : '%25'));
const OWN = '!sync!';
const ownKey = (kind: string, user: string, rest = ''): Buffer =>
  Buffer.from(`${OWN}${kind}!${escaped(user)}!${rest}`);
const ownRange = (kind: string, user: string): KeyRange => ({
  gte: ownKey(kind, user),
  lt: Buffer.from(`${OWN}${kind}!${escaped(user)}"`),
});

/** Kinds of values whose key has a name in it that says something of the user. */
export type NamedKind = 'device' | 'deleted';
export const namedKey = (kind: NamedKind, user: string, name: string): Buffer => ownKey(kind, user, name);
export const nameOf = (key: Uint8Array, kind: NamedKind, user: string): string =>
  Buffer.from(key).toString('utf8', ownKey(kind, user).length);

/** 2^48 revisions are enough, and each entry pays for every byte of its key. */
const REVISION_BYTES = 6;

export function historyKey(user: string, revision: number): Buffer {
  const prefix = ownKey('history', user);
  const key = Buffer.allocUnsafe(prefix.length + REVISION_BYTES);
  key.set(prefix);
  key.writeUIntBE(revision, prefix.length, REVISION_BYTES);
  return key;
}

/** The keys of what each change of a user brings: they begin alike, and to write that anew costs most of a key. */
export class UserKeys {
  readonly #update: Buffer;
  readonly #history: Buffer;

  constructor(user: string) {
    this.#update = updateKey(user, 0);
    this.#history = historyKey(user, 0);
  }

  update(clock: number): Buffer {
    const key = Buffer.from(this.#update);
    key.writeUInt32BE(clock, key.length - CLOCK_BYTES);
    return key;
  }

  history(revision: number): Buffer {
    const key = Buffer.from(this.#history);
    key.writeUIntBE(revision, key.length - REVISION_BYTES, REVISION_BYTES);
    return key;
  }
}

export const historyRange = (user: string): KeyRange => ownRange('history', user);
export const revisionOf = (historyKey: Uint8Array): number =>
  Buffer.from(historyKey).readUIntBE(historyKey.length - REVISION_BYTES, REVISION_BYTES);

export const deviceKey = (user: string, device: string): Buffer => namedKey('device', user, device);
export const deletionName = (collection: string, id: string): string => JSON.stringify([collection, id]);
export const deletionKey = (user: string, collection: string, id: string): Buffer =>
  namedKey('deleted', user, deletionName(collection, id));
export const namedRange = (kind: NamedKind, user: string): KeyRange => ownRange(kind, user);

/** Which of the two kinds this key of the user is, `null` for any other. */
export function namedKindOf(key: Uint8Array, user: string): NamedKind | null {
  const starts = (kind: NamedKind): boolean => Buffer.from(key).indexOf(ownKey(kind, user)) === 0;
  if (starts('device')) return 'device';
  return starts('deleted') ? 'deleted' : null;
}

/** Kinds of keys that may be there where a user has no document, and the user that one of them names. */
export const OWN_KINDS: readonly KeyRange[] = ['device', 'deleted', 'history'].map((kind) => ({
  gte: Buffer.from(`${OWN}${kind}!`),
  lt: Buffer.from(`${OWN}${kind}"`),
}));
export function userOfOwn(key: Uint8Array): string {
  const start = Buffer.from(key).indexOf('!', OWN.length) + 1;
  const user = Buffer.from(key).toString('utf8', start, Buffer.from(key).indexOf('!', start));
  return user.replace(/%2[15]/g, (code) => (code === '%21' ? '!' : '%'));
}

const KEY_PREFIX = '!sync!key!';
/** The user's data key, wrapped; only where values are encrypted. */
export const wrappedKey = (user: string): Buffer => Buffer.from(KEY_PREFIX + user);
export const WRAPPED_KEYS: KeyRange = { gte: Buffer.from(KEY_PREFIX), lt: Buffer.from('!sync!key"') };
export const userOfWrapped = (key: Uint8Array): string =>
  Buffer.from(key).toString('utf8', KEY_PREFIX.length);
/** Says that, and with which master keys, the database is encrypted. */
export const ENCRYPTION_KEY = Buffer.from('!sync!encryption');

const REST_PREFIX = '!sync!rest!';
/** What is noted of a document at rest. */
export const restKey = (user: string): Buffer => Buffer.from(REST_PREFIX + user);
export const RESTS: KeyRange = { gte: Buffer.from(REST_PREFIX), lt: Buffer.from('!sync!rest"') };
export const userOfRest = (key: Uint8Array): string => Buffer.from(key).toString('utf8', REST_PREFIX.length);

/** What is remembered of the documents that this one took the place of. */
export const epochKey = (user: string): Buffer => Buffer.from(`!sync!epoch!${user}`);

/** When a native device was there that can't go on after a rewrite. */
export const plainVisitKey = (user: string): Buffer => Buffer.from(`!sync!plain!${user}`);

/** What is known of the devices that were there. */
export const seenKey = (user: string): Buffer => Buffer.from(`!sync!seen!${user}`);

/** The records of a document at rest, as JSON. */
export const viewKey = (user: string): Buffer => Buffer.from(`!sync!view!${user}`);

const TOMBSTONE_PREFIX = '!sync!erased!';
export const tombstoneKey = (user: string): Buffer => Buffer.from(TOMBSTONE_PREFIX + user);
export const TOMBSTONES: KeyRange = { gte: Buffer.from(TOMBSTONE_PREFIX), lt: Buffer.from('!sync!erased"') };
export const userOfTombstone = (key: Uint8Array): string =>
  Buffer.from(key).toString('utf8', TOMBSTONE_PREFIX.length);
const ERASING_PREFIX = '!sync!erasing!';
/** There while what an erasure deleted may still be in some file. */
export const erasingKey = (user: string): Buffer => Buffer.from(ERASING_PREFIX + user);
export const ERASING: KeyRange = { gte: Buffer.from(ERASING_PREFIX), lt: Buffer.from('!sync!erasing"') };
export const userOfErasing = (key: Uint8Array): string =>
  Buffer.from(key).toString('utf8', ERASING_PREFIX.length);

export const onlyKey = (key: Buffer): KeyRange => ({ gte: key, lt: Buffer.concat([key, Buffer.of(0)]) });

/** Where values of a user lie, those that y-leveldb wrote beside its updates included; not the row. */
export function valueRanges(user: string): KeyRange[] {
  const document = encodeKey(['v1', user]);
  return [
    { gte: document, lt: Buffer.concat([document, Buffer.of(UINT32 + 1)]) },
    onlyKey(stateVectorKey(user)),
    onlyKey(memoryKey(user)),
    onlyKey(restKey(user)),
    onlyKey(epochKey(user)),
    onlyKey(viewKey(user)),
    onlyKey(seenKey(user)),
    historyRange(user),
    namedRange('device', user),
    namedRange('deleted', user),
    onlyKey(wrappedKey(user)),
  ];
}

/** These, and what is never encrypted: all that an erasure removes. */
export const erasedRanges = (user: string): KeyRange[] => [
  ...valueRanges(user),
  onlyKey(plainVisitKey(user)),
];

const MAGIC = Buffer.from([0xc4, 0xc3, 0xb2, 0xc4]);
export const TRAILER_LENGTH = 8;

/**
 * A value with its checksum behind it. Yjs ignores bytes after an update, so y-leveldb reads it as it is; and
 * since an update says itself where it ends, one without a trailer can't pass for one with it.
 * The checksum covers the key too: a value that turns up in another place is found.
 */
export function seal(value: Uint8Array, key: Uint8Array): Buffer {
  const sealed = Buffer.allocUnsafe(value.length + TRAILER_LENGTH);
  sealed.set(value);
  sealed.set(MAGIC, value.length);
  sealed.writeUInt32BE(checksum(value, key), value.length + MAGIC.length);
  return sealed;
}

/** The value without its trailer (a view of the same memory), or `undefined` when its checksum is wrong. */
export function unseal(sealed: Uint8Array, key: Uint8Array): Uint8Array | undefined {
  const length = sealed.length - TRAILER_LENGTH;
  if (length < 0) return undefined;
  const trailer = Buffer.from(sealed.buffer, sealed.byteOffset + length, TRAILER_LENGTH);
  const value = new Uint8Array(sealed.buffer, sealed.byteOffset, length);
  if (!trailer.subarray(0, MAGIC.length).equals(MAGIC)) return undefined;
  return trailer.readUInt32BE(MAGIC.length) === checksum(value, key) ? value : undefined;
}

const checksum = (value: Uint8Array, key: Uint8Array): number => crc32(value, crc32(key));

/** What is known of a user's stored document beside its updates; written in each batch that changes it. */
export interface Row {
  /** Clocks of the first and the last update; every one between them is stored. */
  readonly first: number;
  readonly last: number;
  readonly revision: number;
  /** CRC-32 of the memory, which has a key of its own so that a commit without one need not write it again. */
  readonly memory: number | null;
  /** The same of what is remembered of the documents before. */
  readonly epoch: number | null;
  /** The entries of the revisions after this one, up to `revision`, are stored. */
  readonly historyFrom: number;
}

/** The row of a user that has no document yet. */
export const EMPTY_ROW: Row = { first: 0, last: -1, revision: 0, memory: null, epoch: null, historyFrom: 0 };

export const checkOf = (value: Uint8Array): number => crc32(value);

/** An older server, which would let in what is of an old document, can't read it. */
const ROW_OF_EPOCH = 3;
const ROW_VERSION = 2;
/** From before there was a history. */
const ROW_WITHOUT_HISTORY = 1;

/** @param key that of the row, where it is at hand */
export function encodeRow(user: string, row: Row, key: Buffer = rowKey(user)): Buffer {
  const memory = row.memory === null ? 0 : row.memory + 1;
  const updates = row.last - row.first + 1;
  const numbers = [row.first, updates, row.revision, memory, row.historyFrom];
  const all = row.epoch === null ? [ROW_VERSION, ...numbers] : [ROW_OF_EPOCH, ...numbers, row.epoch];
  const bytes = encoded((encoder) => {
    for (const number of all) encoding.writeVarUint(encoder, number);
  });
  return seal(bytes, key);
}

/** `undefined` when the checksum is wrong or the version is not known. */
export function decodeRow(user: string, sealed: Uint8Array): Row | undefined {
  const bytes = unseal(sealed, rowKey(user));
  if (bytes === undefined) return undefined;
  const decoder = decoding.createDecoder(bytes);
  const version = decoding.readVarUint(decoder);
  const hasHistory = version === ROW_VERSION || version === ROW_OF_EPOCH;
  if (!hasHistory && version !== ROW_WITHOUT_HISTORY) return undefined;
  const first = decoding.readVarUint(decoder);
  const end = decoding.readVarUint(decoder);
  const last = hasHistory ? first + end - 1 : end;
  const revision = decoding.readVarUint(decoder);
  const check = decoding.readVarUint(decoder);
  const historyFrom = hasHistory ? decoding.readVarUint(decoder) : revision;
  const epoch = version === ROW_OF_EPOCH ? decoding.readVarUint(decoder) : null;
  return { first, last, revision, memory: check === 0 ? null : check - 1, epoch, historyFrom };
}

/** A value of a `v1_sv` key as y-leveldb writes it: the clock it was taken at, and the state vector. */
export function encodeStateVectorValue(clock: number, stateVector: Uint8Array): Buffer {
  const encoder = encoding.createEncoder();
  encoding.writeVarUint(encoder, clock);
  encoding.writeVarUint8Array(encoder, stateVector);
  return Buffer.from(encoding.toUint8Array(encoder));
}

/** The state vector of a `v1_sv` value. */
export function stateVectorIn(value: Uint8Array): Uint8Array {
  const decoder = decoding.createDecoder(value);
  decoding.readVarUint(decoder);
  return decoding.readVarUint8Array(decoder);
}

/** The clock of a `v1_sv` value, or `undefined` when the value is not one. */
export function stateVectorClock(value: Uint8Array): number | undefined {
  try {
    const decoder = decoding.createDecoder(value);
    const clock = decoding.readVarUint(decoder);
    decoding.readVarUint8Array(decoder);
    return decoding.hasContent(decoder) ? undefined : clock;
  } catch {
    return undefined;
  }
}

export function encodeDeletion({ revision, at, changes }: Omit<Deletion, 'collection' | 'id'>): Uint8Array {
  const encoder = encoding.createEncoder();
  encoding.writeVarUint(encoder, revision);
  encoding.writeFloat64(encoder, at);
  if (changes !== undefined) encoding.writeUint8Array(encoder, changes);
  return encoding.toUint8Array(encoder);
}

/** What the name and the value of a deletion say together. */
export function decodeDeletion(name: string, value: Uint8Array): Deletion {
  const [collection, id] = JSON.parse(name) as [string, string];
  const decoder = decoding.createDecoder(value);
  const deletion = {
    collection,
    id,
    revision: decoding.readVarUint(decoder),
    at: decoding.readFloat64(decoder),
  };
  if (!decoding.hasContent(decoder)) return deletion;
  return { ...deletion, changes: decoding.readTailAsUint8Array(decoder).slice() };
}
