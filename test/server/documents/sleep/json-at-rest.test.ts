/** JSON devices of documents that sleep: what they are sent, and what wakes it (L1–L5, decision 044). */
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import * as Y from 'yjs';
import { NO_LIMITS } from '../../../../server/documents/document-options.js';
import { whenKnown } from '../../../../server/documents/sleep/when-shown.js';
import { viewKey } from '../../../../server/store/format.js';
import type { CollectionName, DeviceId, RecordId } from '../../../../shared/names.js';
import { writeRecord } from '../../../../shared/records.js';
import { changeByte, databaseOf, LevelFixture } from '../../../support/level-fixture.js';
import { stateReached, user } from '../../../support/notes.js';
import { client, unnamedDoc } from '../../../support/replicas.js';
import { SleepJson } from '../../../support/sleep-json.js';
import { ANNA, SleepWorld } from '../../../support/sleep-world.js';

const notes = 'notes' as CollectionName;

function put(doc: Y.Doc, id: string, text: string): void {
  writeRecord(doc, notes, id as RecordId, { id, text });
}

function withNote(): Y.Doc {
  const doc = client(77);
  put(doc, 'n1', 'one');
  return doc;
}

const copyOf = (doc: Y.Doc): Y.Doc => {
  const copy = unnamedDoc();
  Y.applyUpdate(copy, Y.encodeStateAsUpdate(doc));
  return copy;
};

/** Asleep, with a phone that has this and a JSON device that was met. */
async function asleep(doc = withNote(), world = new SleepWorld()): Promise<[SleepWorld, SleepJson]> {
  await world.connect('phone', doc);
  const tablet = await SleepJson.connect(world, 'tablet');
  await world.sleep();
  expect([tablet.isAwake, world.registry.asleep]).toEqual([false, 1]);
  return [world, tablet];
}

