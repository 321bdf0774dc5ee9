/** What is remembered of the changes of a record is little, whatever they were (L8). */
import { expect, test } from 'vitest';
import { Digests } from '../../../../server/documents/history/digests.js';
import type { StoredEntry } from '../../../../server/documents/history/history-entry.js';
import { Pruning } from '../../../../server/documents/history/pruning.js';
import { Remembered, untoldRow } from '../../../../server/documents/history/remembered.js';
import type { Patch } from '../../../../server/documents/records/patch.js';
import type { RecordImage } from '../../../../server/documents/records/record-image.js';
import type { Deletion } from '../../../../server/store/store.js';
import type { Json, JsonObject } from '../../../../shared/json.js';
import { FORGOTTEN } from '../../../../shared/merge/merge.js';
import type { DeviceKey, RecordId } from '../../../../shared/names.js';
import { record } from '../../../support/ward.js';

const KEY = record('notes', 'n1');
const UNTIL = 20_000;

const entryOf = (patch: Patch, madeAt: number) =>
  ({ ...KEY, patch, madeAt, at: madeAt, removed: false, created: false }) as unknown as StoredEntry;

/** What is remembered when these have gone, the newest of which comes first. */
function pruned(patches: readonly Patch[], devices: readonly { from: number; to: number }[] = []) {
  const away = devices.map((range) => ({ ...range, key: 'tablet' as DeviceKey }));
  const pruning = new Pruning({
    devices: away,
    keyOf: () => 'phone' as DeviceKey,
    digests: new Digests(null),
  });
  for (const [index, patch] of patches.entries())
    pruning.add(entryOf(patch, UNTIL - index), UNTIL - index, null);
  const [row] = pruning.rows(new Remembered([]));
  if (row?.changes === undefined) throw new Error('nothing is remembered');
  return { changes: row.changes, remembered: new Remembered([row]) };
}

const at = ({ remembered }: ReturnType<typeof pruned>, ...path: string[]) =>
  remembered.changedAt(KEY, path, true);

test.each([
  ['nobody is away', []],
  ['a device is away', [{ from: 1, to: 1 }]],
])('[L8] of many fields the last ones are told apart, where %s', (_, away) => {
  const all = pruned(
    Array.from({ length: 10_000 }, (_, n) => ({ [`f${n}`]: [n] as const })),
    away,
  );
  expect(JSON.parse(Buffer.from(all.changes).toString())).toHaveLength(1_000);
  expect([at(all, 'f0'), at(all, 'f998')]).toEqual([UNTIL, UNTIL - 998]);
  expect(at(all, 'f9999')).toBeGreaterThanOrEqual(UNTIL - 9_999);
  expect(at(all, 'f9999')).toBe(at(all, 'f1000'));
});

test('[L8] of many changes of one field the last one counts', () => {
  const all = pruned(Array.from({ length: 10_000 }, (_, n) => ({ a: [n] as const })));
  expect(JSON.parse(Buffer.from(all.changes).toString())).toEqual([[['a'], UNTIL, UNTIL]]);
});

test('[L8] a change of very many fields is one of the whole record', () => {
  const all = pruned([Object.fromEntries(Array.from({ length: 5_000 }, (_, n) => [`f${n}`, [n] as const]))]);
  expect(JSON.parse(Buffer.from(all.changes).toString())).toEqual([[[], UNTIL, UNTIL]]);
});

test('[L8] long names take little room', () => {
  const all = pruned(
    Array.from({ length: 900 }, (_, n) => ({ [`${n} ${'x'.repeat(1_000)}`]: [n] as const })),
  );
  expect(all.changes.length).toBeLessThan(70_000);
  expect(at(all, `0 ${'x'.repeat(1_000)}`)).toBe(UNTIL);
  expect(at(all, `899 ${'x'.repeat(1_000)}`)).toBeLessThanOrEqual(UNTIL - 60);
  const one = pruned([{ ['x'.repeat(70_000)]: [1] }]);
  expect([one.changes.length < 100, at(one, 'x'.repeat(70_000))]).toEqual([true, UNTIL]);
});

