/** How an update comes in after the union that it led to failed: the replica is another one by then. */
import { describe, expect, test, vi } from 'vitest';
import * as Y from 'yjs';
import type { Origin } from '../../../../server/documents/changes.js';
import { UserDocument } from '../../../../server/documents/user-document.js';
import { SyncError } from '../../../../server/errors.js';
import { MemoryStore } from '../../../../server/store/memory/memory-store.js';
import type { DeviceId, UserId } from '../../../../shared/names.js';
import { client } from '../../../support/replicas.js';

const ANNA = 'anna' as UserId;
const ORIGIN: Origin = { via: 'yjs', device: 'phone' as DeviceId, actor: null, subscriber: null };

type Records = Y.Map<Y.Map<unknown>>;
const records = (doc: Y.Doc): Records => doc.getMap('notes');
const textOf = (doc: Y.Doc): Y.Text => records(doc).get('n0')?.get('text') as Y.Text;

/** The next union fails: the server does not get the id that it writes with. Its check asks for it once before. */
class FailingUnion {
  readonly store = new MemoryStore();
  readonly rebuilt: unknown[] = [];
  #reads = Number.POSITIVE_INFINITY;

  async open(): Promise<UserDocument> {
    const { store } = this;
    const ids = () => ({ writes: 4_000_000_001, unions: 4_000_000_002, ...this.#broken() });
    return new UserDocument(ANNA, await store.load(ANNA), {
      store,
      ids,
      now: () => 0,
      maxDepth: 64,
      keepFor: 1,
      historyDays: 0,
      compactUpdates: 1_000,
      compactBytes: 1e6,
      onHistoryDamaged: () => {},
      onFailed: (_, error) => this.rebuilt.push(error),
      onRebuilt: (_, cause) => this.rebuilt.push(cause),
      onCompacted: () => {},
      onUnexpected: (error) => this.rebuilt.push(error),
    });
  }

  arm(): void {
    this.#reads = 1;
  }

  #broken(): object {
    if (this.#reads-- !== 0) return {};
    throw new Error('There is no id for the union.');
  }
}

/** A text, and a note of one field. */
function author(): Y.Doc {
  const doc = client(1);
  records(doc).set('n0', new Y.Map([['text', new Y.Text('well 😀')]]));
  records(doc).set('n1', new Y.Map([['status', 'new']]));
  return doc;
}

/** Beside these, a note that was deleted: what stood in it was collected. */
function base(): Uint8Array {
  const other = client(2);
  records(other).set('n2', new Y.Map([['words', 1]]));
  records(other).delete('n2');
  return Y.mergeUpdates([Y.encodeStateAsUpdate(author()), Y.encodeStateAsUpdate(other)]);
}

/** Brings what was collected again, as a letter between the halves of a character, and creates a note apart. */
function overlapping(): Uint8Array {
  const [forger, third] = [client(2), client(3)];
  Y.applyUpdate(forger, Y.encodeStateAsUpdate(author()));
  const before = Y.encodeStateVector(forger);
  records(forger).set('n2', new Y.Map());
  textOf(forger).insert(6, 'x');
  records(third).set('n1', new Y.Map([['room', 1]]));
  return Y.mergeUpdates([Y.encodeStateAsUpdate(forger, before), Y.encodeStateAsUpdate(third)]);
}

/** What a server would have that started now. */
async function reloaded({ store }: FailingUnion): Promise<unknown> {
  const doc = client(9);
  for (const update of (await store.load(ANNA)).updates) Y.applyUpdate(doc, update);
  return records(doc).toJSON();
}

describe('[S1] after a failed union, an update that repeats what is known leaves in memory what is stored', () => {
  test('where it came in at once', async () => {
    const world = new FailingUnion();
    const document = await world.open();
    document.receive(ORIGIN, base(), null);
    world.arm();
    expect(document.receive(ORIGIN, overlapping(), null).missing).toBeNull();
    await new Promise<void>((done) => document.whenReady(done));
    await document.durable();
    expect(world.rebuilt).toEqual([expect.objectContaining({ message: expect.stringMatching(/union/) })]);
    expect(textOf(document.doc).toString()).toBe('well 😀');
    expect(records(document.doc).toJSON()).toEqual(await reloaded(world));
  });

  test('where the history had to be read first', async () => {
    const world = new FailingUnion();
    const before = await world.open();
    before.receive(ORIGIN, base(), null);
    await before.durable();
    const document = await world.open();
    world.arm();
    const { tried } = document.receive(ORIGIN, overlapping(), null, 0);
    expect(tried).toBeInstanceOf(Promise);
    await tried;
    await document.durable();
    expect(world.rebuilt).toEqual([expect.objectContaining({ message: expect.stringMatching(/union/) })]);
    expect(textOf(document.doc).toString()).toBe('well 😀');
    expect(records(document.doc).toJSON()).toEqual(await reloaded(world));
  });
});

test('[S1] [P3] a document that fails while its history is read for an update is not loaded anew', async () => {
  const world = new FailingUnion();
  const before = await world.open();
  before.receive(ORIGIN, base(), null);
  await before.durable();
  const document = await world.open();
  const history = world.store.history.bind(world.store);
  vi.spyOn(world.store, 'history').mockImplementation(async (...range) => {
    document.fail(new SyncError('RESTARTING'));
    return history(...range);
  });
  const loads = vi.spyOn(world.store, 'load');
  const { tried } = document.receive(ORIGIN, overlapping(), null, 0);
  await expect(tried).rejects.toMatchObject({ code: 'RESTARTING' });
  expect(world.rebuilt).toEqual([expect.objectContaining({ code: 'RESTARTING' })]); // that it has failed
  expect(loads).not.toHaveBeenCalled();
});
