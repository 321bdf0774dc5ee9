import { readFileSync } from 'node:fs';
import { crc32, deflateSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { chunksOf, type Pixels, patchBetween, readPng, writeMoving } from '../../scripts/picture/png.js';

const WHITE: Pixels = { width: 4, height: 3, data: new Uint8Array(36).fill(255) };

function withDot(picture: Pixels, x: number, y: number): Pixels {
  const data = picture.data.slice();
  data.set([10, 20, 30], (y * picture.width + x) * 3);
  return { ...picture, data };
}

describe('the picture of the README (npm run docs:picture makes it)', () => {
  const moving = readFileSync('docs/demo.png');

  test('it moves, is whole and below 1 MB, and there is a still one for who wants none that moves', () => {
    expect(moving.length).toBeLessThan(1_000_000);
    const chunks = chunksOf(moving);
    for (const { type, data, crc } of chunks)
      expect(crc32(data, crc32(Buffer.from(type, 'latin1'))), type).toBe(crc);
    const frames = chunks.filter(({ type }) => type === 'fcTL').length;
    expect(frames).toBeGreaterThan(30);
    expect(chunks.find(({ type }) => type === 'acTL')?.data.readUInt32BE(0)).toBe(frames);
    const [first, still] = [readPng(moving), readPng(readFileSync('docs/demo-still.png'))];
    expect([still.width, still.height]).toEqual([first.width, first.height]);
    expect(Buffer.compare(first.data, still.data)).toBe(0);
  });

  test('only what differs is in a frame', () => {
    const next = withDot(withDot(WHITE, 1, 2), 3, 1);
    expect(patchBetween(WHITE, WHITE)).toBeNull();
    expect(patchBetween(WHITE, next)).toMatchObject({ x: 1, y: 1, width: 3, height: 2 });
    expect(patchBetween(WHITE, withDot(WHITE, 1, 2))?.data).toEqual(Buffer.from([10, 20, 30]));
  });

  test('what is written is read again; each way to store a line is known', () => {
    const dotted = withDot(WHITE, 2, 0);
    const written = writeMoving(4, 3, [{ patch: { ...dotted, x: 0, y: 0 }, shown: 100 }]);
    expect(Buffer.compare(readPng(written).data, dotted.data)).toBe(0);
    const rows = [0, 1, 2, 3, 4].map((filter) => Buffer.from([filter, 5, 6, 7, 1, 2, 3]));
    const filtered = replaced(writeMoving(2, 5, []), deflateSync(Buffer.concat(rows)));
    const lines = [
      [5, 6, 7, 1, 2, 3],
      [5, 6, 7, 6, 8, 10],
      [10, 12, 14, 7, 10, 13],
      [10, 12, 14, 9, 13, 16],
      [15, 18, 21, 16, 20, 24],
    ];
    expect([...readPng(filtered).data]).toEqual(lines.flat());
  });
});

/** With one IDAT before its end. */
function replaced(empty: Buffer, data: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  return Buffer.concat([
    empty.subarray(0, -12),
    length,
    Buffer.from('IDAT'),
    data,
    Buffer.alloc(4),
    empty.subarray(-12),
  ]);
}
