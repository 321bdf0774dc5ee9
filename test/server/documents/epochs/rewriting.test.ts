/** Documents that are written anew, with native devices around them (P10). */
import { describe, expect, onTestFinished, test } from 'vitest';
import * as Y from 'yjs';
import { MANY_CLIENTS } from '../../../../server/documents/epochs/document-rewriting.js';
import { writtenAnew } from '../../../../server/documents/epochs/rewrite.js';
import { RewritingWorkers } from '../../../../server/documents/epochs/rewriting-workers.js';
import type { RegistryOptions } from '../../../../server/documents/registry.js';
import { SyncError } from '../../../../server/errors.js';
import { MemoryStore } from '../../../../server/store/memory/memory-store.js';
import { decodeEpoch } from '../../../../shared/epoch.js';
import type { DeviceId } from '../../../../shared/names.js';
import { longLived } from '../../../support/long-lived.js';
import { client } from '../../../support/replicas.js';
import { ANNA, SleepWorld } from '../../../support/sleep-world.js';

const DAY = 86_400_000;
const OURS = { takesRewrites: true };

const copyOf = (doc: Y.Doc, id: number): Y.Doc => {
  const copy = client(id);
  Y.applyUpdate(copy, Y.encodeStateAsUpdate(doc));
  return copy;
};

/** What it has of a long life, connected, and not at rest yet; nothing is kept for devices of other kinds. */
async function worldOf(
  doc: Y.Doc,
  options: Partial<RegistryOptions> = {},
  device: { takesRewrites?: boolean } = OURS,
): Promise<SleepWorld> {
  const world = new SleepWorld(undefined, { historyDays: 0, ...options });
  await world.connect('phone', doc, device);
  return world;
}

/** Records that make it a large one. */
function grow(doc: Y.Doc, records: number): void {
  for (let n = 0; n < records; n++)
    doc.getMap('patients').set(`p${n}`, new Y.Map([...'abcdefgh'].map((key) => [key, `value ${n}`])));
}

const clientsOf = (doc: Y.Doc): number[] => [...doc.store.clients.keys()];

describe('[P7] [P10] an erasure of a damaged document', () => {
  test('keeps away who is from before it was written anew', async () => {
    const old = longLived();
    const world = await worldOf(old);
    await world.sleep();
    const fresh = await world.connect('fresh', client(7), OURS);
    fresh.set('n9', 'since');
    await world.settle();
    expect(fresh.closed).toBeNull();
    await world.sleep();
    world.inner.damage(ANNA);
    expect(await world.registry.erase(ANNA)).toBe(true);
    await world.settle();
    const back = [old, fresh.doc].map((doc, index) => world.connect(`back-${index}`, doc, OURS));
    expect((await Promise.all(back)).map(({ closed }) => closed)).toEqual(['ERASED', 'ERASED']);
    expect((await world.connect('new', client(8), OURS)).notes).toEqual({});
  });
});

