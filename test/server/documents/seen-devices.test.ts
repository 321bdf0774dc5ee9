/** What is kept of the devices of a user, whatever ends last, fails, or is too much (A0). */
import { describe, expect, test } from 'vitest';
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