describe('a JSON device of a document at rest', () => {
  it('[L1] is sent the same bytes as of the document in memory, and nothing is loaded', async () => {
    const [world, tablet] = await asleep();
    const [first] = tablet.fullSyncs;
    tablet.leave();
    await world.settle();
    const { loads } = world;
    const again = await SleepJson.connect(world, 'tablet');
    expect(again.fullSyncs).toEqual([first]);
    expect(again.messages.map(({ type }) => type)).toEqual(['FULL_SYNC', 'CONNECTION_CONFIRMED']);
    again.say({ type: 'REQUEST_SYNC' });
    await again.settle(world);
    expect(again.fullSyncs).toEqual([first, first]);
    expect([world.loads, again.isAwake, world.failures]).toEqual([loads, false, []]);
  });

  it('[L1] the same, whatever is in the records and whoever deleted some', async () => {
    const change = fc.record({
      collection: fc.constantFrom('notes', 'appointments', 'my own', '7'),
      id: fc.constantFrom('a', 'b', '1', 'ü"'),
      value: fc.option(fc.jsonValue({ maxDepth: 2 }), { nil: undefined }),
    });
    const property = fc.asyncProperty(fc.array(change, { maxLength: 12 }), async (changes) => {
      const world = new SleepWorld();
      const phone = await world.connect('phone', withNote());
      const tablet = await SleepJson.connect(world, 'tablet');
      for (const { collection, id, value } of changes) {
        if (value === undefined) phone.doc.getMap(collection).delete(id);
        else
          writeRecord(phone.doc, collection as CollectionName, id as RecordId, { id, value: value as never });
      }
      await world.settle();
      tablet.say({ type: 'REQUEST_SYNC' });
      await tablet.settle(world);
      const awake = tablet.fullSyncs.at(-1);
      await world.sleep();
      tablet.say({ type: 'REQUEST_SYNC' });
      await tablet.settle(world);
      expect(tablet.isAwake).toBe(false);
      expect(tablet.fullSyncs.at(-1)).toBe(awake);
      expect(world.failures).toEqual([]);
    });
    await fc.assert(property, { numRuns: 40 });
  });

  it('[L1] after a restart, too: what a stop finds in memory is noted', async () => {
    const world = new SleepWorld();
    await world.connect('phone', withNote());
    const tablet = await SleepJson.connect(world, 'tablet');
    await world.registry.flush();
    await world.settle();
    const next = world.restarted();
    const again = await SleepJson.connect(next, 'tablet');
    expect(again.fullSyncs).toEqual(tablet.fullSyncs);
    expect([next.loads, again.isAwake]).toEqual([0, false]);
  });

  it('[L1] [L8] one that was never met is met in the document, and asleep from then on', async () => {
    const [world] = await asleep();
    const { loads } = world;
    const watch = await SleepJson.connect(world, 'watch');
    expect([world.loads, watch.isAwake, watch.fullSyncs.length]).toEqual([loads + 1, true, 1]);
    await world.sleep();
    expect(watch.isAwake).toBe(false);
    watch.leave();
    await SleepJson.connect(world, 'watch');
    expect(world.loads).toBe(loads + 1);
  });

  it('[L1] where no JSON device ever asked, nothing is written for them', async () => {
    const world = await SleepWorld.asleep(withNote());
    expect(world.store.views).toBe(0);
    await SleepJson.connect(world, 'tablet');
    await world.sleep();
    expect(world.store.views).toBe(1);
    await SleepJson.connect(world, 'tablet');
    await world.sleep();
    expect(world.store.views).toBe(1); // it still counts
  });

  it('[P8] of what is large nothing is noted; it is loaded', async () => {
    const doc = client(77);
    put(doc, 'large', 'x'.repeat(1_100_000));
    const [world, tablet] = await asleep(doc);
    expect(world.store.views).toBe(0);
    const { loads } = world;
    tablet.leave();
    const again = await SleepJson.connect(world, 'tablet');
    expect(again.fullSyncs).toEqual(tablet.fullSyncs);
    expect(world.loads).toBe(loads + 1);
  });

  it('[L2] [N5] a write of any device wakes it once, and all get it', async () => {
    const [world, tablet] = await asleep();
    const watch = await SleepJson.connect(world, 'watch');
    await world.sleep();
    const { loads, phone } = world;
    const ack = tablet.write({ id: 'n2', text: 'two' });
    put(phone.doc, 'n3', 'three');
    await world.settle();
    await tablet.settle(world);
    await watch.settle(world);
    expect(world.loads).toBe(loads + 1);
    expect(tablet.messages).toContainEqual({ type: 'ACK', ack });
    expect(phone.doc.getMap('notes').toJSON()).toMatchObject({ n2: { text: 'two' } });
    const told = (device: SleepJson) =>
      device.messages.flatMap(({ type, data }) => (type === 'DATA_UPDATE' ? [data.document.id] : []));
    expect([told(watch).sort(), told(tablet)]).toEqual([['n2', 'n3'], ['n3']]);
  });

  it('[L4] [L5] what it was sent asleep is what its next write is compared with', async () => {
    const [world, tablet] = await asleep();
    tablet.leave();
    await world.settle();
    const again = await SleepJson.connect(world, 'tablet'); // sees n1 as it is
    again.leave();
    await world.settle();
    const phone = world.phone;
    const n1 = phone.doc.getMap('notes').get('n1') as Y.Map<unknown>;
    n1.set('place', 'ward 4');
    await world.settle();
    await world.sleep();
    const back = await SleepJson.connect(world, 'tablet');
    back.write({ id: 'n1', text: 'changed offline' }, 900); // it knew no `place`
    await back.settle(world);
    expect(phone.doc.getMap('notes').toJSON().n1).toMatchObject({ text: 'changed offline', place: 'ward 4' });
  });

  it('[N7] who may only look is answered asleep, and what it writes is refused', async () => {
    const [world, tablet] = await asleep();
    tablet.leave();
    const viewer = await SleepJson.connect(world, 'tablet', true);
    const ack = viewer.write({ id: 'n1', text: 'mine' });
    await viewer.settle(world);
    expect(viewer.messages.at(-1)).toMatchObject({ type: 'ERROR', code: 'READ_ONLY', ack });
    expect(viewer.isAwake).toBe(false);
  });

  it('[L10] what is no message is answered, and wakes nothing', async () => {
    const [world, tablet] = await asleep();
    tablet.say({ type: 'NONSENSE' });
    await tablet.settle(world);
    expect(tablet.messages.at(-1)).toMatchObject({ type: 'ERROR', code: 'UNKNOWN_TYPE' });
    expect(tablet.isAwake).toBe(false);
  });
});

