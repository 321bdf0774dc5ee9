export interface Read {
  readonly number: number;
  readonly end: number;
}

/** A number of seven bits a byte, as LevelDB writes lengths. */
export function readNumber(bytes: Uint8Array, from: number): Read {
  let number = 0;
  for (let n = 0; n < 10; n++) {
    const byte = bytes[from + n] ?? 0;
    number += (byte & 127) * 2 ** (7 * n);
    if (byte < 128) return { number, end: from + n + 1 };
  }
  return { number: Number.POSITIVE_INFINITY, end: from + 10 };
}

/** No block of ours is longer; a damaged length must not take all memory. */
const LONGEST = 256 * 1024 * 1024;

/** What Snappy compressed; as far as it can be read where it is damaged. */
export function unsnap(bytes: Uint8Array): Uint8Array {
  const length = readNumber(bytes, 0);
  const out = new Uint8Array(length.number <= Math.min(LONGEST, bytes.length * 64) ? length.number : 0);
  let to = 0;
  for (let at = length.end; at < bytes.length && to < out.length; ) {
    const tag = bytes[at++] ?? 0;
    const kind = tag & 3;
    if (kind === 0) {
      const extra = Math.max(0, (tag >> 2) - 59);
      const size = extra === 0 ? (tag >> 2) + 1 : littleEndian(bytes, at, extra) + 1;
      at += extra;
      out.set(bytes.subarray(at, at + Math.min(size, out.length - to)), to);
      to += size;
      at += size;
      continue;
    }
    const width = kind === 3 ? 4 : kind;
    const high = kind === 1 ? (tag >> 5) << 8 : 0;
    const back = high + littleEndian(bytes, at, width);
    const size = kind === 1 ? ((tag >> 2) & 7) + 4 : (tag >> 2) + 1;
    at += width;
    if (back === 0 || back > to) break;
    for (let n = 0; n < size && to < out.length; n++, to++) out[to] = out[to - back] ?? 0;
  }
  return out;
}

function littleEndian(bytes: Uint8Array, at: number, width: number): number {
  let number = 0;
  for (let n = width - 1; n >= 0; n--) number = number * 256 + (bytes[at + n] ?? 0);
  return number;
}
