import { afterEach, expect, test, vi } from 'vitest';
import type { OwnWrite } from '../../../../server/documents/json-devices/own-write.js';
import { UnsettledWrites } from '../../../../server/documents/json-devices/unsettled-writes.js';

afterEach(() => {
  vi.restoreAllMocks();
});

const write = (revision: number, length: number): OwnWrite => ({
  sent: { id: 'x'.repeat(length) },
  madeAt: null,
  revision,
  since: revision - 1,
  withBase: false,
  replaced: [],
  isShown: true,
  isRepeat: false,
});

const deletion = (revision: number): OwnWrite => ({ ...write(revision, 0), sent: null });

const revisionsOf = (writes: UnsettledWrites) => writes.toJSON().map(([, { revision }]) => revision);

test('[L5] the newest ones are kept, as far as they are not too large together', () => {
  const writes = new UnsettledWrites();
  for (let n = 1; n <= 5; n++) writes.keep(`r${n}`, write(n, 60_000));
  expect(revisionsOf(writes)).toEqual([2, 3, 4, 5]);
  writes.keep('r2', write(6, 60_000));
  expect(revisionsOf(writes)).toEqual([3, 4, 5, 6]);
  expect(revisionsOf(new UnsettledWrites(writes.toJSON()))).toEqual([3, 4, 5, 6]);
  writes.settleUpTo(4);
  expect([revisionsOf(writes), writes.since, writes.get('r3')]).toEqual([[5, 6], [4, 5], null]);
  for (let n = 7; n <= 8; n++) writes.keep(`r${n}`, write(n, 60_000));
  expect(revisionsOf(writes)).toEqual([5, 6, 7, 8]);
  writes.keep('large', write(9, 300_000));
  expect(revisionsOf(writes)).toEqual([]);
});

test('[L4 L5] the newest 256 are kept, of which deletions take next to no characters', () => {
  const writes = new UnsettledWrites();
  for (let n = 1; n <= 300; n++) writes.keep(`r${n}`, deletion(n));
  const newest = Array.from({ length: 256 }, (_, index) => 45 + index);
  expect(revisionsOf(writes)).toEqual(newest);
  expect(writes.keep('r45', deletion(301))).toBe(true);
  expect(revisionsOf(writes)).toEqual([...newest.slice(1), 301]);
  const saved = Array.from({ length: 1_000 }, (_, index) => [`r${index}`, deletion(index)] as const);
  expect(revisionsOf(new UnsettledWrites(saved))).toEqual(Array.from({ length: 256 }, (_, k) => 744 + k));
});

test('[S4] what it costs to keep one does not grow with those that are kept', () => {
  const writes = new UnsettledWrites();
  const measured = vi.spyOn(JSON, 'stringify');
  for (let n = 1; n <= 1_000; n++) writes.keep(`r${n}`, write(n, 100));
  expect(measured).toHaveBeenCalledTimes(1_000);
});