describe('a JSON device of a document at rest, in trouble', () => {
  it('[P3] while the store is down its write fails for itself alone', async () => {
    const [world, tablet] = await asleep();
    const other = await world.connect('other', client(5), { of: user('berta') });
    world.inner.failNext({ kept: false, stayDown: true });
    other.set('x', 1);
    await world.settle();
    await stateReached(world.store, 'reopening');
    const ack = tablet.write({ id: 'n2', text: 'two' });
    await tablet.settle(world);
    expect(tablet.messages.at(-1)).toMatchObject({ type: 'ERROR', code: 'NOT_SAVED', ack });
    expect([tablet.closed, world.phone.closed, world.phone.isAwake]).toEqual([
      'STORE_UNAVAILABLE',
      null,
      false,
    ]);
    const again = await SleepJson.connect(world, 'tablet');
    expect(again.closed).toBe('STORE_UNAVAILABLE');
    world.inner.recover();
    expect((await SleepJson.connect(world, 'tablet')).fullSyncs).toHaveLength(1);
  });

  it('[P3] [L4] it is shown nothing before what is known of it is saved', async () => {
    const [world, tablet] = await asleep();
    tablet.leave();
    await world.settle();
    world.inner.hold();
    const again = await SleepJson.connect(world, 'tablet');
    expect(again.texts).toEqual([]);
    world.inner.failNext({ kept: false });
    world.inner.release();
    await again.settle(world);
    expect([again.texts, again.closed]).toEqual([[], 'NOT_SAVED']);
    await stateReached(world.store, 'ready');
    expect((await SleepJson.connect(world, 'tablet')).fullSyncs).toHaveLength(1);
  });

  it('[P5] where what was noted is damaged, the document is loaded, and it is noted anew', async () => {
    const fixture = await LevelFixture.create();
    onTestFinished(() => fixture.remove());
    const store = await fixture.open();
    const damaged: string[] = [];
    const world = new SleepWorld(undefined, { store, onViewDamaged: (name) => damaged.push(name) });
    const until = async (isDone: () => boolean) => {
      while (!isDone()) await world.sleep();
    };
    await world.connect('phone', withNote());
    const tablet = await SleepJson.connect(world, 'tablet');
    await until(() => !tablet.isAwake && tablet.fullSyncs.length === 1);
    await store.view(ANNA, 1); // it is written
    await changeByte(databaseOf(store), viewKey(ANNA), 40);
    tablet.say({ type: 'REQUEST_SYNC' });
    await until(() => tablet.fullSyncs.length === 2);
    expect(damaged).toEqual([ANNA]);
    await until(() => !tablet.isAwake);
    tablet.say({ type: 'REQUEST_SYNC' });
    await until(() => tablet.fullSyncs.length === 3);
    const [first] = tablet.fullSyncs;
    expect([tablet.fullSyncs, tablet.isAwake, damaged]).toEqual([[first, first, first], false, [ANNA]]);
  });

  it('[P7] who is erased asleep is sent away, and brings nothing back; nothing is kept of its devices', async () => {
    const [world, tablet] = await asleep();
    await world.registry.erase(ANNA);
    await world.settle();
    expect(tablet.closed).toBe('ERASED');
    expect(world.inner.contents.get(ANNA)).toMatchObject({ view: null, updates: [] });
    expect(world.inner.contents.get(ANNA)?.devices.size).toBe(0);
    const again = await SleepJson.connect(world, 'tablet');
    expect(again.fullSyncs.at(-1)).not.toContain('one');
    again.write({ id: 'n1', text: 'one' }, 900);
    await again.settle(world);
    expect(again.closed).toBe('ERASED');
    await world.sleep();
    expect(world.registry.asleep).toBe(0);
  });

  it('[P7] the same where its bytes were damaged while it slept', async () => {
    const [world, tablet] = await asleep();
    world.inner.damage(ANNA);
    await world.registry.erase(ANNA);
    await world.settle();
    expect(tablet.closed).toBe('ERASED');
    expect(world.inner.contents.get(ANNA)?.devices.size).toBe(0);
    const again = await SleepJson.connect(world, 'tablet');
    again.write({ id: 'n1', text: 'one' }, 900);
    await again.settle(world);
    expect(again.closed).toBe('ERASED');
  });

  it('[L4] a device that comes and goes while the document is loaded for others is known there', async () => {
    const [world, tablet] = await asleep();
    tablet.leave();
    await world.settle();
    const release = world.store.holdLoads();
    put(world.phone.doc, 'n2', 'two');
    const opened = world.registry.open(ANNA);
    await world.settle();
    const again = await SleepJson.connect(world, 'tablet');
    again.leave();
    release();
    const { document } = await opened;
    await world.settle();
    expect(document.devices.keys).toEqual(['tablet']);
    expect(world.failures).toEqual([]);
  });

  it('[L4] the last one that leaves a document in memory costs no commit: its state waits for the next one', async () => {
    const world = new SleepWorld();
    await world.connect('phone', withNote());
    world.phone.leave();
    const tablet = await SleepJson.connect(world, 'tablet');
    const { commits } = world.store;
    tablet.leave();
    await world.settle();
    expect([world.store.commits, world.store.deviceSaves]).toEqual([commits, 0]);
  });

  it('[O4] a stop saves what is known of devices that are connected asleep', async () => {
    const [world, tablet] = await asleep();
    tablet.leave();
    const again = await SleepJson.connect(world, 'tablet');
    const { deviceSaves } = world.store; // what its pong said may wait
    await world.registry.flush();
    expect(world.store.deviceSaves).toBe(deviceSaves + 1);
    await world.registry.flush();
    expect([world.store.deviceSaves, again.closed]).toEqual([deviceSaves + 1, null]);
  });
});

