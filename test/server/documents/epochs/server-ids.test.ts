/** Under which Yjs client ids the server writes, while users are erased. */
import { describe, expect, test } from 'vitest';
import { Epoch } from '../../../../server/documents/epochs/epoch.js';
import { ServerIds } from '../../../../server/documents/epochs/server-ids.js';
import { erasableOf, Tombstone } from '../../../../server/documents/tombstone.js';
import type { DeviceId } from '../../../../shared/names.js';
import { user } from '../../../support/notes.js';
import { ANNA, SleepWorld } from '../../../support/sleep-world.js';

const BERT = user('bert');
const ORIGIN = { via: 'json', device: 'phone' as DeviceId, actor: null, subscriber: null } as const;

/** Writes as for a JSON device; returns the ids that the document has then. */
async function write(world: SleepWorld, value: number): Promise<number[]> {
  const { document, release } = await world.registry.open(ANNA);
  document.write(ORIGIN, (doc) => void doc.getMap('notes').set('n', value));
  await document.durable();
  release();
  return [...document.doc.store.clients.keys()];
}

function drawing(): { ids: ServerIds; store: { generation: number }; restarted: () => ServerIds } {
  const store = { generation: 1 };
  let drawn = 0;
  const draw = () => drawn++;
  return { ids: new ServerIds(store, draw), store, restarted: () => new ServerIds(store, draw) };
}

/** Of a damaged document of which nothing is known. */
const blind = (before: Tombstone | null = null): Tombstone => {
  const former = { tombstone: before?.encode() ?? null, epoch: null };
  return Tombstone.of(erasableOf({ noted: null, devices: [], former }), 1_000);
};

const epochOf = (...clients: number[]): Epoch =>
  Epoch.after(
    null,
    clients.map((client) => ({ client, upTo: 1, living: [] })),
    { revision: 1, mark: 2 },
  );

describe('while others are erased', () => {
  test('[P6] [P7] a document is written under the id that it had, however often that happens', async () => {
    const world = new SleepWorld();
    const first = await write(world, 0);
    for (let erasure = 1; erasure <= 5; erasure++) {
      await world.registry.erase(erasure < 4 ? BERT : user(`other-${erasure}`));
      expect(await write(world, erasure)).toEqual(first);
    }
  });
});

describe('a user who was erased', () => {
  test('[P6] [P7] is written under one other id, however often it is loaded', async () => {
    const world = new SleepWorld();
    const before = await write(world, 0);
    await world.registry.erase(ANNA);
    const after = await write(world, 1);
    expect(after).toHaveLength(1);
    expect(before).not.toEqual(after);
    world.registry.lose(ANNA);
    expect(await write(world, 2)).toEqual(after);
    await world.registry.erase(BERT);
    expect(await write(world, 3)).toEqual(after);
  });

  test('[P6] [P7] whose document was damaged, and never noted at rest, as well: each time under another one', async () => {
    const world = new SleepWorld();
    const used = new Set<number>();
    for (let erasure = 0; erasure < 3; erasure++) {
      const [id = Number.NaN, ...others] = await write(world, erasure);
      expect([used.has(id), others]).toEqual([false, []]);
      used.add(id);
      world.registry.lose(ANNA);
      world.inner.damage(ANNA);
      expect(await world.registry.erase(ANNA)).toBe(true);
    }
  });
});

describe('the ids of the server', () => {
  test('[P6] are the same for all documents, and fresh for each start and each reopen of the store', () => {
    const { ids, store, restarted } = drawing();
    const first = ids.of(ANNA, null, null);
    expect(ids.of(BERT, epochOf(77), null)).toEqual(first);
    const second = restarted().of(ANNA, null, null);
    store.generation += 1;
    const third = ids.of(ANNA, null, null);
    const all = [first, second, third].flatMap(({ writes, unions }) => [writes, unions]);
    expect(new Set(all).size).toBe(6);
  });

  test('[P7] [P6] are others on each server after an erasure by any of them that knows of none', () => {
    const { ids, restarted } = drawing();
    const other = restarted();
    const common = [ids, other].map((each) => each.of(ANNA, null, null));
    const tombstones = [blind(), blind(), blind(blind())];
    const own = [ids, other].flatMap((each) => tombstones.map((tombstone) => each.of(ANNA, null, tombstone)));
    const all = [...common, ...own].flatMap(({ writes, unions }) => [writes, unions]);
    expect(new Set(all).size).toBe(16);
    const again = tombstones.map((tombstone) => ids.of(ANNA, null, Tombstone.decode(tombstone.encode())));
    expect(again).toEqual(own.slice(0, 3));
    expect(ids.of(BERT, null, null)).toEqual(common[0]);
  });

  test('[P6] after a reopen of the store are others for a user who was erased, too', () => {
    const { ids, store } = drawing();
    const tombstone = blind();
    const before = ids.of(ANNA, null, tombstone);
    store.generation += 1;
    expect(ids.of(ANNA, null, tombstone)).not.toEqual(before);
  });

  test('[P10] [P6] are others once a rewrite has retired one of them, for that document alone', () => {
    const { ids } = drawing();
    const common = ids.of(ANNA, null, null);
    const first = epochOf(common.unions);
    const own = ids.of(ANNA, first, null);
    expect([own.writes, own.unions]).not.toContain(common.unions);
    expect(ids.of(ANNA, Epoch.decode(first.encode()), null)).toEqual(own);
    expect(ids.of(BERT, first, null)).not.toEqual(own);
    const second = ids.of(ANNA, epochOf(common.unions, own.writes), null);
    expect(second).not.toEqual(own);
    expect(ids.of(BERT, null, null)).toEqual(common);
  });
});
