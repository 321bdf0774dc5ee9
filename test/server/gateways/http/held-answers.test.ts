/** What a device makes while its answer over HTTP waits for the disk knows nothing of what that shows (H1, H2, L4). */
import { afterEach, describe, expect, test, vi } from 'vitest';
import { MemoryStore } from '../../../../server/store/memory/memory-store.js';
import type { JsonRecord } from '../../../../shared/json.js';
import { askedOfDisk } from '../../../support/asked-of-disk.js';
import { HttpDevice } from '../../../support/devices/json-http.js';
import { type Change, messageOf, type Stamps } from '../../../support/devices/json-words.js';
import { SetClock } from '../../../support/set-clock.js';
import { useServer } from '../../../support/use.js';

afterEach(() => {
  vi.restoreAllMocks();
});

const SECOND = 1_000;

const clock = new SetClock();
const pass = (ms: number): void => clock.pass(ms);
const change = (what: Omit<Change, 'collection' | 'madeAt'>, stamps: Stamps = 'both') =>
  messageOf({ collection: 'notes', ...what, madeAt: clock.time }, stamps, clock.time);
const note = (document: JsonRecord, stamps: Stamps = 'both') => change({ document }, stamps);

/** The phone has read the record `r`, and its clock is known. */
async function scene() {
  const store = new MemoryStore();
  const server = await useServer({}, { store, time: clock });
  const desk = new HttpDevice(server.url, 'anna', 'desk');
  const phone = new HttpDevice(server.url, 'anna', 'phone');
  await desk.post([note({ id: 'r', a: 1, b: 1 })]);
  await phone.get();
  pass(SECOND);
  await phone.post([note({ id: 'own', x: 0 })]);
  pass(60 * SECOND);
  return { store, desk, phone };
}

const ASKING = {
  'a GET': (phone: HttpDevice) => phone.get(),
  'a POST': (phone: HttpDevice) => phone.post([note({ id: 'own', x: 1 })]),
} as const;
const WAYS = Object.keys(ASKING) as (keyof typeof ASKING)[];
const TAGS = ['tagged', 'untagged'] as const;
const CASES = WAYS.flatMap((way) => TAGS.map((tag) => ({ way, tag })));

/** While the disk takes nothing, `theirs` is written, and the phone asks; `mine` is made before the answer leaves. */
async function held(
  { store, desk, phone }: Awaited<ReturnType<typeof scene>>,
  { way, theirs, wait }: { way: keyof typeof ASKING; theirs: readonly object[]; wait: number },
  mine: () => object,
): Promise<object> {
  store.hold();
  const written = await askedOfDisk(() => desk.post(theirs));
  pass(SECOND);
  const answered = await askedOfDisk(() => ASKING[way](phone));
  pass(wait);
  const made = mine();
  pass(wait);
  store.release();
  expect(await Promise.all([written.answer, answered.answer])).toEqual([200, 200]);
  pass(SECOND);
  return made;
}

describe('an answer that waits for the disk', () => {
  test.each(CASES)('[H1 H2 L4 L6] $way: an edit meanwhile, sent $tag', async ({ way, tag }) => {
    const all = await scene();
    const theirs = [note({ id: 'r', a: 1, b: 2 })];
    const edit = await held(all, { way, theirs, wait: 5 * SECOND }, () => note({ id: 'r', a: 9, b: 1 }));
    expect(all.phone.record('notes', 'r')).toMatchObject({ a: 1, b: 2 });
    await all.phone.post([edit], { tag });
    expect(all.phone.record('notes', 'r')).toMatchObject({ a: 9, b: 2 });
  });

  test.each(CASES)('[H1 H2 L4 L6] $way: an untimed edit meanwhile, sent $tag', async ({ way, tag }) => {
    const all = await scene();
    const theirs = [note({ id: 'r', a: 1, b: 2 })];
    const edit = await held(all, { way, theirs, wait: 20 * SECOND }, () =>
      note({ id: 'r', a: 9, b: 1 }, 'none'),
    );
    await all.phone.post([edit], { tag });
    expect(all.phone.record('notes', 'r')).toMatchObject({ a: 9, b: 2 });
  });

  test.each(CASES)('[H1 H2 L7 L9] $way: a deletion meanwhile, sent $tag', async ({ way, tag }) => {
    const all = await scene();
    await all.desk.post([change({ documentId: 'r' })]);
    pass(SECOND);
    const theirs = [note({ id: 'r', a: 5, b: 5 })];
    const deletion = await held(all, { way, theirs, wait: 5 * SECOND }, () => change({ documentId: 'r' }));
    await all.phone.post([deletion], { tag });
    expect(all.phone.record('notes', 'r')).toMatchObject({ a: 5, b: 5 });
  });

  test.each(WAYS)('[H1 H2 L4 L6] %s: what is set back on the answer is taken', async (way) => {
    const all = await scene();
    const theirs = [note({ id: 'r', a: 1, b: 2 })];
    await held(all, { way, theirs, wait: 5 * SECOND }, () => ({}));
    await all.phone.post([note({ id: 'r', a: 1, b: 1 })]);
    expect(all.phone.record('notes', 'r')).toMatchObject({ a: 1, b: 1 });
  });

  test.each(CASES)('[H1 H2 L4 L6] $way: what others write meanwhile, sent $tag', async ({ way, tag }) => {
    const { store, desk, phone } = await scene();
    store.hold();
    const first = await askedOfDisk(() => desk.post([note({ id: 'r', a: 1, b: 2 })]));
    const answered = await askedOfDisk(() => ASKING[way](phone));
    pass(5 * SECOND);
    const second = await askedOfDisk(() => desk.post([note({ id: 'r', a: 1, b: 3 })]));
    pass(5 * SECOND);
    store.release();
    await Promise.all([first.answer, second.answer, answered.answer]);
    expect(phone.record('notes', 'r')).toMatchObject({ a: 1, b: 2 });
    pass(SECOND);
    await phone.post([note({ id: 'r', a: 9, b: 2 })], { tag });
    expect(phone.record('notes', 'r')).toMatchObject({ a: 9, b: 3 });
  });
});
