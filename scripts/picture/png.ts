/** PNG, as far as a screenshot needs it: 8 bits a channel, read, and written as frames of one moving picture. */
import { crc32, deflateSync, inflateSync } from 'node:zlib';

export interface Pixels {
  readonly width: number;
  readonly height: number;
  /** Three bytes a pixel. */
  readonly data: Uint8Array;
}

/** What of a picture is other than before. */
export interface Patch extends Pixels {
  readonly x: number;
  readonly y: number;
}

export interface Frame {
  readonly patch: Patch;
  /** How long it is shown, in ms. */
  readonly shown: number;
}

const SIGNATURE = Buffer.from('89504e470d0a1a0a', 'hex');
const RGB = 2;
const RGBA = 6;

export function chunksOf(
  file: Buffer,
): { readonly type: string; readonly data: Buffer; readonly crc: number }[] {
  if (!file.subarray(0, 8).equals(SIGNATURE)) throw new Error('This is no PNG.');
  const chunks = [];
  for (let at = 8; at < file.length; ) {
    const end = at + 8 + file.readUInt32BE(at);
    const type = file.toString('latin1', at + 4, at + 8);
    chunks.push({ type, data: file.subarray(at + 8, end), crc: file.readUInt32BE(end) });
    at = end + 4;
  }
  return chunks;
}

export function readPng(file: Buffer): Pixels {
  const chunks = chunksOf(file);
  const header = chunks[0]?.data ?? Buffer.alloc(13);
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  const type = header[9];
  if (header[8] !== 8 || (type !== RGB && type !== RGBA))
    throw new Error(`Colours of type ${type} are not read.`);
  const packed = Buffer.concat(chunks.filter((chunk) => chunk.type === 'IDAT').map((chunk) => chunk.data));
  const depth = type === RGBA ? 4 : 3;
  return { width, height, data: opaque(unfiltered(inflateSync(packed), width * depth, depth), depth) };
}

/** Takes back what a PNG does to each line so that it packs well. */
function unfiltered(raw: Uint8Array, line: number, depth: number): Uint8Array {
  const lines = raw.length / (line + 1);
  const out = new Uint8Array(lines * line);
  for (let y = 0; y < lines; y++) {
    const filter = raw[y * (line + 1)] ?? 0;
    for (let x = 0; x < line; x++) {
      const at = y * line + x;
      const left = x < depth ? 0 : (out[at - depth] ?? 0);
      const above = y === 0 ? 0 : (out[at - line] ?? 0);
      const corner = x < depth || y === 0 ? 0 : (out[at - line - depth] ?? 0);
      out[at] = (raw[y * (line + 1) + 1 + x] ?? 0) + predicted(filter, left, above, corner);
    }
  }
  return out;
}

function predicted(filter: number, left: number, above: number, corner: number): number {
  if (filter === 1) return left;
  if (filter === 2) return above;
  if (filter === 3) return (left + above) >> 1;
  return filter === 4 ? nearest(left, above, corner) : 0;
}

function nearest(left: number, above: number, corner: number): number {
  const guess = left + above - corner;
  const [a, b, c] = [Math.abs(guess - left), Math.abs(guess - above), Math.abs(guess - corner)];
  if (a <= b && a <= c) return left;
  return b <= c ? above : corner;
}

function opaque(data: Uint8Array, depth: number): Uint8Array {
  return depth === 3 ? data : data.filter((_, index) => index % 4 !== 3);
}

/** The smallest rectangle with all that differs; null where nothing does. */
export function patchBetween(before: Pixels, after: Pixels): Patch | null {
  const { width, height } = after;
  let [left, top, right, bottom] = [width, height, -1, -1];
  for (let pixel = 0; pixel < width * height; pixel++) {
    const at = pixel * 3;
    if ([0, 1, 2].every((channel) => before.data[at + channel] === after.data[at + channel])) continue;
    const [x, y] = [pixel % width, Math.floor(pixel / width)];
    [left, right] = [Math.min(left, x), Math.max(right, x)];
    [top, bottom] = [Math.min(top, y), Math.max(bottom, y)];
  }
  return right < 0
    ? null
    : cut(after, { x: left, y: top, width: right - left + 1, height: bottom - top + 1 });
}

type Rectangle = Omit<Patch, 'data'>;

function cut({ data, width }: Pixels, rectangle: Rectangle): Patch {
  const lines = Array.from({ length: rectangle.height }, (_, y) => {
    const at = ((rectangle.y + y) * width + rectangle.x) * 3;
    return data.subarray(at, at + rectangle.width * 3);
  });
  return { ...rectangle, data: Buffer.concat(lines) };
}

/** A PNG that moves, for ever; who can't show that shows the first frame. Each frame stands on those before it. */
export function writeMoving(width: number, height: number, frames: readonly Frame[]): Buffer {
  const header = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 8, RGB, 0, 0, 0]);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  let number = 0;
  const parts = frames.flatMap((frame, index) => {
    const control = chunk('fcTL', controlOf(number++, frame));
    const data = packed(frame.patch);
    if (index === 0) return [control, chunk('IDAT', data)];
    return [control, chunk('fdAT', Buffer.concat([numbers(number++), data]))];
  });
  const start = [SIGNATURE, chunk('IHDR', header), chunk('acTL', numbers(frames.length, 0))];
  return Buffer.concat([...start, ...parts, chunk('IEND', Buffer.alloc(0))]);
}

function controlOf(number: number, { patch, shown }: Frame): Buffer {
  const shownFor = Buffer.alloc(6);
  shownFor.writeUInt16BE(Math.round(shown), 0);
  shownFor.writeUInt16BE(1_000, 2);
  return Buffer.concat([numbers(number, patch.width, patch.height, patch.x, patch.y), shownFor]);
}

function packed({ data, width, height }: Patch): Buffer {
  const line = width * 3;
  const raw = Buffer.alloc((line + 1) * height);
  for (let y = 0; y < height; y++) raw.set(data.subarray(y * line, (y + 1) * line), y * (line + 1) + 1);
  return deflateSync(raw, { level: 9 });
}

function numbers(...values: number[]): Buffer {
  const buffer = Buffer.alloc(values.length * 4);
  for (const [index, value] of values.entries()) buffer.writeUInt32BE(value, index * 4);
  return buffer;
}

function chunk(type: string, data: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  return Buffer.concat([numbers(data.length), named, numbers(crc32(named))]);
}
