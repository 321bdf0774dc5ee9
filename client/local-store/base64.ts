/** Base64 without `btoa` and `Buffer`: older JavaScript engines of React Native have neither. */
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const CODES = Uint8Array.from(ALPHABET, (character) => character.charCodeAt(0));
const VALUES = new Uint8Array(128);
CODES.forEach((code, value) => {
  VALUES[code] = value;
});
/** As many arguments as every engine takes in one call. */
const PIECE = 8_192;
const PADDING = '='.charCodeAt(0);

export function toBase64(bytes: Uint8Array): string {
  const codes = new Uint8Array(Math.ceil(bytes.length / 3) * 4).fill(PADDING);
  for (let from = 0, to = 0; from < bytes.length; from += 3, to += 4) {
    const a = bytes[from] ?? 0;
    const b = bytes[from + 1] ?? 0;
    const c = bytes[from + 2] ?? 0;
    codes[to] = CODES[a >> 2] ?? 0;
    codes[to + 1] = CODES[((a & 3) << 4) | (b >> 4)] ?? 0;
    if (from + 1 < bytes.length) codes[to + 2] = CODES[((b & 15) << 2) | (c >> 6)] ?? 0;
    if (from + 2 < bytes.length) codes[to + 3] = CODES[c & 63] ?? 0;
  }
  return textOf(codes);
}

/** `null` when it is not whole base64, with its padding. */
export function fromBase64(text: string): Uint8Array | null {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text) || text.length % 4 !== 0) return null;
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  for (let from = 0, to = 0; from < text.length; from += 4, to += 3) {
    const bits =
      valueAt(text, from, 18) |
      valueAt(text, from + 1, 12) |
      valueAt(text, from + 2, 6) |
      valueAt(text, from + 3, 0);
    bytes[to] = bits >> 16; // what lies beyond the end is not written
    bytes[to + 1] = bits >> 8;
    bytes[to + 2] = bits;
  }
  return bytes;
}

const valueAt = (text: string, at: number, shift: number): number =>
  (VALUES[text.charCodeAt(at)] ?? 0) << shift;

function textOf(codes: Uint8Array): string {
  let text = '';
  for (let from = 0; from < codes.length; from += PIECE) {
    text += String.fromCharCode(...codes.subarray(from, from + PIECE));
  }
  return text;
}
