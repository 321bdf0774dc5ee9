import { describe, expect, test } from 'vitest';
import { StoredSize } from '../../../../server/documents/compaction/stored-size.js';

const MIB = 2 ** 20;
const SMALL = 16_000;
const LIMITS = { compactUpdates: 500, compactBytes: 4 * MIB };

const bytes = (length: number): Uint8Array => new Uint8Array(length);

/** A document whose snapshot has so many bytes, and how many edits of a size it takes to make a compaction due. */
function editsUntilDue(snapshot: number, edit: number, share = 1, limits = LIMITS): number {
  const size = new StoredSize([bytes(snapshot)]);
  for (let edits = 1; ; edits++) {
    size.add(bytes(edit));
    if (size.isDue(limits, share)) return edits;
  }
}

describe('[P4] a compaction is due by what came since the last snapshot', () => {
  test('a small document: after so many updates', () => {
    expect(editsUntilDue(1_000, 50)).toBe(499);
    expect(editsUntilDue(32 * 1_024, 50)).toBe(499);
  });

  test('the larger it is, the more has to come, as a compaction takes the longer, up to 20,000 updates', () => {
    expect(editsUntilDue(320 * 1_024, 30)).toBe(4_999);
    expect(editsUntilDue(1_280 * 1_024, 30)).toBe(19_999);
    expect(editsUntilDue(4 * MIB, 30)).toBe(19_999);
  });

  test('for each edit at most 2 KiB of the snapshot are written again, whatever is set', () => {
    for (const size of [1, 4, 25, 32, 64]) {
      expect((size * MIB) / editsUntilDue(size * MIB, 50)).toBeLessThan(2_100);
      const often = { compactUpdates: 1, compactBytes: 64 * MIB };
      expect((size * MIB) / editsUntilDue(size * MIB, 50, 1, often)).toBeLessThan(2_100);
    }
  });

  test('in large updates: as many bytes as the snapshot has, so that what is stored is at most twice the document', () => {
    expect(editsUntilDue(MIB, MIB / 2)).toBe(9);
    expect(editsUntilDue(25 * MIB, MIB)).toBe(26);
    expect(editsUntilDue(25 * MIB, 100_000)).toBe(263);
  });

  test('where nobody uses it any more, a tenth of that is enough', () => {
    expect(editsUntilDue(16_000, 50, 0.1)).toBe(49);
    expect(editsUntilDue(25 * MIB, 50, 0.1)).toBe(1_999);
  });

  test('what came while it was made counts for the next one', () => {
    const size = new StoredSize([bytes(SMALL)]);
    for (let n = 0; n < 499; n++) size.add(bytes(100));
    expect(size.isDue(LIMITS)).toBe(true);
    size.add(bytes(200));
    const sizes = size.replaceBy(bytes(SMALL), { updates: 500, bytes: SMALL + 49_900 });
    expect(sizes).toEqual({ updates: 500, bytesBefore: SMALL + 49_900, bytesAfter: SMALL });
    expect([size.updates, size.bytes, size.isDue(LIMITS)]).toEqual([2, SMALL + 200, false]);
    for (let n = 0; n < 498; n++) size.add(bytes(100));
    expect(size.isDue(LIMITS)).toBe(true);
  });

  test('one that failed is tried again when as much has come once more', () => {
    const size = new StoredSize([bytes(SMALL)]);
    for (let n = 0; n < 499; n++) size.add(bytes(100));
    size.putOff();
    expect(size.isDue(LIMITS)).toBe(false);
    for (let n = 0; n < 499; n++) size.add(bytes(100));
    expect(size.isDue(LIMITS)).toBe(true);
  });
});
