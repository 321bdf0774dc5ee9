/**
 * The bytes of a stored change: a checksum, perhaps the time at which it was made, then the update. Not every store
 * finds by itself what it damaged. Which of the two it is, the checksum tells: it begins with another number.
 */

import type { PendingChange } from '../connection/sync-source.js';
import type { NewChange } from '../local-store/store.js';

const CHECKSUM_BYTES = 4;
const TIME_BYTES = 8;
const PLAIN = 0x811c9dc5;
const WITH_TIME = 0x51ed270b;
const REPLACEMENT = 0x2b4e91d3;
const ASIDE = 0x6c07f3a5;
/** Later than any time that a Date can have. */
const NO_TIME = 8_640_000_000_000_001;

/** FNV-1a, 32 bits: finds damage; it is no protection against intent. */
function checksum(bytes: Uint8Array, start: number): number {
  let hash = start;
  for (let index = 0; index < bytes.length; index++) {
    hash = Math.imul(hash ^ (bytes[index] as number), 0x01000193);
  }
  return hash >>> 0;
}

/** A change. What no Date can have, such as a time in nanoseconds of a taken-over queue, is no time. */
export function seal(update: Uint8Array, madeAt: number | null = null): Uint8Array {
  return madeAt !== null && madeAt < NO_TIME ? sealed(update, WITH_TIME, madeAt) : sealed(update, PLAIN);
}

function sealed(update: Uint8Array, kind: number, time: number | null = null): Uint8Array {
  const begin = CHECKSUM_BYTES + (time === null ? 0 : TIME_BYTES);
  const bytes = new Uint8Array(begin + update.length);
  const view = new DataView(bytes.buffer);
  if (time !== null) view.setFloat64(CHECKSUM_BYTES, time);
  bytes.set(update, begin);
  view.setUint32(0, checksum(bytes.subarray(CHECKSUM_BYTES), kind));
  return bytes;
}

/** What is pending, as it is stored. */
export const pendingRow = ({ update, madeAt = null }: PendingChange): NewChange => ({
  bytes: seal(update, madeAt),
  pending: true,
});

/** The document from here on: what was stored before, and is in the memory of other tabs, is not in it (C11). */
export const sealReplacement = (state: Uint8Array): Uint8Array => sealed(state, REPLACEMENT);

/** A document without content. In the place of what was stored it says that the server has erased it (C10). */
export const EMPTY_STATE = Uint8Array.of(0, 0);

/** One without content that was not erased says so by other bytes for the same. */
const NOT_ERASED = Uint8Array.of(0x80, 0, 0);

/** What takes the place of what was stored, though nothing was erased (C11, P10). */
export const sealAnew = (state: Uint8Array): Uint8Array =>
  sealReplacement(state.length === EMPTY_STATE.length ? NOT_ERASED : state);

/**
 * All that was stored, as one row, and the key under which this document took the place of another: who has not been
 * told of that row is told by this one. It is sealed as a change of no time, which versions before read as any other.
 */
export const sealSnapshot = (state: Uint8Array, replacedAt: number | null): Uint8Array =>
  sealed(state, WITH_TIME, NO_TIME + (replacedAt ?? 0));

/** What is no change of the document, but was set aside. */
export const sealAside = (bytes: Uint8Array): Uint8Array => sealed(bytes, ASIDE);

/** What is stored of an update: the time at which it was made, and whether it is all of the document. */
export interface Unsealed {
  readonly update: Uint8Array;
  readonly madeAt: number | null;
  readonly kind: 'change' | 'snapshot' | 'replacement' | 'aside';
  /** Of a snapshot: the key of the row that put its document in the place of another; null where none is known. */
  readonly replacedAt?: number | null;
}

/** `null` if the bytes are not what was stored. */
export function unseal(bytes: Uint8Array): Unsealed | null {
  if (bytes.length < CHECKSUM_BYTES) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const stored = view.getUint32(0);
  const rest = bytes.subarray(CHECKSUM_BYTES);
  if (checksum(rest, PLAIN) === stored) return { update: rest, madeAt: null, kind: 'change' };
  if (rest.length >= TIME_BYTES && checksum(rest, WITH_TIME) === stored) {
    const madeAt = view.getFloat64(CHECKSUM_BYTES);
    const update = rest.subarray(TIME_BYTES);
    if (madeAt < NO_TIME) return { update, madeAt, kind: 'change' };
    return { update, madeAt: null, kind: 'snapshot', replacedAt: madeAt - NO_TIME || null };
  }
  if (checksum(rest, REPLACEMENT) === stored) return { update: rest, madeAt: null, kind: 'replacement' };
  return checksum(rest, ASIDE) === stored ? { update: rest, madeAt: null, kind: 'aside' } : null;
}