test.each(['{', '{}', '[1]', '[[1,2,3]]', 'null'])(
  '[L8] what is remembered and can not be read (%s) undoes nothing',
  (text) => {
    const rows = [
      { ...KEY, revision: 0, at: 0, changes: Buffer.from(text) },
      untoldRow({ upTo: 0, at: 0, until: UNTIL }, new Digests(null)),
    ];
    const remembered = new Remembered(rows);
    expect(remembered.changedAt(KEY, ['a'], true)).toBeGreaterThan(Date.UTC(3000, 0));
    const tablet = { key: 'tablet' as DeviceKey, from: 1, to: 1 };
    expect(remembered.versions(KEY, tablet, { a: 1 }, [{ a: 2 }])).toEqual([]);
    const pruning = new Pruning({
      devices: [tablet],
      keyOf: () => 'phone' as DeviceKey,
      digests: new Digests(null),
    });
    pruning.add(entryOf({ a: [1] }, UNTIL + 1), UNTIL + 1, null);
    const after = new Remembered([...pruning.rows(remembered)]);
    expect(after.changedAt(KEY, ['a'], true)).toBe(UNTIL + 1);
    expect(after.changedAt(KEY, ['b'], true)).toBeGreaterThan(Date.UTC(3000, 0));
  },
);

test('[L8] of very many rows, the same is remembered, and others have their turns in between', async () => {
  const rows = Array.from({ length: 1_000 }, (_, n) => ({
    ...KEY,
    id: `r${n}`,
    revision: n + 1,
    at: n,
  }));
  let rests = 0;
  const remembered = await Remembered.inTurns(rows, async () => void rests++);
  expect(rests).toBe(rows.length);
  const lookUp = (from: Remembered) => rows.map(({ id }) => from.deletion({ ...KEY, id: id as RecordId }));
  expect(lookUp(remembered)).toEqual(rows);
  expect(lookUp(remembered)).toEqual(lookUp(new Remembered(rows)));
});

test('[L8 P7] a digest is nothing without the secret of its user; one of an earlier version gets it', () => {
  const tablet = { key: 'tablet' as DeviceKey, from: 1, to: 1 };
  const away = { devices: [tablet], keyOf: () => 'phone' as DeviceKey, digests: new Digests(null) };
  const pruning = new Pruning(away);
  const image = (a: string) => ({ json: { id: 'n1', a }, types: null }) as RecordImage;
  pruning.add(entryOf({ a: ['flu'] }, 2), 2, { before: image('flu'), after: image('cold') });
  const before = [untoldRow({ upTo: 0, at: 0, until: 2 }, away.digests), ...pruning.rows(new Remembered([]))];
  const renewed = () => [...new Remembered(before).withSecret()];
  const [anew, other] = [renewed(), renewed()];
  const guess = new Digests(null).of('flu');
  const textOf = (rows: readonly Deletion[]) =>
    rows.map(({ changes }) => Buffer.from(changes ?? []).toString());
  expect(textOf(before).join()).toContain(guess);
  expect(textOf(anew).join()).not.toContain(guess);
  expect(textOf(anew)[1]).not.toEqual(textOf(other)[1]);
  expect([before, anew].map((rows) => new Remembered(rows).digests.secret?.length)).toEqual([undefined, 24]);
  const known = [{ id: 'n1', a: 'flu' }];
  for (const rows of [before, anew, other])
    expect(new Remembered(rows).versions(KEY, tablet, { id: 'n1', a: 'cold' }, known)).toMatchObject([
      { revision: 1, json: known[0] },
    ]);
});

test('[L8] a digest is what it was when it was stored', () => {
  const value = ['ä', { unit: 'mg' }];
  expect(new Digests(null).of(value)).toBe('9E+mUE5UYwO3');
  expect(new Digests('AAAAAAAAAAAAAAAAAAAAAA==').of(value)).toBe('q/fgCo+dnlQv');
  expect(new Digests('AAAAAAAAAAAAAAAAAAAAAA==').ofEach([value])).toBe('q/fgCo+d');
});

const TABLET = { key: 'tablet' as DeviceKey, from: 1, to: 1 };
const SECRET = Digests.anew();

/** What is remembered of these lists, each a field of the record that others emptied in the order of the revisions. */
function prunedLists(lists: readonly Json[][]): { changes: Uint8Array; rows: Deletion[] } {
  const pruning = new Pruning({ devices: [TABLET], keyOf: () => 'phone' as DeviceKey, digests: SECRET });
  const record = (json: JsonObject) => ({ json: { id: 'n1', ...json }, types: null }) as RecordImage;
  const fields = Object.fromEntries(lists.map((list, n) => [`l${n}`, list]));
  for (let n = lists.length - 1; n >= 0; n--) {
    const { [`l${n}`]: _, ...others } = fields;
    const around = { before: record(fields), after: record(others) };
    pruning.add(entryOf({ [`l${n}`]: 0 }, n + 2), n + 2, around);
  }
  const [row] = pruning.rows(new Remembered([]));
  if (row?.changes === undefined) throw new Error('nothing is remembered');
  return { changes: row.changes, rows: [untoldRow({ upTo: 0, at: 0, until: UNTIL }, SECRET), row] };
}

