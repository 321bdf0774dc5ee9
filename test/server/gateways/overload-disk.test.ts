/** Overload by what is not durable: it is beyond its bound, which is a tiny one here, while the disk hangs (S4). */
import { expect, onTestFinished, test } from 'vitest';
import { collectingLog } from '../../../server/log.js';
import { HangingDisk } from '../../support/hanging-disk.js';
import { LevelFixture } from '../../support/level-fixture.js';
import { openRaw, useJson, useNative, useServer } from '../../support/use.js';
import { PATIENCE } from '../../support/wait.js';

const A_MINUTE = { slow: 60_000, timeout: 60_000 };
const BOUNDS = { MAX_UNSAVED: '64 KiB', MAX_UNSAVED_PER_USER: '1 GiB' };

test('[S4] who comes while MAX_UNSAVED is used up is put off, who is there stays and is saved, and it is over by itself', async () => {
  const fixture = await LevelFixture.create();
  onTestFinished(() => fixture.remove());
  const disk = new HangingDisk();
  const store = await fixture.open({ patience: A_MINUTE, write: disk.write });
  const { log, events } = collectingLog();
  const server = await useServer(BOUNDS, { store, log });
  onTestFinished(() => disk.answer());
  const told = (name: string) => expect.poll(() => events.map((event) => event.name)).toContain(name);
  const statusOf = async (path: string) => (await fetch(server.url + path)).status;
  const tablet = await useJson(server, 'anna', 'tablet');
  const phone = await useNative(server, 'bert', 'phone');

  disk.hang();
  tablet.update('notes', { id: 'n', text: 'x'.repeat(200_000) });
  phone.record('notes', 'n').set('text', 'of the phone');
  await told('overloaded');
  const carla = openRaw(server, 'carla');
  const refused = await fetch(`${server.url}/api/sync/carla`);
  expect([refused.status, (await refused.json()).code]).toEqual([503, 'OVERLOADED']);
  expect(Number(refused.headers.get('Retry-After'))).toBeGreaterThanOrEqual(3);
  expect(await carla.end()).toMatchObject({ code: 1013 });
  expect(carla.messages).toEqual([]);

  disk.answer();
  await Promise.all([tablet.saved(), phone.saved()]);
  expect([tablet.closed, phone.closes]).toEqual([null, []]);
  await told('overloadOver');
  await expect.poll(() => statusOf('/api/sync/carla'), { timeout: PATIENCE }).toBe(200);
  const desk = await useJson(server, 'anna', 'desk');
  expect(desk.store.notes?.n?.text).toHaveLength(200_000);
});