describe('[P10] a document that was written under too many clients', () => {
  test('is written anew when it has come to rest; its devices begin anew, and have the same', async () => {
    const doc = longLived();
    const rewritten: unknown[] = [];
    const world = await worldOf(doc, { onRewritten: (user, sizes) => rewritten.push([user, sizes]) });
    expect(world.phone.closed).toBeNull();
    await world.sleep();
    expect(world.phone.closed).toBe('REWRITTEN');
    expect(rewritten).toEqual([
      [ANNA, expect.objectContaining({ clients: MANY_CLIENTS + 1, structsAfter: 14 })],
    ]);
    const fresh = await world.connect('fresh', client(7), OURS);
    expect(fresh.notes).toEqual(doc.getMap('notes').toJSON());
    expect(clientsOf(fresh.doc)).toHaveLength(1);
    expect(fresh.closed).toBeNull();
    fresh.set('n8', 'later');
    await world.settle();
    const { document, release } = await world.registry.open(ANNA);
    expect(document.record({ collection: 'notes', id: 'n8' } as never)).toBeNull();
    expect(document.doc.getMap('notes').get('n8')).toBe('later');
    release();
    expect(world.failures).toEqual([]);
  });

  test('does not come to be so again at once, and sleeps as any other', async () => {
    const world = await worldOf(longLived());
    await world.sleep();
    const fresh = await world.connect('fresh', client(7), OURS);
    fresh.set('a', 1);
    await world.settle();
    const { compactions } = world.store;
    await world.sleep();
    await world.sleep();
    expect([fresh.closed, fresh.isAwake]).toEqual([null, false]);
    expect(world.store.compactions - compactions).toBeLessThanOrEqual(1);
    expect(clientsOf(fresh.doc)).toHaveLength(2);
  });

  test('one below the limit stays as it is', async () => {
    const world = await worldOf(longLived(MANY_CLIENTS));
    await world.sleep();
    expect(world.phone.closed).toBeNull();
    expect((await world.inner.load(ANNA)).epoch).toBeNull();
  });

  test('while somebody edits it is not touched', async () => {
    const world = await worldOf(longLived());
    for (let edit = 0; edit < 5; edit++) {
      world.phone.set('edit', edit);
      await world.settle();
      world.registry.sleep();
      await world.settle();
    }
    expect(world.phone.closed).toBeNull();
  });

  test.each(['asleep', 'awake'])(
    'what a device has of the old one, or makes of it, is refused: %s',
    async (how) => {
      const old = longLived();
      const [tablet, laptop, reader] = [copyOf(old, 21), copyOf(old, 22), copyOf(old, 23)];
      const world = await worldOf(old);
      await world.sleep();
      const fresh = await world.connect('fresh', client(7), OURS);
      if (how === 'asleep') await world.sleep();
      else {
        fresh.set('x', 1);
        await world.settle();
      }
      expect(fresh.isAwake).toBe(how === 'awake');
      const before = fresh.notes;
      tablet.getMap<Y.Map<unknown>>('notes').get('n1')?.set('text', 'while it was away');
      laptop.getMap('notes').delete('n1');
      const away = [
        await world.connect('tablet', tablet, OURS),
        await world.connect('laptop', laptop, {}),
        await world.connect('reader', reader, { readOnly: true }),
      ];
      expect(away.map(({ closed }) => closed)).toEqual(['REWRITTEN', 'REWRITTEN', 'REWRITTEN']);
      expect([fresh.closed, fresh.notes]).toEqual([null, before]);
    },
  );

  test('an update alone that has, deletes or builds on anything of it is refused as well', async () => {
    const old = longLived();
    const state = Y.encodeStateVector(old);
    const edits = [
      (doc: Y.Doc) => void doc.getMap('notes').set('n1', 'over'),
      (doc: Y.Doc) => void doc.getMap('notes').delete('n1'),
      (doc: Y.Doc) => void doc.getMap<Y.Map<unknown>>('notes').get('n1')?.set('more', 1),
    ];
    const updates = edits.map((edit, index) => {
      const copy = copyOf(old, 30 + index);
      edit(copy);
      return Y.encodeStateAsUpdate(copy, state);
    });
    const world = await worldOf(old);
    await world.sleep();
    for (const [index, update] of updates.entries()) {
      const device = await world.connect(`device-${index}`, client(40 + index), OURS);
      const { session } = device;
      session.receive(Uint8Array.of(0, 2, ...varBlock(update)));
      await world.settle();
      expect(device.closed).toBe('REWRITTEN');
    }
  });

  test('a device that has nothing of it, or only what the server never met, is united as ever', async () => {
    const world = await worldOf(longLived());
    await world.sleep();
    const own = client(77);
    own.getMap('notes').set('mine', new Y.Map([['text', 'made offline']]));
    const device = await world.connect('new', own, {});
    expect(device.closed).toBeNull();
    expect(device.notes).toMatchObject({ mine: { text: 'made offline' }, n1: { text: expect.any(String) } });
  });

  test('tells who asks what had arrived before, also out of its sleep, and nobody else', async () => {
    const old = longLived();
    const world = await worldOf(old);
    await world.sleep();
    const follower = await world.connect('follower', client(7), OURS);
    await world.sleep();
    expect(follower.isAwake).toBe(false);
    const asking = await world.connect('asking', client(8), { ...OURS, asksForEpoch: true });
    const { bytes, after } = asking.epoch ?? {};
    expect(after).not.toContain('syncStep2');
    expect(decodeEpoch(bytes ?? new Uint8Array()).retired).toHaveLength(old.store.clients.size);
    expect(asking.notes).toEqual(old.getMap('notes').toJSON());
    expect(follower.epoch).toBeNull();
  });

  test('is rewritten in the daily round where it sleeps, without being loaded before', async () => {
    const doc = longLived();
    let now = 0;
    const world = await worldOf(doc, { historyDays: 90, now: () => now });
    await world.registry.plainVisitsSince();
    await world.sleep();
    const { loads } = world;
    await world.registry.rewriteIfDue(ANNA);
    expect([world.phone.closed, world.phone.isAwake, world.loads]).toEqual([null, false, loads]);
    now = 91 * DAY;
    await world.registry.rewriteIfDue(ANNA);
    expect(world.phone.closed).toBe('REWRITTEN');
    const { loads: then } = world;
    await world.registry.rewriteIfDue(ANNA);
    expect(world.loads).toBe(then);
  });
});

