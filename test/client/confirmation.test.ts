/** What is pending, and its marks in the store, where confirmations cross with failures, other tabs and HTTP. */
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import { StorageError } from '../../client/errors.js';
import { asyncStorage } from '../../client/local-store/async-storage/async-storage.js';
import { AsyncItems } from '../support/async-items.js';
import { BreakableStorage } from '../support/breakable-storage.js';
import { ConnectionWorld, settle } from '../support/connection-world.js';
import { closeClients, testClient } from '../support/devices/test-client.js';
import { FakeSockets } from '../support/fake-sockets.js';
import { ManualClock } from '../support/manual-clock.js';
import { Tab } from '../support/tab.js';

const full = (): StorageError => new StorageError('QUOTA', 'The device is full.');

/** Something that waits, and the function that ends that. */
function gate(): [closed: Promise<void>, open: () => void] {
  let open = (): void => {};
  const closed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return [closed, open];
}

describe('storage that comes back', () => {
  /** A tab with one change in the store and one in memory, whose store is being read again. */
  async function returning(storage: BreakableStorage): Promise<[tab: Tab, done: () => void]> {
    const clock = new ManualClock();
    const tab = await Tab.open(storage, clock);
    await tab.set('a', 1);
    storage.failure = full();
    await tab.set('b', 2);
    storage.failure = null;
    const [closed, done] = gate();
    storage.gate = closed;
    clock.pass(1_000);
    await settle();
    expect(tab.replica.durable).toBe(false);
    return [tab, done];
  }

  test('[C4] what is confirmed while it is read and filled again is not pending after a restart', async () => {
    const storage = new BreakableStorage();
    const [tab, done] = await returning(storage);
    tab.replica.confirm(tab.last());
    expect(tab.replica.pendingAfter(0)).toEqual([]);
    done();
    await tab.until(() => tab.replica.durable && tab.count === 0, 'nothing is pending');
    await tab.replica.close();
    const again = await Tab.open(storage);
    expect(again.notes()).toEqual({ a: 1, b: 2 });
    expect(again.count).toBe(0);
  });

  test('[C4] what is confirmed between its being written and the news of that is not pending either', async () => {
    const storage = new BreakableStorage();
    const [tab, done] = await returning(storage);
    let read = false;
    storage.onRead = (change) => {
      if (!read) queueMicrotask(() => tab.replica.confirm(tab.last())); // the answer comes right after the reading
      read = true;
      return change;
    };
    done();
    await tab.until(() => tab.replica.durable && tab.count === 0, 'nothing is pending');
    await tab.replica.close();
    expect((await Tab.open(storage)).count).toBe(0);
  });

  test('[C4] a mark that the old store was still to take off is taken off in the new one', async () => {
    const [storage, clock] = [new BreakableStorage(), new ManualClock()];
    const tab = await Tab.open(storage, clock);
    await tab.set('a', 1);
    const [closed, open] = gate();
    storage.confirmGate = closed;
    tab.replica.confirm(tab.last());
    storage.failure = full();
    await tab.set('b', 2);
    storage.failure = null;
    clock.pass(1_000);
    await tab.until(() => tab.replica.durable, 'it is durable again');
    expect(tab.replica.pendingAfter(0)).toMatchObject([{ number: 2 }]);
    open(); // the old store was closed meanwhile: it refuses
    await tab.until(() => tab.count === 1, 'one is left');
    expect(tab.replica.durable).toBe(true);
    await tab.replica.close();
    expect((await Tab.open(storage)).count).toBe(1);
  });

  test('[C7] a disk that is still full at the next try is tried again: the store is closed in between', async () => {
    const [items, clock] = [new AsyncItems(), new ManualClock()];
    const tab = await Tab.open(asyncStorage(items), clock);
    await tab.set('a', 1);
    for (const refused of [1, 2, 3]) {
      items.failure = new Error('QuotaExceededError');
      if (refused === 1) await tab.set('b', 2);
      else clock.pass(60_000);
      await tab.until(() => tab.said.length === refused, `refusal ${refused}`);
    }
    clock.pass(60_000);
    await tab.until(() => tab.said.length === 4, 'the end of it');
    expect(tab.said).toEqual(['QUOTA', 'QUOTA', 'QUOTA', 'mended']);
    await tab.replica.close();
    const again = await Tab.open(asyncStorage(items));
    expect([again.notes(), again.count]).toEqual([{ a: 1, b: 2 }, 2]);
  });
});

test('[C4 C9] a change of another tab is sent although the news takes the mark off as many others', async () => {
  const storage = new BreakableStorage();
  const [one, two] = [await Tab.open(storage), await Tab.open(storage)];
  await one.set('a', 1);
  await two.until(() => two.count === 1, 'the other tab knows');
  let sent = 0;
  two.replica.onPending(() => {
    sent = two.replica.pendingAfter(1).length;
  });
  const [closed, open] = gate();
  storage.gate = closed;
  one.replica.confirm(one.last());
  await one.until(() => one.count === 0, 'the first change is confirmed');
  await settle(); // the other tab is about to read the news
  storage.gate = Promise.resolve();
  await one.set('b', 2);
  open();
  await settle();
  expect(two.notes()).toEqual({ a: 1, b: 2 });
  expect(two.count).toBe(1);
  expect(sent).toBe(1);
});

