import * as encoding from 'lib0/encoding';
import { visible } from '../../shared/names.js';
import { SyncError } from '../errors.js';

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Eight groups of seven bits hold every safe integer; lib0 itself would read on until the sum is Infinity or NaN. */
const MAX_VARINT_BYTES = 8;

export function malformed(reason: string): never {
  throw new SyncError('MALFORMED_UPDATE', reason);
}

/** @param what completes the sentence "The update has …" */
export function tooCostly(what: string): never {
  throw new SyncError('UPDATE_TOO_COSTLY', `The update has ${what}.`);
}

/** A name as an error may show it: quoted, escaped and cut. */
export const quoted = (name: string): string =>
  visible(JSON.stringify(name.length > 60 ? `${name.slice(0, 59)}…` : name));

const MAX_SCRATCH = 4_096;
let scratch = encoding.createEncoder();

/** What `write` writes. For what is small and often made: an encoder of its own for each would be most of its cost. */
export function encoded(write: (encoder: encoding.Encoder) => void): Buffer {
  scratch.bufs.length = 0;
  scratch.cpos = 0;
  write(scratch);
  if (scratch.bufs.length === 0) return Buffer.from(scratch.cbuf.subarray(0, scratch.cpos));
  const { buffer, byteOffset, byteLength } = encoding.toUint8Array(scratch);
  // It has a larger buffer now, which it keeps unless that was for once.
  if (scratch.cbuf.length > MAX_SCRATCH) scratch = encoding.createEncoder();
  return Buffer.from(buffer, byteOffset, byteLength);
}

/** So many characters at most are looked at one by one. */
const SHORT_TEXT = 127;

/** The same as lib0's `writeVarString`, for names: the call that encodes a text costs more than writing a short one. */
export function writeText(encoder: encoding.Encoder, text: string): void {
  const { length } = text;
  if (length > SHORT_TEXT || !isAscii(text)) {
    encoding.writeVarString(encoder, text);
    return;
  }
  encoding.write(encoder, length);
  for (let at = 0; at < length; at++) encoding.write(encoder, text.charCodeAt(at));
}

function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 0x7f) return false;
  return true;
}

/**
 * Reads lib0's encodings from a byte array and refuses, with MALFORMED_UPDATE, what lib0 would read past the
 * end, wrap around or round. Byte arrays that it returns are views of the input.
 */
export class ByteReader {
  pos = 0;
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  byte(): number {
    const byte = this.bytes[this.pos++];
    return byte === undefined ? malformed('The data ends too early.') : byte;
  }

  uint(): number {
    const first = this.byte();
    return first < 0x80 ? first : this.uintRest(first & 0x7f, 0x80);
  }

  /** A signed integer: its first byte holds the sign and six bits. Only its place is of interest here. */
  skipInt(): void {
    const first = this.byte();
    if (first >= 0x80) this.uintRest(first & 0x3f, 0x40);
  }

  /** A count of things that take at least a byte each, so that a lie is found before anything is allocated. */
  count(): number {
    const count = this.uint();
    return count > this.bytes.length - this.pos ? malformed('A count is larger than the data.') : count;
  }

  skip(length: number): void {
    if (length > this.bytes.length - this.pos) malformed('The data ends too early.');
    this.pos += length;
  }

  /** A byte array with its length in front, as a view. */
  block(): Uint8Array {
    const length = this.uint();
    const start = this.pos;
    this.skip(length);
    return this.bytes.subarray(start, this.pos);
  }

  text(): string {
    return decodeUtf8(this.block());
  }

  /** Passes a string and returns its length in UTF-16 units, which is how Yjs counts. */
  skipText(): number {
    const length = this.uint();
    const start = this.pos;
    this.skip(length);
    return utf16Length(this.bytes, start, this.pos);
  }

  /** Passes these bytes, if they are what comes next. */
  repeats(expected: Uint8Array): boolean {
    const { bytes, pos } = this;
    if (expected.length > bytes.length - pos) return false;
    for (let i = 0; i < expected.length; i++) if (bytes[pos + i] !== expected[i]) return false;
    this.pos += expected.length;
    return true;
  }

  /** Decodes the string that starts at `start`, wherever the reader stands. */
  textAt(start: number): string {
    const again = new ByteReader(this.bytes);
    again.pos = start;
    return again.text();
  }

  end(): void {
    const rest = this.bytes.length - this.pos;
    if (rest > 0) malformed(`There are ${rest} bytes after the end.`);
  }

  private uintRest(low: number, unit: number): number {
    let value = low;
    let factor = unit;
    for (let i = 1; i < MAX_VARINT_BYTES; i++) {
      const byte = this.byte();
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value <= Number.MAX_SAFE_INTEGER ? value : malformed('A number is too large.');
      factor *= 0x80;
    }
    return malformed('A number is too large.');
  }
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return malformed('A JSON value does not parse.');
  }
}

export function decodeUtf8(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch {
    return malformed('A string is not valid UTF-8.');
  }
}

/** Length in UTF-16 units of the UTF-8 between two positions, by the rules of a fatal TextDecoder. */
function utf16Length(bytes: Uint8Array, start: number, end: number): number {
  let units = 0;
  let pos = start;
  while (pos < end) {
    const lead = bytes[pos] ?? 0;
    const size = lead < 0x80 ? 1 : sequenceSize(bytes, pos, end, lead);
    pos += size;
    units += size === 4 ? 2 : 1;
  }
  return units;
}

function sequenceSize(bytes: Uint8Array, pos: number, end: number, lead: number): number {
  const size = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  if (lead < 0xc2 || lead > 0xf4 || pos + size > end) return malformed('A string is not valid UTF-8.');
  const second = bytes[pos + 1] ?? 0;
  // The second byte is narrower where a shorter form, a surrogate or a code point above U+10FFFF would begin.
  const low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
  const high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
  let valid = second >= low && second <= high;
  for (let i = 2; i < size; i++) valid &&= ((bytes[pos + i] ?? 0) & 0xc0) === 0x80;
  return valid ? size : malformed('A string is not valid UTF-8.');
}

/** The order of names by their bytes in UTF-8. */
export function byBytes(one: string, other: string): number {
  const length = Math.min(one.length, other.length);
  for (let index = 0; index < length; index++) {
    const [a, b] = [one.charCodeAt(index), other.charCodeAt(index)];
    if (a !== b) return rank(a) - rank(b);
  }
  return one.length - other.length;
}

/** Halves of what is beyond U+FFFF come behind all others. */
const rank = (unit: number): number => (unit >= 0xd8_00 && unit < 0xe0_00 ? unit + 0x1_00_00 : unit);