test('[P10] [P3] a rewrite that is not saved fails the document as any commit; what was stored stays, and it is tried again', async () => {
  const doc = longLived();
  const world = await worldOf(doc);
  world.registry.sleep();
  await world.settle();
  world.inner.failNext({ kept: false });
  await world.sleep();
  expect(world.failures).toContain('NOT_SAVED');
  expect((await world.inner.load(ANNA)).epoch).toBeNull();
  const again = await world.connect('again', doc, OURS);
  expect([again.closed, again.notes]).toEqual([null, doc.getMap('notes').toJSON()]);
  await world.sleep();
  expect(again.closed).toBe('REWRITTEN');
  expect((await world.connect('fresh', client(7), OURS)).notes).toEqual(doc.getMap('notes').toJSON());
});

describe('[P10] devices that can only begin anew', () => {
  test('keep their document from it while they are there, and for HISTORY_DAYS', async () => {
    let now = 100 * DAY;
    const options = { historyDays: 90, now: () => now };
    const world = await worldOf(longLived(), options, {});
    await world.registry.plainVisitsSince();
    now += 91 * DAY;
    await world.sleep();
    expect(world.phone.closed).toBeNull();
    world.registry.notePlainVisit(ANNA);
    world.phone.leave();
    now += 89 * DAY;
    await world.registry.rewriteIfDue(ANNA);
    expect((await world.inner.load(ANNA)).epoch).toBeNull();
    now += 2 * DAY;
    await world.registry.rewriteIfDue(ANNA);
    expect((await world.inner.load(ANNA)).epoch).not.toBeNull();
    const back = await world.connect('plain', longLived(), {});
    expect(back.closed).toBe('REWRITTEN');
  });

  test.each([0, 1])(
    'keep their document for a day after they left, though HISTORY_DAYS=%i',
    async (historyDays) => {
      let now = 100 * DAY;
      const world = await worldOf(longLived(), { historyDays, now: () => now }, {});
      await world.registry.plainVisitsSince();
      now += 10 * DAY;
      await world.sleep();
      world.registry.notePlainVisit(ANNA);
      world.phone.leave();
      // It may have been there until the end of the day that the note stands for.
      now += 2 * DAY - 1;
      await world.registry.rewriteIfDue(ANNA);
      expect((await world.inner.load(ANNA)).epoch).toBeNull();
      now += 1;
      await world.registry.rewriteIfDue(ANNA);
      expect((await world.inner.load(ANNA)).epoch).not.toBeNull();
    },
  );

  test('keep it where they come while it is looked up when they were there', async () => {
    let now = 100 * DAY;
    const world = await worldOf(longLived(), { historyDays: 90, now: () => now });
    await world.registry.plainVisitsSince();
    await world.sleep();
    now += 91 * DAY;
    const plainVisit = world.inner.plainVisit.bind(world.inner);
    let looks = 0;
    world.inner.plainVisit = async (user) => {
      const visit = await plainVisit(user);
      // At the last look, before it is loaded and after, it was there for a moment.
      if (++looks === 2) world.registry.notePlainVisit(user);
      return visit;
    };
    await world.registry.rewriteIfDue(ANNA);
    expect(looks).toBe(2);
    expect((await world.inner.load(ANNA)).epoch).toBeNull();
  });

  test('keep it where they come while it is made, before it is stored', async () => {
    const rewritingWorkers = new RewritingWorkers();
    const doc = longLived();
    grow(doc, 800);
    const world = await worldOf(doc, { rewritingWorkers });
    let made = 0;
    rewritingWorkers.run = async (load) => {
      const { client: id } = await load();
      world.registry.notePlainVisit(ANNA);
      world.add('plain', client(8), await world.registry.follow(ANNA));
      made++;
      return writtenAnew(copyOf(doc, 9), id);
    };
    await world.sleep();
    expect([made, ...world.devices.map(({ closed }) => closed)]).toEqual([1, null, null]);
    expect((await world.inner.load(ANNA)).epoch).toBeNull();
    expect(world.failures).toEqual([]);
  });

  test('in a database from before count as there at its first start', async () => {
    let now = 100 * DAY;
    const options = { historyDays: 90, now: () => now };
    const before = await worldOf(longLived(), options);
    await before.sleep();
    await before.registry.plainVisitsSince();
    now += 80 * DAY;
    const world = before.restarted(options);
    await world.registry.rewriteIfDue(ANNA);
    expect((await world.inner.load(ANNA)).epoch).toBeNull();
  });

  test('are noted once a day', async () => {
    let now = 100 * DAY;
    const store = new MemoryStore();
    const visits: number[] = [];
    const note = store.notePlainVisit.bind(store);
    store.notePlainVisit = (user, at) => {
      visits.push(at);
      return note(user, at);
    };
    const { registry } = new SleepWorld(undefined, { store, now: () => now });
    for (let hour = 0; hour < 72; hour++, now += DAY / 24) {
      registry.notePlainVisit(ANNA);
      if (hour % 5 === 0) await registry.flush(); // else it would be written a moment later
    }
    expect(visits).toEqual([100 * DAY, 101 * DAY, 102 * DAY]);
    await registry.erase(ANNA); // and the note of today with it
    registry.notePlainVisit(ANNA);
    await registry.flush();
    expect(visits).toHaveLength(4);
  });
});

