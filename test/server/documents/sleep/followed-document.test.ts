/** A document that native connections follow while it is in the store alone, and how it wakes (N2–N7, decision 041). */
import { describe, expect, it } from 'vitest';
import * as Y from 'yjs';
import type { Origin } from '../../../../server/documents/changes.js';
import { messages } from '../../../../server/protocol/yjs.js';
import type { CollectionName, DeviceId, RecordId } from '../../../../shared/names.js';
import { writeRecord } from '../../../../shared/records.js';
import { stateReached, user } from '../../../support/notes.js';
import { client, unnamedDoc } from '../../../support/replicas.js';
import { ANNA, SleepWorld } from '../../../support/sleep-world.js';

const NOTHING = Uint8Array.of(0, 0);
const origin: Origin = { via: 'http', device: 'http' as DeviceId, actor: null, subscriber: null };

function notes(count: number): Y.Doc {
  const doc = client(77);
  for (let i = 0; i < count; i++) doc.getMap('notes').set(`n${i}`, i);
  return doc;
}

const copyOf = (doc: Y.Doc): Y.Doc => {
  const copy = unnamedDoc();
  Y.applyUpdate(copy, Y.encodeStateAsUpdate(doc));
  return copy;
};

describe('a document at rest', () => {
  it('[N2] leaves the memory when nothing changed for a while, and only then', async () => {
    const world = new SleepWorld();
    const phone = await world.connect('phone', notes(3));
    world.registry.sleep();
    phone.set('more', 1);
    await world.settle();
    world.registry.sleep();
    expect([world.registry.documents.length, world.registry.asleep]).toEqual([1, 0]);
    await world.sleep();
    expect([world.registry.documents.length, world.registry.asleep]).toEqual([0, 1]);
    expect(world.store.forgotten).toEqual([ANNA]);
    expect(world.failures).toEqual([]);
  });

  it('[N2] [N4] answers who is up to date: nothing is loaded', async () => {
    const doc = notes(3);
    doc.getMap('notes').delete('n1');
    const world = (await SleepWorld.asleep(doc)).restarted();
    const phone = await world.connect('phone', doc);
    const tablet = await world.connect('tablet', copyOf(doc));
    const n = phone.askCheckpoint();
    await world.settle();
    expect(phone.got[0]).toEqual({ type: 'syncStep1', stateVector: Y.encodeStateVector(doc) });
    expect(phone.of('syncStep2')).toHaveLength(1);
    expect(phone.of('checkpoint')).toEqual([{ type: 'checkpoint', n }]);
    expect(tablet.notes).toEqual({ n0: 0, n2: 2 });
    expect([world.loads, world.registry.asleep]).toEqual([0, 1]);
  });

  it('[N2] gives all of it to who has nothing, as it is stored', async () => {
    const world = (await SleepWorld.asleep(notes(50))).restarted();
    const tablet = await world.connect('tablet');
    expect(Object.keys(tablet.notes as object)).toHaveLength(50);
    expect(world.loads).toBe(0);
  });

  it('[N2] what was deleted is in no byte that a new device gets', async () => {
    const doc = notes(1);
    const world = new SleepWorld();
    const phone = await world.connect('phone', doc);
    phone.set('n0', 'secret-value');
    await world.settle();
    phone.doc.getMap('notes').delete('n0');
    await world.sleep();
    expect(phone.isAwake).toBe(false);
    const tablet = await world.connect('tablet');
    const [answer] = tablet.of('syncStep2');
    expect(Buffer.from(answer?.update ?? []).includes('secret-value')).toBe(false);
    expect([world.registry.asleep, tablet.notes]).toEqual([1, {}]);
  });

  it('[N2] one update of which nothing was deleted is given as it is, without writing it anew', async () => {
    const world = await SleepWorld.asleep(notes(3));
    expect([world.store.compactions, world.registry.asleep]).toEqual([0, 1]);
    expect((await world.connect('fresh')).notes).toEqual({ n0: 0, n1: 1, n2: 2 });
    expect(world.registry.asleep).toBe(1);
    const doc = notes(3);
    doc.getMap('notes').delete('n1');
    expect((await SleepWorld.asleep(doc)).store.compactions).toBe(1);
  });

  it('[N2] [P4] a large one is not written anew for one change; it wakes for who has nothing', async () => {
    const doc = notes(1);
    for (let i = 0; i < 20; i++) doc.getMap('notes').set(`l${i}`, 'x'.repeat(5_000));
    const world = new SleepWorld();
    const phone = await world.connect('phone', doc);
    phone.set('more', 1);
    await world.sleep();
    expect([world.registry.asleep, world.store.compactions]).toEqual([1, 0]);
    const tablet = await world.connect('tablet');
    expect(Object.keys(tablet.notes as object)).toHaveLength(22);
    expect(phone.isAwake).toBe(true);
  });

  it('[N2] wakes for a device that is behind, and it has everything then', async () => {
    const doc = notes(3);
    const behind = copyOf(doc);
    doc.getMap('notes').set('n3', 3);
    const world = await SleepWorld.asleep(doc);
    const tablet = await world.connect('tablet', behind);
    expect(tablet.notes).toEqual({ n0: 0, n1: 1, n2: 2, n3: 3 });
    expect([world.loads, world.registry.asleep]).toEqual([2, 0]);
  });

  it('[N2] equal state vectors, unequal deletions: both sides get what they lack', async () => {
    const doc = notes(3);
    const [tablet, other] = [copyOf(doc), copyOf(doc)];
    doc.getMap('notes').delete('n0');
    const world = await SleepWorld.asleep(doc);
    expect((await world.connect('tablet', tablet)).notes).toEqual({ n1: 1, n2: 2 });
    expect(world.registry.asleep).toBe(1);
    other.getMap('notes').delete('n1');
    await world.connect('other', other);
    for (const each of world.devices) expect(each.notes).toEqual({ n2: 2 });
  });

  it('[N2] of a user never met nothing is written, and the first edit is taken', async () => {
    const world = new SleepWorld();
    const [phone, tablet] = [await world.connect('phone'), await world.connect('tablet')];
    await world.sleep();
    expect([world.registry.asleep, world.inner.contents.size]).toEqual([1, 0]);
    phone.set('first', 1);
    await world.settle();
    expect(tablet.notes).toEqual({ first: 1 });
  });

  it('[P6] a stop notes what is in memory, so that the next start loads nothing', async () => {
    const doc = notes(3);
    const world = new SleepWorld();
    await world.connect('phone', doc);
    await world.registry.flush();
    await world.store.close();
    const next = world.restarted();
    await next.connect('phone', doc);
    expect([next.loads, next.registry.asleep]).toEqual([0, 1]);
  });

  it('[P6] REST_AFTER 0: every document stays', async () => {
    const world = (await SleepWorld.asleep(notes(3))).restarted({ restAfter: null });
    await world.connect('phone', notes(3));
    await world.sleep();
    expect([world.loads, world.registry.documents.length, world.registry.asleep]).toEqual([1, 1, 0]);
  });
});