/** It asks over HTTP, with the tag of what it has: where none is named, of all that there is. */
async function poll(world: SleepWorld, device: string, now: number, has?: number): Promise<number> {
  const following = await world.registry.follow(ANNA);
  const { document } = following;
  const origin = { via: 'http', device: device as DeviceId, actor: null, subscriber: null } as const;
  await new Promise<void>((resolve, reject) =>
    document.enter(() =>
      whenKnown(
        document,
        origin,
        () => {
          const view = document.devices.overHttp(origin, now);
          view.confirmed(has ?? document.revision, now);
          view.sent(document.revision, now);
          resolve();
        },
        reject,
      ),
    ),
  );
  document.saveDevices('urgent');
  await document.durable();
  const { revision } = document;
  following.release();
  await world.settle();
  return revision;
}

it('[H1 P2] a device that asks again and again costs one write an hour, and is known after a kill', async () => {
  let now = 1_000_000;
  const world = new SleepWorld(undefined, { now: () => now, idleTimeout: 0 });
  await world.connect('phone', withNote());
  await poll(world, 'tablet', now);
  world.phone.leave();
  while (world.registry.isInUse(ANNA)) await world.sleep();
  const [saves, loads] = [world.store.deviceSaves, world.loads];
  for (let second = 0; second < 3_600; second += 5) {
    now += 5_000;
    await poll(world, 'tablet', now);
  }
  expect([world.loads, world.registry.documents.length]).toEqual([loads, 0]);
  expect(world.store.deviceSaves - saves).toBeGreaterThanOrEqual(1);
  expect(world.store.deviceSaves - saves).toBeLessThanOrEqual(2);
  const after = new SleepWorld(world.inner.contents, { now: () => now });
  const { document } = await after.registry.open(ANNA);
  expect(document.devices.keys).toEqual(['tablet']);
});

it('[L4 H1] what a device confirms is saved with that answer, though its user sleeps, and nothing else is due', async () => {
  let now = 1_000_000;
  const world = new SleepWorld(undefined, { now: () => now, idleTimeout: 0 });
  await world.connect('phone', withNote());
  const first = await poll(world, 'tablet', now);
  put(world.phone.doc, 'n2', 'two');
  await world.settle();
  world.phone.leave();
  while (world.registry.isInUse(ANNA)) await world.sleep();
  now += 5_000;
  const second = await poll(world, 'tablet', now, first);
  expect(second).toBeGreaterThan(first);
  now += 5_000;
  await poll(world, 'tablet', now, second);
  const { deviceSaves } = world.store;
  for (let again = 0; again < 4; again++) await poll(world, 'tablet', ++now, second);
  expect(world.store.deviceSaves).toBe(deviceSaves); // it is confirmed already
  const after = new SleepWorld(world.inner.contents, { now: () => now });
  const { document } = await after.registry.open(ANNA);
  const origin = { via: 'http', device: 'tablet' as DeviceId, actor: null, subscriber: null } as const;
  const { device } = document.devices.overHttp(origin, now);
  const note = { collection: notes, id: 'n2' as RecordId };
  expect(device.seenBefore({ madeAt: now, isCertain: true }, note, now)?.from).toBe(second);
});

describe('[L8 S4] of very many ids, MAX_DEVICES are kept of a user who sleeps', () => {
  const MOST = 5;
  const MANY = 60;
  it.each([
    ['over HTTP', (world: SleepWorld, name: string) => poll(world, name, 1_000)],
    [
      'over WebSockets',
      async (world: SleepWorld, name: string) => {
        const line = await SleepJson.connect(world, name);
        line.leave();
        await world.settle();
      },
    ],
  ])('%s', async (_, come) => {
    const world = new SleepWorld(undefined, { limits: { ...NO_LIMITS, maxDevices: MOST } });
    await world.connect('phone', withNote());
    for (let n = 0; n < MANY; n++) {
      if (n % 3 === 0) await world.sleep();
      await come(world, `device-${n}`);
      expect(world.inner.contents.get(ANNA)?.devices.size).toBeLessThanOrEqual(MOST + 1);
    }
    await world.sleep();
    expect(world.inner.contents.get(ANNA)?.devices.size).toBe(MOST);
    expect(world.failures).toEqual([]);
  });
});

it('[N5] one that connects while the others wake it has what they wrote, once', async () => {
  const [world, tablet] = await asleep();
  tablet.leave();
  await world.settle();
  const release = world.store.holdLoads();
  put(world.phone.doc, 'n2', 'two');
  await world.settle();
  const again = await SleepJson.connect(world, 'tablet');
  expect(again.texts).toEqual([]);
  release();
  await again.settle(world);
  const shown = again.fullSyncs.map((text) => text.includes('"two"'));
  const told = again.messages.filter(({ type }) => type === 'DATA_UPDATE');
  expect([shown.length, Number(shown[0]) + told.length]).toEqual([1, 1]);
  expect(copyOf(world.phone.doc).getMap('notes').size).toBe(2);
});
