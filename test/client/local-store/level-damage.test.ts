/** One flipped bit anywhere in the files of a LevelDB store: it opens with all that is whole, and tells the rest. */
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { levelStorage } from '../../../client/local-store/level/level.js';
import type { LocalStore, StoredChange } from '../../../client/local-store/store.js';
import { runs, SPREAD } from '../../support/runs.js';

/** Every how many bytes: `DAMAGE_STRIDE=1` takes all of them. */
const STRIDE = Number(process.env.DAMAGE_STRIDE ?? 23 * SPREAD);
const ROWS = 12;
const EVENTS = { onNews() {}, onGone() {}, onError() {} };

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'damage-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const open = (place: string): Promise<LocalStore> => levelStorage(place).open('anna', EVENTS);
const filesOf = (place: string): string => join(place, 'users', 'n-anna');
const bytesOf = (n: number): Uint8Array => Buffer.from(`row ${n} `.repeat(5));

async function readAll(store: LocalStore): Promise<readonly StoredChange[]> {
  let found: readonly StoredChange[] = [];
  await store.append(({ changes }) => {
    found = changes;
    return [];
  });
  return found;
}

/** Rows one by one, every second of which is pending. */
async function fill(place: string): Promise<void> {
  const store = await open(place);
  await readAll(store);
  for (let n = 1; n <= ROWS; n++) await store.append(() => [{ bytes: bytesOf(n), pending: n % 2 === 0 }]);
  await store.close();
}

/** What a copy with one flipped bit says. */
async function afterFlip(place: string, file: string, at: number, bit: number): Promise<Verdict> {
  const copy = await mkdtemp(join(folder, 'copy-'));
  await cp(place, copy, { recursive: true });
  const path = join(filesOf(copy), file);
  const content = await readFile(path);
  content[at] = (content[at] ?? 0) ^ (1 << bit);
  await writeFile(path, content);
  const store = await open(copy);
  const verdict = verdictOf(await readAll(store));
  const [key = 0] = await store.append(() => [{ bytes: bytesOf(ROWS + 1), pending: true }]);
  await store.close();
  const again = await open(copy);
  const after = verdictOf((await readAll(again)).filter((row) => row.key !== key));
  await again.close();
  expect({ ...after, isTold: true }).toEqual({ ...verdict, isTold: true });
  await rm(copy, { recursive: true });
  return verdict;
}

interface Verdict {
  readonly whole: number;
  readonly pending: number;
  readonly isTold: boolean;
}

function verdictOf(rows: readonly StoredChange[]): Verdict {
  const right = new Map(
    Array.from({ length: ROWS }, (_, n) => [Buffer.from(bytesOf(n + 1)).toString(), n + 1]),
  );
  const whole = rows.filter(({ bytes }) => right.has(Buffer.from(bytes).toString()));
  const wasPending = ({ bytes }: StoredChange) => (right.get(Buffer.from(bytes).toString()) ?? 0) % 2 === 0;
  return {
    whole: whole.length,
    pending: whole.filter((row) => row.pending && wasPending(row)).length,
    isTold: rows.some(({ bytes }) => bytes.length === 0),
  };
}

async function sweep(
  place: string,
  kind: RegExp,
  stride = STRIDE,
): Promise<{ readonly at: string; readonly verdict: Verdict }[]> {
  const found: { at: string; verdict: Verdict }[] = [];
  for (const file of (await readdir(filesOf(place))).filter((name) => kind.test(name))) {
    const { length } = await readFile(join(filesOf(place), file));
    for (let at = 0; at < length; at += stride) {
      const bit = (at / stride) % 8;
      const verdict = await afterFlip(place, file, at, bit);
      found.push({ at: `${file}:${at}.${bit} ${JSON.stringify(verdict)}`, verdict });
    }
  }
  return found;
}

const silentIn = (all: readonly { readonly at: string; readonly verdict: Verdict }[]): string[] =>
  all
    .filter(({ verdict }) => !verdict.isTold && (verdict.whole < ROWS || verdict.pending < ROWS / 2))
    .map(({ at }) => at);

describe('[C12] one flipped bit', () => {
  test('in the log costs one row at most, and that is told', async () => {
    const place = join(folder, 'log');
    await fill(place);
    const all = await sweep(place, /\.log$/);
    expect(all.length).toBeGreaterThanOrEqual(runs(31));
    expect(silentIn(all)).toEqual([]);
    expect(all.filter(({ verdict }) => verdict.whole < ROWS - 1).map(({ at }) => at)).toEqual([]);
    expect(all.filter(({ verdict }) => verdict.pending < ROWS / 2 - 1).map(({ at }) => at)).toEqual([]);
  });

  test('in the manifest, or in CURRENT, costs nothing', async () => {
    const place = join(folder, 'manifest');
    await fill(place);
    await (await open(place)).close();
    const all = await sweep(place, /^(MANIFEST|CURRENT)/, Math.min(STRIDE, 5 * SPREAD));
    expect(all.length).toBeGreaterThanOrEqual(runs(6));
    expect(all.filter(({ verdict }) => verdict.whole < ROWS || verdict.pending < ROWS / 2)).toEqual([]);
  });

  test('in a table costs a block of rows at most, and that is told', async () => {
    const place = join(folder, 'table');
    await fill(place);
    await (await open(place)).close();
    const all = await sweep(place, /\.ldb$/);
    expect(all.length).toBeGreaterThanOrEqual(runs(11));
    expect(silentIn(all)).toEqual([]);
    expect(all.filter(({ verdict }) => verdict.whole < ROWS - 1).length).toBeLessThan(all.length / 4);
  });
});
