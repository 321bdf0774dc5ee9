import { describe, expect, test } from 'vitest';
import { StoredSize } from '../../../../server/documents/compaction/stored-size.js';

const MIB = 2 ** 20;
const LIMITS = { compactUpdates: 500, compactBytes: 4 * MIB };

const bytes = (length: number): Uint8Array => new Uint8Array(length);

/** A document whose snapshot has so many bytes, and how many edits of a size it takes to make a compaction due. */
function editsUntilDue(snapshot: number, edit: number, share = 1): number {
  const size = new StoredSize([bytes(snapshot)]);
  for (let edits = 1; ; edits++) {
    size.add(bytes(edit));
    if (size.isDue(LIMITS, share)) return edits;
  }
}

describe('[P4] a compaction is due by what came since the last snapshot', () => {
  test('a small document: after so many updates', () => {
    expect(editsUntilDue(100_000, 50)).toBe(499);
    expect(editsUntilDue(MIB, 50)).toBe(499);
  });

  test('the larger it is, the more has to come: for each edit at most 4 KiB are written again', () => {
    for (const size of [1, 4, 25, 32]) {
      expect((size * MIB) / editsUntilDue(size * MIB, 50)).toBeLessThan(4_200);
    }
  });

  test('in large updates: as many bytes as the snapshot has, so that what is stored is at most twice the document', () => {
    expect(editsUntilDue(MIB, MIB / 2)).toBe(9);
    expect(editsUntilDue(25 * MIB, MIB)).toBe(26);
    expect(editsUntilDue(25 * MIB, 100_000)).toBe(263);
  });

  test('where nobody uses it any more, a tenth of that is enough', () => {
    expect(editsUntilDue(100_000, 50, 0.1)).toBe(49);
    expect(editsUntilDue(25 * MIB, 50, 0.1)).toBe(639);
  });

  test('what came while it was made counts for the next one', () => {
    const size = new StoredSize([bytes(MIB)]);
    for (let n = 0; n < 499; n++) size.add(bytes(100));
    expect(size.isDue(LIMITS)).toBe(true);
    size.add(bytes(200));
    const sizes = size.replaceBy(bytes(MIB), { updates: 500, bytes: MIB + 49_900 });
    expect(sizes).toEqual({ updates: 500, bytesBefore: MIB + 49_900, bytesAfter: MIB });
    expect([size.updates, size.bytes, size.isDue(LIMITS)]).toEqual([2, MIB + 200, false]);
    for (let n = 0; n < 498; n++) size.add(bytes(100));
    expect(size.isDue(LIMITS)).toBe(true);
  });

  test('one that failed is tried again when as much has come once more', () => {
    const size = new StoredSize([bytes(MIB)]);
    for (let n = 0; n < 499; n++) size.add(bytes(100));
    size.putOff();
    expect(size.isDue(LIMITS)).toBe(false);
    for (let n = 0; n < 499; n++) size.add(bytes(100));
    expect(size.isDue(LIMITS)).toBe(true);
  });
});