/** What the tablet is taken to have seen, where this came in. */
const seenOf = (rows: readonly Deletion[], incoming: JsonObject) =>
  new Remembered(rows).versions(KEY, TABLET, { id: 'n1' }, [{ id: 'n1', ...incoming }, { id: 'n1' }])[0]
    ?.json;

const manyValues = (count: number, name: string): string[] =>
  Array.from({ length: count }, (_, n) => `${name}${n}`);

test('[L8] of a list, the values that came in are told, and that there were others', () => {
  const { rows } = prunedLists([['a', 1, null, { unit: 'mg' }, 'a', [1]]]);
  const incoming = { l0: ['b', { unit: 'mg' }, 'a', null, '1'] };
  expect(seenOf(rows, incoming)).toEqual({
    id: 'n1',
    l0: ['a', FORGOTTEN, null, { unit: 'mg' }, 'a', FORGOTTEN],
  });
});

test('[L8] a change of a list takes eight bytes more for each value, and those of a record have their bound', () => {
  const sizeOf = (lists: Json[][]) => prunedLists(lists).changes.length;
  expect(sizeOf([manyValues(10, 'v')]) - sizeOf([[...manyValues(201, 'v')]])).toBeLessThan(10 * 8 + 20);
  const lists = Array.from({ length: 100 }, (_, n) => manyValues(200, `list ${n} `));
  const { changes, rows } = prunedLists(lists);
  expect(changes.length).toBeLessThan(100 * 50 + 65_536);
  const sent = Object.fromEntries(lists.map((list, n) => [`l${n}`, [...list.slice(1), 'mine']]));
  const seen = seenOf(rows, sent) as JsonObject;
  expect(seen.l99).toEqual([FORGOTTEN, ...(lists[99]?.slice(1) ?? [])]);
  expect(seen.l0).toBe(FORGOTTEN);
});

/** Each row as it is stored, with something else in the place of the digests of values. */
const withValues = (rows: readonly Deletion[], valuesOf: (values: string) => unknown): Deletion[] =>
  rows.map((row) => {
    const changes = JSON.parse(Buffer.from(row.changes ?? []).toString()) as unknown[][] | unknown[];
    const isUntold = row.collection === '';
    const renewed = isUntold
      ? changes
      : (changes as unknown[][]).map((each) =>
          each.length > 6 ? [...each.slice(0, 6), valuesOf(`${each[6]}`)] : each,
        );
    return { ...row, changes: Buffer.from(JSON.stringify(renewed)) };
  });

test.each<[string, (values: string) => unknown]>([
  ['cut off', (values) => values.slice(1)],
  ['something else', () => ({ a: 1 })],
  ['nothing', () => undefined],
  ['null', () => null],
])(
  '[L8] digests of values that are damaged (%s) tell nothing, and the others of the record do',
  (_, damaged) => {
    const { rows } = prunedLists([['a', 'b'], ['c']]);
    const broken = withValues(rows, damaged);
    const seen = seenOf(broken, { l0: ['a', 'x'], l1: ['c'] });
    expect(seen).toEqual({ id: 'n1', l0: FORGOTTEN, l1: ['c'] });
  },
);

test('[L8] a version before, which reads six values of a change, finds the digest of the whole', () => {
  const { changes } = prunedLists([['a', 'b']]);
  const [[path, revision, madeAt, before, since, by]] = JSON.parse(Buffer.from(changes).toString()) as [
    unknown[],
  ];
  expect([path, revision, madeAt, before, since, by]).toEqual([['l0'], 2, 2, SECRET.of(['a', 'b']), 0, null]);
});

test('[L8] what such a version remembered of a list tells whether it is what came in, and no more', () => {
  const rows = withValues(prunedLists([['a', 'b']]).rows, () => undefined);
  expect(seenOf(rows, { l0: ['a', 'b'] })).toEqual({ id: 'n1', l0: ['a', 'b'] });
  expect(seenOf(rows, { l0: ['a', 'b', 'c'] })).toEqual({ id: 'n1', l0: FORGOTTEN });
});