/** As a connection does: it sends what is behind what it sent last, and asks for a checkpoint. */
function sender(tab: Tab): { readonly upTo: number; readonly updates: Uint8Array[] } {
  const sent = { upTo: 0, updates: [] as Uint8Array[] };
  tab.replica.onPending(() => {
    for (const { number, update } of tab.replica.pendingAfter(sent.upTo)) {
      sent.upTo = number;
      sent.updates.push(update);
    }
  });
  return sent;
}

const inTurn = async (...writes: (() => Promise<unknown>)[]): Promise<unknown> =>
  Promise.all(writes.map((write) => write()));

test.each([
  [
    'one',
    (one: Tab, two: Tab) =>
      inTurn(
        () => two.set('b', 1),
        () => one.set('a', 1),
      ),
  ],
  [
    'several by turns',
    (one: Tab, two: Tab) =>
      inTurn(
        () => two.set('b', 1),
        () => one.set('a', 1),
        () => two.set('c', 1),
        () => one.set('d', 1),
      ),
  ],
  [
    'the same field',
    (one: Tab, two: Tab) =>
      inTurn(
        () => two.set('a', 2),
        () => one.set('a', 1),
        () => one.set('b', 1),
      ),
  ],
])(
  '[C4 C9] a change that is being stored while another tab stores %s is confirmed once it was sent',
  async (_, write) => {
    const storage = new BreakableStorage();
    const [one, two] = [await Tab.open(storage), await Tab.open(storage)];
    const sent = sender(one);
    await write(one, two);
    await one.until(() => isDeepStrictEqual(one.notes(), two.notes()), 'both know all');
    one.replica.confirm(sent.upTo);
    await one.until(() => one.count === 0, 'all of it is confirmed');
    const server = new Y.Doc();
    for (const update of sent.updates) Y.applyUpdate(server, update);
    expect(server.store.pendingStructs).toBe(null);
    expect(server.getMap('notes').toJSON()).toEqual(one.notes());
  },
);

test.each([
  '<!DOCTYPE html><html><head><title>Welcome to our Wi-Fi</title></head><body>',
  '<html><body><h1>It works!</h1>',
  JSON.stringify({ error: 'Please log in.', details: '?'.repeat(250) }),
])('[C4] the page of another server confirms nothing, however long it is: %s', async (page) => {
  const world = new ConnectionWorld({ sockets: 'none' });
  world.source.create('patients', 'p', { name: 'Anna' });
  await world.started();
  for (let padding = 0; padding < 300; padding++) {
    world.http = () => new TextEncoder().encode(page + ' '.repeat(padding));
    await expect(world.connection.flush()).rejects.toMatchObject({ code: 'OFFLINE' });
  }
  expect(world.exchanges.length).toBeGreaterThanOrEqual(300);
  expect(world.source.confirmed).toEqual([]);
  expect(world.source.pending).toHaveLength(1);
});

test('[C4] an answer that crosses with those of a socket confirms what it carried, and no more', async () => {
  const world = await new ConnectionWorld().started();
  world.source.create('patients', 'p', { name: 'Anna' });
  let answer = (): void => {};
  world.http = (exchange) =>
    new Promise((resolve) => {
      const stateVector = Y.encodeStateVectorFromUpdate(exchange.update);
      answer = () => resolve({ stateVector, update: new Uint8Array(0) });
    });
  await world.drop();
  await world.pass(1_000);
  await world.drop(); // the second failure begins an exchange
  await world.pass(4_000);
  world.sockets.last.welcomes(); // the first change goes over the socket, too
  await settle();
  world.source.create('patients', 'q', { name: 'Beat' });
  answer();
  await settle();
  expect(world.source.confirmed).toEqual([1]);
  expect(world.source.pending).toMatchObject([{ number: 2 }]);
  world.sockets.last.answers(1); // late
  await settle();
  expect(world.source.pending).toMatchObject([{ number: 2 }]);
  world.sockets.last.answers(2);
  await settle();
  expect(world.source.pending).toEqual([]);
});

test('[C2 C4] logout after forceSync has nothing to refuse, though marks are still being taken off', async () => {
  const [storage, sockets] = [new BreakableStorage(), new FakeSockets()];
  const noHttp = () => Promise.reject(new Error('there is no HTTP in this test'));
  const client = testClient({ storage, WebSocket: sockets.WebSocket, fetch: noHttp });
  await client.initialize({ serverUrl: 'http://sync.test', userId: 'anna' });
  await client.addData('notes', { id: 'a' });
  await settle();
  const [closed, open] = gate();
  storage.confirmGate = closed;
  const forced = client.forceSync();
  sockets.last.welcomes();
  await settle();
  const { last } = sockets;
  // One for the part, and those that come once it is confirmed.
  for (let answered = 0; answered < last.checkpoints.length; answered++) {
    last.answers(last.checkpoints[answered] ?? -1);
    await settle();
  }
  await forced;
  expect(client.getSyncStatus().pendingChanges).toBe(1);
  await client.logout();
  open();
  await closeClients();
});
