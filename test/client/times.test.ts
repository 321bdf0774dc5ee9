/** When each change was made: kept with it, and told to servers that take it (N9). */
import { afterEach, expect, test } from 'vitest';
import * as Y from 'yjs';
import { seal, unseal } from '../../client/replica/stored-bytes.js';
import { decodeMessage, messages } from '../../server/protocol/yjs.js';
import { BreakableStorage } from '../support/breakable-storage.js';
import { ConnectionWorld, settle } from '../support/connection-world.js';
import { ConnectedDevice } from '../support/devices/connected-device.js';
import { NativeDevice } from '../support/devices/native-device.js';
import { ManualClock } from '../support/manual-clock.js';
import { NoUpgrades } from '../support/no-upgrades.js';
import { startServer } from '../support/server.js';
import { Tab } from '../support/tab.js';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

test('[N9 C4] the time of a call is stored with its change, and outlives a restart', async () => {
  const storage = new BreakableStorage();
  const clock = new ManualClock();
  const first = await Tab.open(storage, clock);
  const started = clock.now();
  await first.set('a', 1);
  clock.pass(5_000);
  const written = first.set('b', 2);
  clock.pass(1_000); // storing takes a while
  await written;
  await first.replica.close();
  const again = await Tab.open(storage, new ManualClock());
  expect(again.replica.pendingAfter(0).map(({ madeAt }) => madeAt)).toEqual([started, started + 5_000]);
});

test('[N9 C5] what was stored without a time is read, and damage is found in both', () => {
  const update = Y.encodeStateAsUpdate(new Y.Doc());
  expect(unseal(seal(update))).toMatchObject({ update, madeAt: null });
  expect(unseal(seal(update, 1_700_000_000_000))).toMatchObject({ update, madeAt: 1_700_000_000_000 });
  for (const sealed of [seal(update), seal(update, 1_700_000_000_000)]) {
    for (let at = 0; at < sealed.length; at++) {
      expect(unseal(sealed.with(at, (sealed[at] as number) ^ 1))).toBeNull();
    }
    for (let length = 0; length < sealed.length; length++)
      expect(unseal(sealed.subarray(0, length))).toBeNull();
  }
});

test('[C4 C9] a time that no Date can have, as of a queue in nanoseconds, makes a change no snapshot', () => {
  const update = Y.encodeStateAsUpdate(new Y.Doc());
  for (const madeAt of [1.7e18, 8.64e15 + 1, Number.POSITIVE_INFINITY, Number.NaN])
    expect(unseal(seal(update, madeAt))).toEqual({ update, madeAt: null, kind: 'change' });
  expect(unseal(seal(update, 8.64e15))).toMatchObject({ madeAt: 8.64e15, kind: 'change' });
});

function worldWithTimes(): ConnectionWorld {
  const world = new ConnectionWorld();
  world.source.now = world.clock.now;
  world.source.create('patients', 'p', { name: 'Anna' });
  world.clock.pass(60_000);
  world.source.create('patients', 'q', { name: 'Beat' });
  world.clock.pass(60_000);
  return world;
}

test('[N9] a server that takes times gets them: first that of sending alone, then with each change', async () => {
  const world = worldWithTimes();
  await world.started();
  const { last } = world.sockets;
  const now = world.clock.now();
  const changes = world.source.pending.map(({ update, madeAt = null }) => ({ update, madeAt }));
  last.open();
  last.says(messages.takesTimes);
  await settle();
  expect(last.sent).toEqual([{ type: 'timed', sentAt: now, changes: [] }]);
  await world.welcomed();
  expect(last.types).toEqual(['timed', 'syncStep1', 'timed', 'syncStep2', 'checkpoint']);
  expect(last.sent[2]).toEqual({ type: 'timed', sentAt: now, changes });
  expect(changes.map(({ madeAt }) => madeAt)).toEqual([now - 120_000, now - 60_000]);
  world.clock.pass(1_000);
  world.source.create('patients', 'r', { name: 'Carla' });
  expect(last.sent.at(-2)).toMatchObject({
    type: 'timed',
    sentAt: now + 1_000,
    changes: [{ madeAt: now + 1_000 }],
  });
});

test('[N4] a server that says so hears how many changes wait, now and once it has answered', async () => {
  const world = worldWithTimes();
  await world.started();
  const { last } = world.sockets;
  last.open();
  last.says(messages.takesTimes);
  await world.welcomed();
  expect(last.sent.at(-1)).toMatchObject({ type: 'checkpoint', waiting: { now: 2, later: 0, age: 120_000 } });
});

test.each([
  ['a server of before', Uint8Array.of(102, 0)],
  ['a server that takes no times', null],
])('[N4] %s gets checkpoints that tell nothing more', async (_, says) => {
  const world = worldWithTimes();
  await world.started();
  world.sockets.last.open();
  if (says !== null) world.sockets.last.says(says);
  await world.welcomed();
  expect(world.sockets.last.sent.at(-1)).not.toHaveProperty('waiting');
});