describe('a document that wakes', () => {
  it('[N3] [N5] is loaded once for all who write at the same time; each gets what the others wrote, once', async () => {
    const doc = notes(3);
    const world = await SleepWorld.asleep(doc, copyOf(doc), copyOf(doc));
    const loads = world.loads;
    for (const [index, device] of world.devices.entries()) {
      device.set(`by-${index}`, index);
      device.set(`also-${index}`, index);
    }
    for (const device of world.devices) device.flush();
    await world.settle();
    expect(world.loads).toBe(loads + 1);
    const [first, ...others] = world.devices.map((device) => device.notes);
    expect(Object.keys(first as object)).toHaveLength(9);
    for (const other of others) expect(other).toEqual(first);
    for (const device of world.devices) expect(device.of('update')).toHaveLength(4);
    expect(world.failures).toEqual([]);
  });

  it('[N4] what comes while it loads is done in its order, and a checkpoint counts all of it', async () => {
    const world = await SleepWorld.asleep(notes(3));
    const phone = world.phone;
    const release = world.store.holdLoads();
    phone.set('a', 1);
    phone.set('a', 2);
    phone.askCheckpoint();
    await world.settle();
    expect([phone.of('checkpoint'), world.registry.asleep]).toEqual([[], 1]);
    release();
    world.inner.hold();
    await world.settle();
    expect(phone.of('checkpoint')).toEqual([]);
    world.inner.release();
    await world.settle();
    expect(phone.of('checkpoint')).toHaveLength(1);
    const fresh = await world.restarted().connect('fresh');
    expect(fresh.notes).toEqual({ n0: 0, n1: 1, n2: 2, a: 2 });
  });

  it('[N5] who connects while it loads gets what is written then', async () => {
    const doc = notes(3);
    const world = await SleepWorld.asleep(doc);
    const release = world.store.holdLoads();
    world.phone.set('a', 1);
    await world.settle();
    const connecting = world.connect('tablet', copyOf(doc));
    await new Promise(setImmediate);
    release();
    expect((await connecting).notes).toEqual({ n0: 0, n1: 1, n2: 2, a: 1 });
    await world.settle();
    expect(world.loads).toBe(2);
  });

  it('[N3] an edit that comes while it falls asleep is kept, and shown', async () => {
    const doc = notes(3);
    const world = new SleepWorld();
    const phone = await world.connect('phone', doc);
    const tablet = await world.connect('tablet', copyOf(doc));
    await world.sleep();
    phone.set('b', 1); // wakes it; then it has to be compacted before it sleeps again
    await world.settle();
    for (let look = 0; look < 6; look++) {
      world.inner.hold();
      await world.sleep();
      phone.set('look', look);
      await new Promise(setImmediate);
      phone.flush();
      world.inner.release();
      await world.settle();
      expect(tablet.notes).toEqual({ n0: 0, n1: 1, n2: 2, b: 1, look });
    }
    expect((await world.restarted().connect('fresh')).notes).toEqual(tablet.notes);
    expect(world.failures).toEqual([]);
  });

  it('[N3] the edit of a connection that is gone meanwhile is saved', async () => {
    const doc = notes(3);
    const world = await SleepWorld.asleep(doc, copyOf(doc));
    const [phone, tablet] = world.devices as [SleepWorld['devices'][0], SleepWorld['devices'][0]];
    phone.set('last', 1);
    phone.flush();
    await world.settle();
    phone.leave();
    expect(tablet.notes).toMatchObject({ last: 1 });
  });

  it('[N3] [L1] others who use the document wake it before they have it', async () => {
    const world = await SleepWorld.asleep(notes(3));
    const lease = await world.registry.open(ANNA);
    const notesOf = 'notes' as CollectionName;
    lease.document.write(origin, (doc) =>
      writeRecord(doc, notesOf, 'r' as RecordId, { id: 'r', by: 'http' }),
    );
    await world.settle();
    expect(world.phone.notes).toMatchObject({ r: { by: 'http' } });
    await world.sleep();
    expect(world.registry.asleep).toBe(0); // it is used
    lease.release();
    await world.sleep();
    expect(world.registry.asleep).toBe(1);
  });

  it('[D5] malformed bytes end the connection that sent them, and no other', async () => {
    const doc = notes(3);
    const world = await SleepWorld.asleep(doc, copyOf(doc));
    const [phone, tablet] = world.devices;
    phone?.say(messages.update(Uint8Array.of(5, 1, 2)));
    await world.settle();
    expect([phone?.closed, tablet?.closed]).toEqual(['MALFORMED_UPDATE', null]);
  });

  it('[N7] who may only look is answered asleep, and what would change something is refused', async () => {
    const doc = notes(3);
    const world = await SleepWorld.asleep(doc);
    const viewer = await world.connect('viewer', copyOf(doc), { readOnly: true });
    viewer.say(messages.update(NOTHING));
    await world.settle();
    expect([viewer.of('auth'), world.registry.asleep]).toEqual([[], 1]);
    viewer.doc.getMap('notes').delete('n0');
    await world.settle();
    expect([viewer.of('auth').length, world.registry.asleep]).toEqual([1, 0]);
    expect(world.phone.notes).toEqual({ n0: 0, n1: 1, n2: 2 });
  });

  it('[N6] who is there stays there, asleep or awake', async () => {
    const doc = notes(3);
    const world = await SleepWorld.asleep(doc, copyOf(doc));
    const [phone, tablet] = world.devices;
    const entry = { id: 5, clock: 1, state: '{"name":"Anna"}' };
    phone?.say(messages.awareness([entry]));
    await world.settle();
    expect(tablet?.of('awareness').at(-1)?.entries).toEqual([entry]);
    expect(world.registry.asleep).toBe(1);
    phone?.set('a', 1);
    await world.settle();
    const late = await world.connect('late', copyOf(doc));
    expect(late.of('awareness')[0]?.entries).toEqual([entry]);
    await world.sleep();
    phone?.leave();
    await world.settle();
    expect(tablet?.of('awareness').at(-1)?.entries).toEqual([{ ...entry, state: 'null' }]);
    expect(world.registry.asleep).toBe(1);
  });
});

