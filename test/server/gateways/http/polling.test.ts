/** A device that asks for what is new every few seconds, and hears of nothing, costs nothing (H1, N2, L4, D8). */
import { expect, onTestFinished, test } from 'vitest';
import { HttpDevice } from '../../../support/devices/json-http.js';
import { LevelFixture } from '../../../support/level-fixture.js';
import { ObservedStore } from '../../../support/observed-store.js';
import { HOUR, SetClock } from '../../../support/set-clock.js';
import { useNative, useServer } from '../../../support/use.js';
import { PATIENCE } from '../../../support/wait.js';

const SECOND = 1_000;

async function scene(options: Readonly<Record<string, string>>, parts: { readonly time?: SetClock } = {}) {
  const fixture = await LevelFixture.create();
  onTestFinished(() => fixture.remove());
  const store = new ObservedStore(await fixture.open());
  const server = await useServer(options, { store, ...parts });
  const device = (name: string, user = 'anna') => new HttpDevice(server.url, user, name);
  const written = () => store.commits + store.deviceSaves;
  return { store, server, device, written };
}

test('[N2] [H1] its document falls asleep under a quiet socket, and nothing is written for it', async () => {
  const { store, server, device, written } = await scene({ REST_AFTER: '200ms' });
  const desk = await useNative(server, 'anna', 'desk');
  desk.record('notes', 'n1').set('text', 'one');
  await desk.saved();
  const phone = device('phone');
  expect(await phone.get()).toBe(200);
  expect(await phone.get()).toBe(304);
  const before = { written: written(), letGo: store.forgotten.length };
  const isAsleep = () => store.forgotten.length > before.letGo;
  while (!isAsleep() && written() - before.written < 5) expect(await phone.get()).toBe(304);
  expect(isAsleep()).toBe(true);
  const asleep = { written: written(), loads: store.loads.length };
  for (let count = 0; count < 50; count++) expect(await phone.get()).toBe(304);
  expect({ written: written(), loads: store.loads.length }).toEqual(asleep);
  expect(desk.closes).toEqual([]);
});

test('[N2] [H1] where nobody else is there, its document leaves the memory all the same', async () => {
  const { store, device } = await scene({ IDLE_TIMEOUT: '100ms' });
  const phone = device('phone');
  await phone.write(['notes', { id: 'n1', text: 'one' }]);
  const end = performance.now() + PATIENCE;
  while (store.forgotten.length === 0 && performance.now() < end) expect(await phone.get()).toBe(304);
  expect(store.forgotten).toEqual(['anna']);
  const loads = store.loads.length;
  expect(await phone.get()).toBe(304);
  expect(store.loads).toHaveLength(loads);
});

test('[N2] [L4] [H1] that it is still there is written once an hour', async () => {
  const clock = new SetClock();
  const { store, device, written } = await scene({ IDLE_TIMEOUT: '1ms' }, { time: clock });
  const phone = device('phone');
  const desk = device('desk');
  for (const text of ['one', 'two']) {
    await desk.write(['notes', { id: 'n1', text }]);
    expect(await phone.get()).toBe(200);
    expect(await phone.get()).toBe(304); // which confirms
  }
  await store.until(() => store.forgotten.length === store.loads.length);
  const pass = async (ms: number): Promise<number> => {
    const before = written();
    for (let passed = 0; passed < ms; passed += 30 * SECOND) {
      clock.pass(30 * SECOND);
      expect(await phone.get()).toBe(304);
    }
    return written() - before;
  };
  expect(await pass(HOUR / 2)).toBe(1); // nothing of before what it confirmed waits in its queue
  expect(await pass(3 * HOUR)).toBe(3);
});

const FEW = { MAX_DEVICES: '2' };

/** They ask again and again, and post nothing: once each has been there, nothing is written for that. */
async function inTurns(
  phones: readonly Pick<HttpDevice, 'get' | 'post'>[],
  written: () => number,
): Promise<void> {
  for (const phone of phones) expect(await phone.get()).toBe(200);
  for (const phone of phones) expect(await phone.get()).toBe(304);
  const before = written();
  for (let round = 0; round < 3; round++) for (const phone of phones) expect(await phone.get()).toBe(304);
  expect(written()).toBe(before);
  for (const phone of phones) expect(await phone.post([])).toBe(200);
  expect(written()).toBe(before);
}

test('[D8] [L8] more devices than are remembered of the shared collections write nothing there in turns', async () => {
  const { device, written } = await scene({ ...FEW, SHARED_COLLECTIONS: 'doctors' });
  await device('desk').write(['doctors', { id: 'd1', text: 'one' }]);
  const phones = ['berta', 'carl', 'dora', 'emil'].map((user) => device('phone', user));
  await inTurns(phones, written);
  await phones[3]?.write(['doctors', { id: 'd2', text: 'two' }]);
  for (const phone of phones) expect(await phone.get()).toBe(phone === phones[3] ? 304 : 200);
});

test('[L8] nor do those of one user', async () => {
  const { device, written } = await scene(FEW);
  await device('desk').write(['notes', { id: 'n1', text: 'one' }]);
  const phones = ['a', 'b', 'c', 'd'].map((name) => device(name));
  await inTurns(phones, written);
});
