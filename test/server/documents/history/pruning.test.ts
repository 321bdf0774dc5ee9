/** What the reading of entries that go takes, of CPU and of memory, is bounded, whatever they say (H7, P8). */
import { afterEach, expect, test, vi } from 'vitest';
import { Digests } from '../../../../server/documents/history/digests.js';
import type { StoredEntry } from '../../../../server/documents/history/history-entry.js';
import { MOST_TOLD, Pruning } from '../../../../server/documents/history/pruning.js';
import { Remembered, untoldRow } from '../../../../server/documents/history/remembered.js';
import type { RecordImage } from '../../../../server/documents/records/record-image.js';
import type { Json, JsonObject } from '../../../../shared/json.js';
import { FORGOTTEN } from '../../../../shared/merge/merge.js';
import type { DeviceKey, RecordId } from '../../../../shared/names.js';
import { record } from '../../../support/ward.js';

const KEY = record('notes', 'n1');
const SECRET = Digests.anew();
const TABLET = { key: 'tablet' as DeviceKey, from: 1, to: 1 };

afterEach(() => vi.restoreAllMocks());

const pruningFor = (): Pruning =>
  new Pruning({ devices: [TABLET], keyOf: () => 'phone' as DeviceKey, digests: SECRET });

interface Change {
  readonly id?: string;
  readonly revision: number;
  readonly before: JsonObject;
  readonly after: JsonObject | null;
}

function add(pruning: Pruning, { id = 'n1', revision, before, after }: Change): void {
  const imageOf = (json: JsonObject) => ({ json: { id, ...json }, types: null }) as RecordImage;
  const times = { madeAt: revision, at: revision };
  const entry = { ...KEY, id, patch: null, ...times, removed: after === null, created: false };
  const around = { before: imageOf(before), after: after && imageOf(after) };
  pruning.add(entry as unknown as StoredEntry, revision, around);
}

/** What the tablet is taken to have seen of a record, where this came in. */
function seenOf(pruning: Pruning, id: string, incoming: JsonObject): JsonObject | null | undefined {
  const rows = [untoldRow({ upTo: 0, at: 0, until: 1e6 }, SECRET), ...pruning.rows(new Remembered([]))];
  const key = { ...KEY, id: id as RecordId };
  const known = [{ id, ...incoming }, { id }];
  return new Remembered(rows).versions(key, TABLET, { id }, known)[0]?.json;
}

const listOf = (count: number, name: string): string[] =>
  Array.from({ length: count }, (_, n) => `${name} ${n}`);

const tenLists = (count: number, last: string): Record<string, Json[]> =>
  Object.fromEntries(Array.from({ length: 10 }, (_, n) => [`l${n}`, [...listOf(count, `l${n}`), last]]));

test.each<[string, JsonObject, JsonObject | null]>([
  ['changes a value of each of ten long lists', tenLists(199, 'a'), tenLists(199, 'b')],
  ['removes ten long lists', tenLists(199, 'a'), {}],
  ['deletes the record', tenLists(199, 'a'), null],
])('[H7] [P8] no more than 400 values of lists are told apart of an entry that %s', (_, before, after) => {
  const pruning = pruningFor();
  const digests = vi.spyOn(Digests.prototype, 'of');
  add(pruning, { revision: 2, before, after });
  expect(digests.mock.calls.length).toBeLessThanOrEqual(400 + 10);
  const sent = tenLists(199, 'mine');
  const seen = seenOf(pruning, 'n1', sent) as JsonObject;
  const told = Object.keys(sent).filter((name) => Array.isArray(seen[name]));
  expect(told).toEqual(['l0', 'l1']);
  expect(seen.l1).toEqual([...(sent.l1 as Json[]).slice(0, -1), FORGOTTEN]);
});

test('[H7] [P8] those that find room are told apart, behind one that does not, too', () => {
  const pruning = pruningFor();
  const before = { a: listOf(200, 'a'), b: listOf(150, 'b'), c: listOf(100, 'c'), d: listOf(50, 'd') };
  add(pruning, { revision: 2, before, after: {} });
  const seen = seenOf(pruning, 'n1', { a: ['a 7'], b: ['b 7'], c: ['c 7'], d: ['d 7'] });
  expect(seen).toMatchObject({ c: FORGOTTEN });
  for (const name of ['a', 'b', 'd']) expect(seen?.[name]).toContain(`${name} 7`);
});

test('[H7] [L8] whoever asks for the rows again gets the same ones', () => {
  const pruning = pruningFor();
  add(pruning, { revision: 3, before: { a: 2 }, after: { a: 3 } });
  add(pruning, { revision: 2, before: { a: 1 }, after: { a: 2 } });
  const rows = [...pruning.rows(new Remembered([]))];
  expect([...pruning.rows(new Remembered([]))]).toEqual(rows);
});

test.each<[string, JsonObject]>([
  ['fields', Object.fromEntries(listOf(5_000, 'f').map((name) => [name, name]))],
  ['elements', { visits: Array.from({ length: 1_500 }, (_, n) => ({ id: `v${n}`, a: n })) }],
])('[H7] [P8] no digests are made of %s that count as one change', (_, before) => {
  const pruning = pruningFor();
  const digests = vi.spyOn(Digests.prototype, 'of');
  add(pruning, { revision: 2, before, after: null });
  add(pruning, { id: 'n2', revision: 2, before, after: {} });
  expect(digests.mock.calls.length).toBeLessThanOrEqual(2);
});

/** What is counted is room: the digests themselves would take long. */
function cheaply(): void {
  vi.spyOn(Digests.prototype, 'of').mockReturnValue('of the whole');
  vi.spyOn(Digests.prototype, 'ofEach').mockImplementation(
    ([first, ...others]) => `${first}`.padEnd(8) + '-'.repeat(8 * others.length),
  );
}

test('[H7] [P8] of many records, the values of lists take no more than 8 MB, then a list is one value', () => {
  cheaply();
  const MANY = 6_000;
  const l = listOf(200, 'v');
  const pruning = pruningFor();
  for (let n = MANY; n > 0; n--) add(pruning, { id: `n${n}`, revision: n + 1, before: { l }, after: {} });
  const sizes = [...pruning.rows(new Remembered([]))].map(({ changes }) => changes?.length ?? 0);
  const told = sizes.filter((size) => size > 1_600);
  expect(sizes).toHaveLength(MANY);
  expect(MOST_TOLD).toBe(8_388_608);
  expect(told.length).toBe(Math.floor(MOST_TOLD / 1_600));
});

test('[H7] [P8] of a few records, what no device needs of many entries takes no room', () => {
  cheaply();
  const MANY = 2_000;
  const others = listOf(199, 'v');
  const pruning = pruningFor();
  for (let n = MANY; n > 0; n--)
    for (const id of ['n1', 'n2', 'n3', 'n4'])
      add(pruning, {
        id,
        revision: n + 1,
        before: { l: [n, ...others] },
        after: { l: [n + 1, ...others] },
      });
  const rows = [...pruning.rows(new Remembered([]))].map(({ changes }) =>
    Buffer.from(changes ?? []).toString(),
  );
  expect(rows).toHaveLength(4);
  for (const row of rows) expect(row).toContain(`"${'1'.padEnd(8)}--`);
});