test('[N9] a server that does not say so gets updates alone', async () => {
  const world = await worldWithTimes().online();
  world.source.create('patients', 'r', { name: 'Carla' });
  expect(world.sockets.last.types).not.toContain('timed');
  expect(world.sockets.last.types.filter((type) => type === 'update')).toHaveLength(2);
});

test('[N9 H3] over HTTP the times are in the body, and are left out for a server that refuses it', async () => {
  const world = new ConnectionWorld({ sockets: 'none' });
  world.source.now = world.clock.now;
  world.source.create('patients', 'p', { name: 'Anna' });
  world.http = ({ timed }) =>
    timed === undefined ? { stateVector: Uint8Array.of(0), update: new Uint8Array() } : 400;
  await world.started();
  await world.pass(0);
  expect(world.exchanges.map(({ timed }) => timed?.changes.length)).toEqual([1, undefined, undefined]);
  expect(world.source.pending).toEqual([]);
  world.source.create('patients', 'q', { name: 'Beat' });
  await world.pass(60_000);
  expect(world.exchanges.slice(3).every(({ timed }) => timed === undefined)).toBe(true);
  expect(world.source.pending).toEqual([]);
});

async function server() {
  const started = await startServer();
  closing.push(() => started.close());
  return started;
}

function deviceAt(url: string, now: () => number): ConnectedDevice {
  const device = new ConnectedDevice(url, 'anna');
  device.source.now = now;
  closing.push(() => device.close());
  return device;
}

const nameIn = ({ source }: ConnectedDevice) =>
  (source.doc.getMap<Y.Map<unknown>>('patients').get('p') as Y.Map<unknown>)?.get('name');
const rename = ({ source }: ConnectedDevice, name: string) =>
  source.write((doc) => void doc.getMap<Y.Map<unknown>>('patients').get('p')?.set('name', name));

test.each(['sockets', 'HTTP'])(
  '[D3 N9] over %s, the later of two edits stays whoever connects first',
  async (way) => {
    for (let round = 0; round < 6; round++) {
      const { url, close } = await server();
      const proxy = way === 'HTTP' ? await NoUpgrades.before(url) : null;
      if (proxy !== null) closing.push(() => proxy.close());
      const [anna, beat] = [0, 0].map(() => deviceAt(proxy?.url ?? url, Date.now)) as [
        ConnectedDevice,
        ConnectedDevice,
      ];
      anna.source.create('patients', 'p', { name: 'at first' });
      for (const device of [anna, beat]) {
        device.connection.start();
        await device.connection.flush();
        device.connection.stop();
      }
      const now = Date.now();
      anna.source.now = () => now - 20_000;
      beat.source.now = () => now - 10_000;
      rename(anna, 'older');
      rename(beat, 'later');
      for (const device of round % 2 === 0 ? [anna, beat, anna] : [beat, anna, beat]) {
        device.connection.start();
        await device.connection.flush();
        await device.until(() => device !== beat || nameIn(device) === 'later');
        device.connection.stop();
      }
      expect(await patientsAt(url)).toEqual([{ id: 'p', name: 'later' }]);
      await close();
    }
  },
  60_000,
);

test('[D3 N9] unmodified providers are told what stands, and their live edits count by their arrival', async () => {
  const { url } = await server();
  const desk = await NativeDevice.connect(url, 'anna', 'desk');
  closing.push(() => desk.close());
  desk.record('patients', 'p').set('name', 'at first');
  const phone = await deviceAt(url, Date.now).online();
  await phone.until(() => nameIn(phone) === 'at first');
  phone.connection.stop();
  rename(phone, 'of the phone, before');
  await new Promise((resolve) => setTimeout(resolve, 5)); // the edits are apart by the clock, too
  desk.record('patients', 'p').set('name', 'of the desk, after');
  await expect.poll(() => patientsAt(url)).toEqual([{ id: 'p', name: 'of the desk, after' }]);
  await phone.online();
  await phone.connection.flush();
  expect(nameIn(phone)).toBe('of the desk, after');
  expect(desk.record('patients', 'p').get('name')).toBe('of the desk, after');
});

async function patientsAt(url: string): Promise<unknown> {
  const answer = (await (await fetch(`${url}/api/sync/anna`)).json()) as Record<string, unknown>;
  return answer.patients;
}

test('[N9] a message without an end is malformed', () => {
  const bytes = messages.timed(5, [{ madeAt: 4, update: Uint8Array.of(0, 0) }]);
  for (let length = 1; length < bytes.length; length++) {
    if (length !== 2) expect(() => decodeMessage(bytes.subarray(0, length))).toThrow();
  }
});
