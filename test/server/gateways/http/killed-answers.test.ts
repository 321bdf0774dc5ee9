/** What a device was answered over HTTP counts where the server was killed since, of both documents (L4, H1, H2, D8). */
import { afterEach, describe, expect, test, vi } from 'vitest';
import { FollowedDocument } from '../../../../server/documents/sleep/followed-document.js';
import { UserDocument } from '../../../../server/documents/user-document.js';
import { copyOf, MemoryStore } from '../../../../server/store/memory/memory-store.js';
import type { JsonRecord } from '../../../../shared/json.js';
import { askedOfDisk } from '../../../support/asked-of-disk.js';
import { HttpDevice } from '../../../support/devices/json-http.js';
import { messageOf } from '../../../support/devices/json-words.js';
import type { TestServer } from '../../../support/server.js';
import { SetClock } from '../../../support/set-clock.js';
import { useServer } from '../../../support/use.js';
import { PATIENCE } from '../../../support/wait.js';

afterEach(() => {
  vi.restoreAllMocks();
});

const SECOND = 1_000;
/** Collections of the user, and of everybody. */
const PLACES = ['notes', 'doctors'] as const;
type Place = (typeof PLACES)[number];

const clock = new SetClock();
const pass = (ms: number): void => clock.pass(ms);
const put = (collection: string, document: JsonRecord, madeAt = clock.time) =>
  messageOf({ collection, document, madeAt }, 'both', clock.time);

const start = (store: MemoryStore): Promise<TestServer> =>
  useServer({ SHARED_COLLECTIONS: 'doctors' }, { store, time: clock });

/** Somebody has written the record `r`; the phone has not asked for it yet. */
async function scene(place: Place) {
  const store = new MemoryStore();
  const server = await start(store);
  const desk = new HttpDevice(server.url, 'anna', 'desk');
  const phone = new HttpDevice(server.url, 'anna', 'phone');
  await desk.post([put(place, { id: 'r', a: 1, b: 1 })]);
  pass(60 * SECOND);
  return { server, store, desk, phone };
}

/** The server is killed, and another one starts on what was durable by then; the devices go there. */
async function killed(store: MemoryStore, devices: readonly HttpDevice[]): Promise<void> {
  const { url } = await start(new MemoryStore(copyOf(store.contents)));
  for (const device of devices) device.goTo(url);
}

const ASKING = {
  'a GET': (phone: HttpDevice) => phone.get(),
  'a POST of its own': (phone: HttpDevice) => phone.post([put('notes', { id: 'own', x: 0 })]),
  'a POST of shared ones': (phone: HttpDevice) => phone.post([put('doctors', { id: 'own', x: 0 })]),
  'a POST of nothing': (phone: HttpDevice) => phone.post([]),
} as const;
type Way = keyof typeof ASKING;
const CASES = (Object.keys(ASKING) as Way[]).flatMap((way) => PLACES.map((place) => ({ way, place })));

describe('over HTTP', () => {
  test.each(CASES)('[H1 H2 L4 L6] what $place showed with the first answer, to $way', async (each) => {
    const { way, place } = each;
    const { store, desk, phone } = await scene(place);
    await ASKING[way](phone);
    expect(phone.record(place, 'r')).toEqual({ id: 'r', a: 1, b: 1 });
    await killed(store, [desk, phone]);
    pass(60 * SECOND);
    await desk.post([put(place, { id: 'r', a: 1, b: 2 })]);
    pass(60 * SECOND);
    const madeAt = clock.time;
    pass(5 * SECOND);
    await phone.post([put(place, { id: 'r', a: 9, b: 1 }, madeAt)]);
    expect(phone.record(place, 'r')).toEqual({ id: 'r', a: 9, b: 2 });
  });

  test.each(PLACES)('[H1 H2 L4 L6] what is acknowledged of %s by a GET', async (place) => {
    const { store, desk, phone } = await scene(place);
    await phone.get();
    pass(SECOND);
    await phone.post([put(place, { id: 'own', x: 0 })]);
    pass(60 * SECOND);
    await desk.post([put(place, { id: 'r', a: 1, b: 2 })]);
    pass(SECOND);
    expect(await phone.get()).toBe(200);
    pass(SECOND);
    expect(await phone.get()).toBe(304);
    pass(SECOND);
    await killed(store, [phone]);
    const madeAt = clock.time;
    pass(5 * SECOND);
    await phone.post([put(place, { id: 'r', a: 1, b: 1 }, madeAt)]);
    expect(phone.record(place, 'r')).toEqual({ id: 'r', a: 1, b: 1 });
  });

  test.each(CASES)('[H1 H2 L4] $way is not answered before that is durable, of $place', async (each) => {
    const { way, place } = each;
    const { server, store, phone } = await scene(place);
    store.hold();
    let isAnswered = false;
    const { answer } = await askedOfDisk(() => ASKING[way](phone));
    const answered = answer.then(() => {
      isAnswered = true;
    });
    expect((await fetch(`${server.url}/api/sync/carl`)).status).toBe(200);
    expect(isAnswered).toBe(false);
    store.release();
    await answered;
  });

  test('[H1 H2 L4] what tells nothing new of the device is not written', async () => {
    const { server, store, desk, phone } = await scene('notes');
    await desk.post([put('doctors', { id: 'r', a: 1 })]);
    for (const ask of [...Object.values(ASKING), ASKING['a GET']]) {
      await ask(phone);
      pass(SECOND);
    }
    const { batches } = store;
    for (const seconds of [1, 3_600, 1]) {
      pass(seconds * SECOND);
      expect(await phone.get()).toBe(304);
      expect(await new HttpDevice(server.url, 'anna', 'phone').get()).toBe(200);
      expect(await phone.post([])).toBe(200);
    }
    expect(store.batches).toBe(batches);
  });

  test('[H1 L4 D8] of two GETs at once, neither is answered before that is durable', async () => {
    const { server, store, desk, phone } = await scene('doctors');
    expect([await phone.get(), await phone.get()]).toEqual([200, 304]);
    pass(61 * SECOND);
    // What is saved with this says that the phone is not being answered.
    await new HttpDevice(server.url, 'anna', 'tablet').get();
    const stops: (() => void)[] = [];
    const stop = () => new Promise<void>((resolve) => stops.push(resolve));
    vi.spyOn(FollowedDocument.prototype, 'durable').mockImplementationOnce(stop).mockImplementationOnce(stop);
    let answered = 0;
    const answers = [1, 2].map(() => phone.get().then(() => answered++));
    await vi.waitUntil(() => stops.length === 2, { interval: 1, timeout: PATIENCE });
    await desk.post([put('doctors', { id: 'r', a: 1, b: 2 })]);
    store.hold();
    const waits = vi.spyOn(UserDocument.prototype, 'afterConfirmed');
    for (const goOn of stops) goOn();
    const isDecided = () => answered > 0 || waits.mock.calls.length >= 2;
    await vi.waitUntil(isDecided, { interval: 1, timeout: PATIENCE });
    expect(answered).toBe(0);
    store.release();
    await Promise.all(answers);
    expect(phone.record('doctors', 'r')).toEqual({ id: 'r', a: 1, b: 2 });
  });
});
