/** Documents that sleep while the store fails, hangs or is asked for much at once (N2, N3, P5, P7, P8). */
import { describe, expect, it, onTestFinished } from 'vitest';
import * as Y from 'yjs';
import type { Origin } from '../../../../server/documents/changes.js';
import type { DeviceId } from '../../../../shared/names.js';
import { LevelFixture } from '../../../support/level-fixture.js';
import { stateReached, user } from '../../../support/notes.js';
import { client, unnamedDoc } from '../../../support/replicas.js';
import { ANNA, REST_AFTER, type SleepDevice, SleepWorld } from '../../../support/sleep-world.js';

const origin: Origin = { via: 'http', device: 'http' as DeviceId, actor: null, subscriber: null };

function notes(count: number, id = 77): Y.Doc {
  const doc = client(id);
  for (let i = 0; i < count; i++) doc.getMap('notes').set(`n${i}`, i);
  return doc;
}

const copyOf = (doc: Y.Doc): Y.Doc => {
  const copy = unnamedDoc();
  Y.applyUpdate(copy, Y.encodeStateAsUpdate(doc));
  return copy;
};

describe('a document at rest in trouble', () => {
  it('[N3] who changed nothing stays connected while the store is opened anew, though it was to fall asleep', async () => {
    const world = new SleepWorld();
    const phone = await world.connect('phone', notes(3));
    phone.set('more', 1); // a second update: it is not whole
    await world.settle();
    const other = await world.connect('other', client(5), { of: user('berta') });
    world.inner.failNext({ kept: false, stayDown: true });
    other.set('x', 1);
    await world.settle();
    expect([other.closed, world.store.state]).toEqual(['NOT_SAVED', 'reopening']);
    await world.sleep();
    expect([phone.closed, phone.isAwake]).toEqual([null, true]);
    world.inner.recover();
    await world.sleep();
    expect([phone.closed, phone.isAwake]).toEqual([null, false]);
  });

  it('[P3] while the store is down, who needs the document is told so; the others stay asleep, and connected', async () => {
    const doc = notes(3);
    const world = await SleepWorld.asleep(doc, copyOf(doc), copyOf(doc), copyOf(doc));
    const other = await world.connect('other', notes(1), { of: user('berta') });
    world.inner.failNext({ kept: false, stayDown: true });
    other.set('lost', 1);
    await world.settle();
    await stateReached(world.store, 'reopening');
    const [phone, tablet, quiet, second] = world.devices as [
      SleepDevice,
      SleepDevice,
      SleepDevice,
      SleepDevice,
    ];
    const readOnly = world.add('visitor', copyOf(doc), await world.registry.follow(ANNA), { readOnly: true });
    await world.settle();
    phone.set('a', 1);
    second.set('b', 1);
    readOnly.set('c', 1);
    const asked = [phone, tablet, quiet].map((device) => device.askCheckpoint());
    await world.settle();
    const closed = [phone, second, readOnly].map((device) => device.closed);
    expect(closed).toEqual(['STORE_UNAVAILABLE', 'STORE_UNAVAILABLE', 'STORE_UNAVAILABLE']);
    expect([tablet, quiet].map((device) => [device.closed, device.isAwake])).toEqual([
      [null, false],
      [null, false],
    ]);
    expect(phone.of('checkpoint')).toEqual([]);
    expect(quiet.of('checkpoint')).toEqual([{ type: 'checkpoint', n: asked[2] }]);
    const fresh = world.add('fresh', client(9), await world.registry.follow(ANNA)); // the store is not read
    await world.settle();
    expect(fresh.closed).toBe('STORE_UNAVAILABLE');
    world.inner.recover();
    tablet.set('d', 1);
    await world.settle();
    expect([tablet.isAwake, quiet.notes]).toEqual([true, { n0: 0, n1: 1, n2: 2, d: 1 }]);
    await world.connect('again', phone.doc);
    expect(quiet.notes).toMatchObject({ a: 1, d: 1 });
    expect(world.failures.filter((code) => code === 'INTERNAL')).toEqual([]);
  });

  it('[P7] nothing of who is erased comes back, though his bytes were damaged while he slept', async () => {
    const doc = notes(3);
    const world = await SleepWorld.asleep(doc);
    world.inner.damage(ANNA);
    expect(await world.registry.erase(ANNA)).toBe(true);
    await world.settle();
    expect(world.phone.closed).toBe('ERASED');
    const again = await world.connect('again', doc);
    expect(again.closed).toBe('ERASED');
  });

  it('[P8] thousands who edit at the same moment are all woken, none is sent away', async () => {
    const store = await (await LevelFixture.create()).open();
    onTestFinished(() => store.close());
    const world = new SleepWorld(undefined, { store });
    const users = Array.from({ length: 1_050 }, (_, index) => user(`user-${index}`));
    for (const each of users) world.add('phone', client(5), await world.registry.follow(each));
    await world.settle();
    while (world.registry.asleep < users.length) await world.sleep();
    for (const device of world.devices) device.set('a', 1);
    for (const device of world.devices) device.askCheckpoint();
    const isAnswered = ({ closed, got }: SleepDevice) =>
      closed !== null || got.some(({ type }) => type === 'checkpoint');
    while (!world.devices.every(isAnswered)) await world.settle();
    expect(world.devices.filter(({ closed }) => closed !== null)).toHaveLength(0);
    expect(world.failures).toEqual([]);
  });

  it('[N2] [P8] many that are due at once fall asleep little by little: others have their turn in between', async () => {
    let uptime = 0;
    const world = new SleepWorld(undefined, { uptime: () => uptime });
    const users = Array.from({ length: 40 }, (_, index) => user(`user-${index}`));
    const doc = notes(1_000);
    doc.getMap('notes').delete('n0'); // it has to be compacted
    for (const each of users) world.add('phone', doc, await world.registry.follow(each));
    await world.settle();
    const atOnce: number[] = [];
    while (world.registry.asleep < users.length) {
      const before = world.store.compactions;
      world.registry.sleep();
      atOnce.push(world.store.compactions - before);
      await world.settle();
      uptime += REST_AFTER;
    }
    expect(world.store.compactions).toBe(users.length);
    expect(Math.max(...atOnce)).toBeLessThan(users.length);
    expect(world.failures).toEqual([]);
  });

  it('[N2] who connects gets what was changed meanwhile, however late what is noted of the document comes', async () => {
    const doc = notes(3);
    const world = (await SleepWorld.asleep(doc)).restarted({ idleTimeout: 0 });
    const noted = world.store.holdRests();
    const following = world.registry.follow(ANNA);
    await world.settle();
    const { document, release } = await world.registry.open(ANNA);
    document.write(origin, (into) => into.getMap('notes').set('meanwhile', 1));
    await document.durable();
    release();
    await world.store.until(() => world.store.forgotten.length > 0);
    noted();
    world.add('phone', doc, await following);
    await world.settle();
    expect(world.phone.notes).toMatchObject({ meanwhile: 1 });
  });

  it('[O4] a stop makes durable what has just woken a document', async () => {
    const world = await SleepWorld.asleep(notes(3));
    const load = world.store.holdLoads();
    world.phone.set('late', 1);
    await world.settle();
    const flushed = world.registry.flush();
    load();
    await flushed;
    expect((await world.restarted().connect('fresh')).notes).toMatchObject({ late: 1 });
  });

  it('[P7] of who does not sleep, since something of him was erased, nothing is prepared for that', async () => {
    const world = await SleepWorld.asleep(notes(3));
    await world.registry.erase(ANNA);
    const { compactions } = world.store;
    const fresh = await world.connect('fresh', client(78));
    fresh.set('a', 1);
    fresh.doc.getMap('notes').delete('a');
    await world.sleep();
    expect([fresh.isAwake, world.store.compactions]).toEqual([true, compactions]);
  });
});