test('[P10] a user whose document takes no more clients gets out of that when it is quiet', async () => {
  const MAX_CLIENTS = 50_000;
  const contents: MemoryStore['contents'] = new Map();
  const store = new MemoryStore(contents);
  await store.load(ANNA);
  await store.commit(ANNA, { update: Y.encodeStateAsUpdate(longLived(MAX_CLIENTS)), revision: 1 });
  await store.close();
  const world = new SleepWorld(contents, { historyDays: 0 });
  const refused = await world.connect('phone', client(7), OURS);
  refused.set('new', 'not taken yet');
  await world.settle();
  expect(refused.closed).toBe('UPDATE_TOO_COSTLY');
  const idle = await world.connect('tablet', client(8), OURS);
  await world.sleep();
  expect(idle.closed).toBe('REWRITTEN');
  const phone = await world.connect('phone', client(9), OURS);
  phone.set('new', 'taken');
  await world.settle();
  expect([phone.closed, clientsOf(phone.doc).length]).toEqual([null, 2]);
  expect(phone.notes).toMatchObject({ new: 'taken', n3: { text: `of start ${MAX_CLIENTS - 3}` } });
});

describe('[P10] a large document', () => {
  test('is written anew in a worker, which has the memory for it; what comes in meanwhile waits', async () => {
    const doc = longLived();
    grow(doc, 8_000);
    const rewritingWorkers = new RewritingWorkers();
    onTestFinished(() => rewritingWorkers.close());
    const world = await worldOf(doc, { rewritingWorkers });
    const { document, release } = await world.registry.open(ANNA);
    const rewriting = document.rewriting.run(77, () => world.phone.session.fail(new SyncError('REWRITTEN')));
    expect(document.isPaused).toBe(true);
    const written = new Promise<void>((done) => {
      document.whenReady(() => {
        document.write(
          { via: 'json', device: 'desk' as DeviceId, actor: null, subscriber: null },
          (own) => void own.getMap('patients').set('p1', new Y.Map([['a', 'meanwhile']])),
        );
        done();
      });
    });
    expect(await rewriting).toMatchObject({ clients: MANY_CLIENTS + 2 });
    await written;
    expect(document.countRecords()).toBe(8_007);
    expect(document.doc.getMap('patients').get('p1')).toMatchObject({ size: 1 });
    expect(document.doc.store.clients.size).toBe(2);
    expect([world.phone.closed, world.failures]).toEqual(['REWRITTEN', []]);
    release();
  });
});

describe('[P10] structs of what was overwritten', () => {
  test('beyond half of what is alive, and ten thousand, a document is written anew, in a worker or at once', async () => {
    const doc = client(11);
    const other = client(12);
    // In turns, so that Yjs can't join what is left of them.
    for (let edit = 0; edit < 5_200; edit++) {
      doc.getMap('notes').set('a', edit);
      Y.applyUpdate(other, Y.encodeStateAsUpdate(doc, Y.encodeStateVector(other)));
      other.getMap('notes').set('a', -edit);
      Y.applyUpdate(doc, Y.encodeStateAsUpdate(other, Y.encodeStateVector(doc)));
    }
    const world = await worldOf(doc);
    await world.sleep();
    expect(world.phone.closed).toBe('REWRITTEN');
    const fresh = await world.connect('fresh', client(13), OURS);
    expect(fresh.notes).toEqual({ a: -5_199 });
  });
});

const varBlock = (bytes: Uint8Array): number[] => {
  const length: number[] = [];
  for (let rest = bytes.length; ; rest >>= 7) {
    if (rest < 128) return [...length, rest, ...bytes];
    length.push((rest & 127) | 128);
  }
};
