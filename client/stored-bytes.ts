/**
 * The bytes of a stored change: a checksum, perhaps the time at which it was made, then the update. Not every store
 * finds by itself what it damaged. Which of the two it is, the checksum tells: it begins with another number.
 */
import type { NewChange } from './local-store/store.js';
import type { PendingChange } from './sync-source.js';

const CHECKSUM_BYTES = 4;
const TIME_BYTES = 8;
const PLAIN = 0x811c9dc5;
const WITH_TIME = 0x51ed270b;

/** FNV-1a, 32 bits: finds damage; it is no protection against intent. */
function checksum(bytes: Uint8Array, start: number): number {
  let hash = start;
  for (let index = 0; index < bytes.length; index++) {
    hash = Math.imul(hash ^ (bytes[index] as number), 0x01000193);
  }
  return hash >>> 0;
}

export function seal(update: Uint8Array, madeAt: number | null = null): Uint8Array {
  const begin = CHECKSUM_BYTES + (madeAt === null ? 0 : TIME_BYTES);
  const bytes = new Uint8Array(begin + update.length);
  const view = new DataView(bytes.buffer);
  if (madeAt !== null) view.setFloat64(CHECKSUM_BYTES, madeAt);
  bytes.set(update, begin);
  view.setUint32(0, checksum(bytes.subarray(CHECKSUM_BYTES), madeAt === null ? PLAIN : WITH_TIME));
  return bytes;
}

/** What is pending, as it is stored. */
export const pendingRow = ({ update, madeAt = null }: PendingChange): NewChange => ({
  bytes: seal(update, madeAt),
  pending: true,
});

/** The update and its time, or `null` if the bytes are not what was stored. */
export function unseal(bytes: Uint8Array): { update: Uint8Array; madeAt: number | null } | null {
  if (bytes.length < CHECKSUM_BYTES) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const stored = view.getUint32(0);
  const rest = bytes.subarray(CHECKSUM_BYTES);
  if (checksum(rest, PLAIN) === stored) return { update: rest, madeAt: null };
  if (rest.length < TIME_BYTES || checksum(rest, WITH_TIME) !== stored) return null;
  return { update: rest.subarray(TIME_BYTES), madeAt: view.getFloat64(CHECKSUM_BYTES) };
}
