import { digest } from 'lib0/hash/sha256';
import { encodeUtf8 } from 'lib0/string';

const PLAIN = /^[a-z0-9-]{1,100}$/;
/** With a prefix and an extension it still fits the 255 bytes that file systems allow. */
const MAX_LENGTH = 220;

/**
 * A name of a file or database for any name of a user: two names never share one, also where file systems do not
 * tell `Anna` from `anna`. A long one in a script that takes several bytes a character is named by its hash.
 *
 * @example safeName('anna') // 'n-anna'
 */
export function safeName(name: string): string {
  if (PLAIN.test(name)) return `n-${name}`;
  const bytes = encodeUtf8(name);
  const encoded = `x-${base36(bytes)}`;
  return encoded.length > MAX_LENGTH ? `h-${base36(digest(bytes))}` : encoded;
}

function base36(bytes: Uint8Array): string {
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return BigInt(`0x1${hex}`).toString(36); // the 1 keeps zeros in front
}
