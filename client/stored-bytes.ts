/** The bytes of a stored change: a checksum, then the update. Not every store finds by itself what it damaged. */
import * as Y from 'yjs';

const CHECKSUM_BYTES = 4;

/** FNV-1a, 32 bits: finds damage; it is no protection against intent. */
function checksum(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < bytes.length; index++) {
    hash = Math.imul(hash ^ (bytes[index] as number), 0x01000193);
  }
  return hash >>> 0;
}

export function seal(update: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(CHECKSUM_BYTES + update.length);
  new DataView(bytes.buffer).setUint32(0, checksum(update));
  bytes.set(update, CHECKSUM_BYTES);
  return bytes;
}

/** The update, or `null` if the bytes are not what was stored. */
export function unseal(bytes: Uint8Array): Uint8Array | null {
  if (bytes.length < CHECKSUM_BYTES) return null;
  const stored = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
  const update = bytes.subarray(CHECKSUM_BYTES);
  return checksum(update) === stored ? update : null;
}

/** What one step of work made, as one update; `null` if it changed nothing. */
export function joined(updates: readonly Uint8Array[]): Uint8Array | null {
  return updates.length > 1 ? Y.mergeUpdates([...updates]) : (updates[0] ?? null);
}
