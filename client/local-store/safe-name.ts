import { encodeUtf8 } from 'lib0/string';

const PLAIN = /^[a-z0-9-]{1,100}$/;
/** With a prefix and an extension it still fits the 255 bytes that file systems allow. */
const MAX_LENGTH = 220;

/**
 * A name of a file or database for any name of a user: two names never share one, also where file systems do not
 * tell `Anna` from `anna`. `null` when the name is too long; ids of 128 characters never are.
 *
 * @example safeName('anna') // 'n-anna'
 */
export function safeName(name: string): string | null {
  if (PLAIN.test(name)) return `n-${name}`;
  const hex = Array.from(encodeUtf8(name), (byte) => byte.toString(16).padStart(2, '0')).join('');
  const encoded = `x-${BigInt(`0x1${hex}`).toString(36)}`; // the 1 keeps zeros in front
  return encoded.length > MAX_LENGTH ? null : encoded;
}
