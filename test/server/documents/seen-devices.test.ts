/** What is kept of the devices of a user, whatever ends last, fails, or is too much (A0). */
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import {
  MOST_DEVICES,
  type SeenDevice,
  SeenDevices,
  type Unsent,
} from '../../../server/documents/seen-devices.js';
import { SyncError } from '../../../server/errors.js';
import { MemoryStore } from '../../../server/store/memory/memory-store.js';
import { Moved } from '../../../server/store/store.js';
import type { DeviceId } from '../../../shared/names.js';
import { user } from '../../support/notes.js';
import { ObservedStore } from '../../support/observed-store.js';

const ANNA = user('anna');

const told = (count: number, toldAt: number, until = toldAt): Unsent => ({
  count,
  since: count > 0 ? toldAt : null,
  toldAt,
  until,
});

const seen = (device: string, at: number, more: Partial<SeenDevice> = {}): SeenDevice => ({
  device: device as DeviceId,
  actor: null,
  via: 'yjs',
  app: null,
  at,
  revision: null,
  unsent: null,
  ...more,
});

/** A store whose disk may be full. */
class FullStore extends MemoryStore {
  isFull = false;

  override noteSeen(...note: Parameters<MemoryStore['noteSeen']>): Promise<void> {
    return this.isFull ? Promise.reject(new Error('the disk is full')) : super.noteSeen(...note);
  }
}

const stored = async (store: MemoryStore): Promise<readonly SeenDevice[]> => new SeenDevices(store).of(ANNA);

describe('[A0] of one device', () => {
  test('what it told last counts, not what ended last: a half-open socket ends later', async () => {
    const devices = new SeenDevices(new MemoryStore());
    devices.note(ANNA, seen('phone', 901, { unsent: told(3, 901), app: '2' }));
    devices.note(ANNA, seen('phone', 900, { unsent: told(0, 900), app: '1' }));
    expect(await devices.of(ANNA)).toMatchObject([{ at: 901, app: '2', unsent: { count: 3, toldAt: 901 } }]);
    await devices.flush();
    devices.note(ANNA, seen('phone', 1_000, { unsent: told(0, 900, 1_000) }));
    expect(await devices.of(ANNA)).toMatchObject([{ at: 1_000, unsent: { count: 3, until: 901 } }]);
  });

  test('a visit that tells nothing leaves what was told, with the time up to which it held', async () => {
    const devices = new SeenDevices(new MemoryStore());
    devices.note(ANNA, seen('phone', 910, { unsent: told(0, 900, 910) }));
    devices.note(ANNA, seen('phone', 5_000, { via: 'http' }));
    expect(await devices.of(ANNA)).toMatchObject([{ via: 'http', at: 5_000, unsent: told(0, 900, 910) }]);
  });

  test('two tabs that say the same make it hold longer', async () => {
    const devices = new SeenDevices(new MemoryStore());
    devices.note(ANNA, seen('phone', 2_000, { unsent: told(0, 900, 2_000) }));
    devices.note(ANNA, seen('phone', 1_000, { unsent: told(0, 1_000) }));
    expect(await devices.of(ANNA)).toMatchObject([{ at: 2_000, unsent: told(0, 1_000, 2_000) }]);
  });
});

test('[A0] what is of a user whom another server has by now is not tried for ever', async () => {
  let tries = 0;
  const gone = 3;
  const store = new MemoryStore();
  const noteSeen: MemoryStore['noteSeen'] = async (...note) => {
    tries += 1;
    if (tries <= gone) throw new SyncError('STORE_UNAVAILABLE', undefined, { cause: new Moved() });
    await store.noteSeen(...note);
  };
  const devices = new SeenDevices({ seen: (name) => store.seen(name), noteSeen });
  devices.note(ANNA, seen('phone', 1));
  await devices.flush();
  await devices.flush();
  expect([tries, await devices.of(ANNA)]).toEqual([2, []]);
  devices.note(ANNA, seen('phone', 2));
  await devices.flush(); // only the claim was an old one
  expect([tries, (await stored(store)).length]).toEqual([4, 1]);
});

test('[A0] what could not be stored is stored later, with what came since', async () => {
  const store = new FullStore();
  const devices = new SeenDevices(store);
  devices.note(ANNA, seen('phone', 1, { unsent: told(0, 1) }));
  await devices.flush();
  store.isFull = true;
  devices.note(ANNA, seen('phone', 2, { unsent: told(5, 2) }));
  await devices.flush();
  devices.note(ANNA, seen('tablet', 3));
  expect(await stored(store)).toMatchObject([{ device: 'phone', unsent: { count: 0 } }]);
  expect(await devices.of(ANNA)).toMatchObject([
    { device: 'tablet' },
    { device: 'phone', unsent: { count: 5 } },
  ]);
  store.isFull = false;
  await devices.flush();
  expect(await stored(store)).toMatchObject([
    { device: 'tablet' },
    { device: 'phone', unsent: { count: 5 } },
  ]);
});

