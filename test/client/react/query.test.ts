import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { CollectionView, SyncRecord } from '../../../client/api/api.js';
import { type Query, QueryResult } from '../../../client/react/query.js';
import { runs } from '../../support/runs.js';

const view = (records: readonly SyncRecord[]): CollectionView => ({
  records,
  loaded: true,
  get: () => null,
  subscribe: () => () => {},
});

const record = fc.record({
  id: fc.integer({ min: 0, max: 12 }).map((n) => `r${n}`),
  kind: fc.constantFrom('x', 'y', undefined),
  rank: fc.option(fc.integer({ min: 0, max: 3 }), { nil: null }),
});
const query: fc.Arbitrary<Query<SyncRecord>> = fc.record(
  {
    where: fc.constantFrom({ kind: 'x' }, ({ rank }: SyncRecord) => rank !== 0),
    orderBy: fc.constantFrom('rank', ['rank', 'desc'] as const, ['kind', ['rank', 'desc']] as const),
    limit: fc.integer({ min: 0, max: 6 }),
  },
  { requiredKeys: [] },
);

/** Sorted from scratch, by ranks that are written out. */
function expected(records: readonly SyncRecord[], { where, orderBy, limit }: Query<SyncRecord>): string[] {
  const matches = (one: SyncRecord) =>
    where === undefined || (typeof where === 'function' ? where(one) : one.kind === 'x');
  const rank = ({ rank: value }: SyncRecord) => (value === null ? 9 : Number(value));
  const kind = ({ kind: value }: SyncRecord) => (value === undefined ? 'z' : String(value));
  const text = (one: SyncRecord) => {
    if (orderBy === undefined) return '';
    if (orderBy === 'rank') return `${rank(one)}`;
    return (orderBy as readonly unknown[])[0] === 'rank' ? `${9 - rank(one)}` : kind(one) + (9 - rank(one));
  };
  const sorted = records
    .filter(matches)
    .sort((a, b) => (text(a) + a.id < text(b) + b.id ? -1 : text(a) + a.id > text(b) + b.id ? 1 : 0));
  return sorted.slice(0, limit).map(({ id }) => String(id));
}

test('[C8] after any changes a query gives what filter, sort and slice give', () => {
  const changes = fc.array(fc.tuple(record, fc.boolean()), { maxLength: 30 });
  const check = (asked: Query<SyncRecord>, steps: readonly [SyncRecord, boolean][]): void => {
    const result = new QueryResult();
    const records = new Map<unknown, SyncRecord>();
    let [before, known]: [readonly SyncRecord[], readonly SyncRecord[]] = [[], []];
    for (const [changed, stays] of steps) {
      if (stays) records.set(changed.id, changed);
      else records.delete(changed.id);
      known = [...records.values()].sort((a, b) => (String(a.id) < String(b.id) ? -1 : 1));
      const now = result.read(view(known), { ...asked });
      expect(now.map(({ id }) => id)).toEqual(expected(known, asked));
      const isSame = now.length === before.length && now.every((each, index) => each === before[index]);
      if (isSame && before.length > 0) expect(now).toBe(before);
      before = now;
    }
  };
  fc.assert(fc.property(query, changes, check), { numRuns: runs(300), seed: 8 });
});

test('[C8] texts are in the order of a phone book, numbers in them by their value', () => {
  const order = (names: readonly string[]): unknown[] => {
    const records = names.map((name, n) => ({ id: `r${n}`, name }));
    return new QueryResult().read(view(records), { orderBy: 'name' }).map(({ name }) => name);
  };
  expect(order(['Zoe', 'anna', 'Ärne', 'Bert', 'ömer', 'Peter'])).toEqual([
    'anna',
    'Ärne',
    'Bert',
    'ömer',
    'Peter',
    'Zoe',
  ]);
  expect(order(['Room 10', 'Room 9', 'room 2'])).toEqual(['room 2', 'Room 9', 'Room 10']);
  expect(order(['2026-10-01', '2026-09-30'])).toEqual(['2026-09-30', '2026-10-01']);
});
