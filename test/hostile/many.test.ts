/** Very many broken updates, one after the other, over HTTP, where nobody is shut out after three of them. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { randomBytes, seededRandom, truncations } from '../support/hostile.js';
import { Arena } from './arena.js';
import { offlineDocument } from './updates.js';

/** The whole corpus with LONG=1; in each run, one that takes seconds. */
const FLIPS = process.env.LONG ? 20_000 : 1_000;
const AT_ONCE = 8;
const UPDATE = offlineDocument(3);

let arena: Arena;
beforeAll(async () => {
  // Rates are not what this is about.
  arena = await Arena.open({ MESSAGE_RATE: '0', BYTE_RATE: '0' });
}, 60_000);
afterAll(() => arena.close());

async function postAll(updates: readonly Uint8Array[]): Promise<number[]> {
  const statuses: number[] = [];
  const rest = [...updates];
  const work = async (): Promise<void> => {
    for (let next = rest.pop(); next !== undefined; next = rest.pop())
      statuses.push(await arena.post('anna', next));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return statuses;
}

test('[S1] every truncation, and random bytes, are refused and change nothing', async () => {
  await arena.write('anna', 'p1', { name: 'Ada' });
  const before = await arena.read('anna');
  const noise = Array.from({ length: 100 }, (_, seed) => randomBytes(seed, 10 + seed));
  const statuses = await postAll([...[...truncations(UPDATE)].slice(1), ...noise]);
  expect(new Set(statuses)).toEqual(new Set([400]));
  expect(await arena.read('anna')).toEqual(before);
}, 60_000);

test(`[S1] ${FLIPS} byte flips end in an answer, and what was written before stays`, async () => {
  const random = seededRandom(5);
  const flipped = Array.from({ length: FLIPS }, () => {
    const bytes = UPDATE.slice();
    const at = Math.floor(random() * bytes.length);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << Math.floor(random() * 8));
    return bytes;
  });
  const statuses = await postAll(flipped);
  expect([...new Set(statuses)].filter((status) => ![200, 400, 409, 413].includes(status))).toEqual([]);
  expect(await arena.read('anna')).toMatchObject({
    patients: expect.arrayContaining([{ id: 'p1', name: 'Ada' }]),
  });
}, 600_000);

test('[N3 P6] the next 100 edits are durable', () => arena.checkDurable(), 60_000);