describe('what can go wrong', () => {
  it('[P5] bytes that are damaged are found by who needs them; everybody of that user is told', async () => {
    const doc = notes(3);
    const world = await SleepWorld.asleep(doc);
    world.inner.damage(ANNA);
    const fresh = await world.connect('fresh');
    await world.settle();
    expect(world.devices.map(({ closed }) => closed)).toEqual(['DOCUMENT_CORRUPT', 'DOCUMENT_CORRUPT']);
    expect([fresh.notes, world.failures, world.registry.asleep]).toEqual([{}, ['DOCUMENT_CORRUPT'], 0]);
  });

  it('[P5] so are they by a change, which is not lost: the device still has it', async () => {
    const world = await SleepWorld.asleep(notes(3));
    world.inner.damage(ANNA);
    const phone = world.phone;
    phone.set('a', 1);
    phone.askCheckpoint();
    await world.settle();
    expect([phone.closed, phone.of('checkpoint')]).toEqual(['DOCUMENT_CORRUPT', []]);
    await expect(world.registry.follow(ANNA)).resolves.toBeDefined(); // at rest, until somebody needs it
  });

  it('[P3] a store that opens anew leaves sleepers alone; who writes meanwhile is sent away, and comes back', async () => {
    const doc = notes(3);
    const world = await SleepWorld.asleep(doc);
    const other = await world.connect('other', notes(1), { of: user('bert') });
    world.inner.failNext({ kept: false, stayDown: true });
    other.set('lost', 1);
    await world.settle();
    await stateReached(world.store, 'reopening');
    const phone = world.phone;
    expect([other.closed, phone.closed]).toEqual(['NOT_SAVED', null]);
    const n = phone.askCheckpoint();
    await world.settle();
    expect(phone.of('checkpoint')).toEqual([{ type: 'checkpoint', n }]);
    phone.set('a', 1);
    await world.settle();
    expect(phone.closed).toBe('STORE_UNAVAILABLE');
    world.inner.recover();
    const again = await world.connect('again', phone.doc);
    await world.settle();
    expect((await world.restarted().connect('fresh')).notes).toEqual(again.notes);
    expect(again.notes).toMatchObject({ a: 1 });
  });

  it('[P7] who is erased asleep is sent away, and sleeps no more: the tombstone is asked', async () => {
    const doc = notes(3);
    const old = copyOf(doc);
    const world = await SleepWorld.asleep(doc, copyOf(doc));
    await expect(world.registry.erase(ANNA)).resolves.toBe(true);
    await world.settle();
    expect(world.devices.map(({ closed }) => closed)).toEqual(['ERASED', 'ERASED']);
    const fresh = await world.connect('fresh');
    await world.sleep();
    expect([fresh.notes, fresh.isAwake, world.registry.asleep]).toEqual([{}, true, 0]);
    expect((await world.connect('old', old)).closed).toBe('ERASED');
  });

  it('[P7] a damaged one can be erased while somebody follows it', async () => {
    const world = await SleepWorld.asleep(notes(3));
    world.inner.damage(ANNA);
    await world.registry.erase(ANNA);
    await world.settle();
    expect(world.phone.closed).toBe('ERASED');
    expect((await world.connect('fresh')).notes).toEqual({});
  });

  it('[P7] who wakes it while it is erased brings nothing back', async () => {
    const world = await SleepWorld.asleep(notes(3));
    const phone = world.phone;
    const release = world.store.holdLoads();
    const erased = world.registry.erase(ANNA);
    phone.set('late', 1);
    await world.settle();
    release();
    await erased;
    await world.settle();
    expect(phone.closed).toBe('ERASED');
    expect((await world.connect('fresh')).notes).toEqual({});
  });

  it('[P3] a commit that fails ends who is awake; the next one finds what is stored', async () => {
    const doc = notes(3);
    const world = await SleepWorld.asleep(doc);
    const phone = world.phone;
    world.inner.failNext({ kept: true });
    phone.set('a', 1);
    await world.settle();
    expect(phone.closed).toBe('NOT_SAVED');
    await stateReached(world.store, 'ready');
    const fresh = await world.connect('fresh');
    expect(fresh.notes).toEqual({ n0: 0, n1: 1, n2: 2, a: 1 });
  });
});