test('[A0] [P7] of a user who is erased, what could not be stored is forgotten, too', async () => {
  const store = new FullStore();
  const devices = new SeenDevices(store);
  store.isFull = true;
  devices.note(ANNA, seen('phone', 2, { unsent: told(5, 2) }));
  const flushed = devices.flush();
  await Promise.resolve();
  await devices.without(ANNA, async () => {});
  await flushed;
  store.isFull = false;
  await devices.flush();
  expect(await stored(store)).toEqual([]);
});

describe('[A0] [H1] one that asks over HTTP every few seconds', () => {
  const SECOND = 1_000;
  const HOUR = 3_600 * SECOND;

  /** What it tells with each request, and the server; everything else stands still. */
  function scene() {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const store = new ObservedStore(new MemoryStore());
    const devices = new SeenDevices(store);
    let now = 0;
    const pass = async (ms: number) => {
      now += ms;
      await vi.advanceTimersByTimeAsync(ms);
      await new Promise(setImmediate); // what is written then is there
    };
    const ask = async (more: Partial<SeenDevice> = {}) => {
      await pass(5 * SECOND);
      devices.note(ANNA, seen('phone', now, { via: 'http', revision: 3, ...more }));
    };
    const written = async (): Promise<readonly SeenDevice[]> => new SeenDevices(store).of(ANNA);
    return { store, devices, pass, ask, written, now: () => now };
  }

  test('is written once an hour, and known meanwhile', async () => {
    const { store, devices, ask, written, now } = scene();
    for (let hour = 1; hour <= 3; hour++) {
      const { visits } = store;
      for (let count = 0; count < HOUR / (5 * SECOND); count++) await ask();
      expect(await devices.of(ANNA)).toMatchObject([{ at: now() }]);
      expect(store.visits - visits).toBe(1);
    }
    await devices.flush();
    expect(await written()).toMatchObject([{ at: now() }]);
  });

  test('is written when it was there for the last time, though it never comes again', async () => {
    const { devices, pass, ask, written, now } = scene();
    for (let count = 0; count < 10; count++) await ask();
    const at = now();
    await pass(HOUR);
    await pass(5 * SECOND);
    expect([await written(), await devices.of(ANNA)]).toMatchObject([[{ at }], [{ at }]]);
  });

  test.each([
    ['what it was sent', { revision: 4 }],
    ['another app', { app: '2' }],
    ['what it has sent', { sentAt: 7 }],
    ['what it has not sent', { unsent: told(2, 5) }],
  ] as const)('tells news soon: %s', async (_, news) => {
    const { pass, ask, written } = scene();
    for (let count = 0; count < 3; count++) await ask();
    await ask(news);
    await pass(5 * SECOND);
    expect(await written()).toMatchObject([news]);
  });

  test('tells nothing new where the same changes wait for longer', async () => {
    const { store, ask, now } = scene();
    const refused = () => ({ ...told(1, now()), since: now() % 7 });
    for (let count = 0; count < 3; count++) await ask({ unsent: refused() });
    const { visits } = store;
    for (let count = 0; count < 30; count++) await ask({ unsent: refused() });
    expect(store.visits).toBe(visits);
  });

  test('tells soon what is as it was before something that is being written', async () => {
    const { devices, pass, ask, written, now } = scene();
    const since = now();
    for (let count = 0; count < 3; count++) await ask({ unsent: { ...told(1, now()), since } });
    await ask({ unsent: told(0, now() + 5 * SECOND) });
    await pass(2 * SECOND);
    const unsent = { ...told(1, now()), since };
    devices.note(ANNA, seen('phone', now(), { via: 'http', revision: 3, unsent }));
    await pass(10 * SECOND);
    expect(await written()).toMatchObject([{ unsent: { count: 1 } }]);
  });

  test('[P7] leaves nothing behind its erasure', async () => {
    const { devices, ask } = scene();
    for (let count = 0; count < 10; count++) await ask();
    await devices.without(ANNA, async () => {});
    await devices.flush();
    expect(await devices.of(ANNA)).toMatchObject([{ at: 5 * SECOND }]); // which the store erases
  });
});

test('[A0] fifty other devices do not push out one that has not sent all', async () => {
  const store = new MemoryStore();
  const devices = new SeenDevices(store);
  devices.note(ANNA, seen('phone', 1, { unsent: told(5, 1) }));
  for (let at = 2; at < 100; at++) devices.note(ANNA, seen(`window ${at}`, at, { unsent: told(0, at) }));
  await devices.flush();
  const all = await stored(store);
  expect(all).toHaveLength(MOST_DEVICES);
  expect(all[0]).toMatchObject({ device: 'window 99' });
  expect(all.at(-1)).toMatchObject({ device: 'phone', unsent: { count: 5 } });
});
