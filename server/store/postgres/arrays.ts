/** Arrays in PostgreSQL's binary format: `pg` sends a Buffer as a binary parameter, so no byte becomes hex. */
const INT8 = 20;
const TEXT = 25;
const BYTEA = 17;

const HEADER = 20;
const LENGTH = 4;
/** What a null has in place of its length. */
const NULL = -1;

function arrayOf(type: number, count: number, size: number, hasNulls = false): Buffer {
  const array = Buffer.allocUnsafe(count === 0 ? HEADER - 8 : HEADER + size);
  array.writeInt32BE(count === 0 ? 0 : 1, 0); // dimensions
  array.writeInt32BE(hasNulls ? 1 : 0, 4);
  array.writeInt32BE(type, 8);
  if (count === 0) return array;
  array.writeInt32BE(count, 12);
  array.writeInt32BE(1, 16); // the first index
  return array;
}

/** Whole numbers that JavaScript is sure of. */
export function int8s(values: readonly number[]): Buffer {
  const array = arrayOf(INT8, values.length, (LENGTH + 8) * values.length);
  let at = HEADER;
  for (const value of values) {
    array.writeInt32BE(8, at);
    array.writeInt32BE(Math.floor(value / 2 ** 32), at + 4);
    array.writeUInt32BE(value >>> 0, at + 8);
    at += LENGTH + 8;
  }
  return array;
}

export const texts = (values: readonly string[]): Buffer =>
  bytesOf(
    TEXT,
    values.map((value) => Buffer.from(value)),
  );

export const byteas = (values: readonly (Uint8Array | null)[]): Buffer => bytesOf(BYTEA, values);

function bytesOf(type: number, values: readonly (Uint8Array | null)[]): Buffer {
  const size = values.reduce((sum, value) => sum + LENGTH + (value?.length ?? 0), 0);
  const array = arrayOf(type, values.length, size, values.includes(null));
  let at = HEADER;
  for (const value of values) {
    array.writeInt32BE(value?.length ?? NULL, at);
    if (value !== null) array.set(value, at + LENGTH);
    at += LENGTH + (value?.length ?? 0);
  }
  return array;
}
