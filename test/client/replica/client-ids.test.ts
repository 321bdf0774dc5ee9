/** A device writes under the Yjs client id of an earlier start where that is safe (C9, P10). */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import * as Y from 'yjs';
import { StorageError } from '../../../client/errors.js';
import { levelStorage } from '../../../client/local-store/level/level.js';
import type { DeviceStorage, SlotClaim } from '../../../client/local-store/store.js';
import { createSyncClient } from '../../../client/node.js';
import { BreakableStorage } from '../../support/breakable-storage.js';
import { NativeDevice } from '../../support/devices/native-device.js';
import { startServer } from '../../support/server.js';
import { Tab } from '../../support/tab.js';

/** One whose tabs can be told apart. */
class SlottedStorage extends BreakableStorage {
  readonly #held = new Set<number>();

  async claimSlot(): Promise<SlotClaim> {
    let slot = 0;
    while (this.#held.has(slot)) slot++;
    this.#held.add(slot);
    return { slot, release: () => void this.#held.delete(slot) };
  }

  override kill(): void {
    super.kill();
    this.#held.clear();
  }
}

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'client-ids-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** What a server has that got everything from a tab, and says first of all. */
const allOf = ({ replica }: Tab): Uint8Array => replica.stateVector();
const NOTHING = Y.encodeStateVector(new Y.Doc());

async function openTab(storage: DeviceStorage): Promise<Tab> {
  const tab = await Tab.open(storage);
  onTestFinished(() => tab.replica.close());
  return tab;
}

/** A start of the app that is online before it writes; resolves with the id that it wrote under. */
async function start(storage: DeviceStorage, serverHas: Uint8Array, value: unknown): Promise<[Tab, number]> {
  const tab = await openTab(storage);
  await tab.replica.closeGaps(serverHas);
  await tab.set('value', value);
  return [tab, tab.replica.doc.clientID];
}

const idsOf = ({ replica }: Tab): number => replica.doc.store.clients.size;

test.each(['memory', 'LevelDB'])(
  '[C9 P10] ten starts that are online first write under one id: %s',
  async (kind) => {
    const storage = kind === 'memory' ? new SlottedStorage() : levelStorage(await newFolder());
    let serverHas = NOTHING;
    for (let n = 0; n < 10; n++) {
      const [tab] = await start(storage, serverHas, n);
      serverHas = allOf(tab);
      expect(idsOf(tab)).toBe(1);
      await tab.replica.close();
    }
  },
);

test('[C9] what a start writes before it was online has an id of its own', async () => {
  const storage = new SlottedStorage();
  const [first, id] = await start(storage, NOTHING, 1);
  await first.replica.close();
  const second = await openTab(storage);
  await second.set('offline', true);
  expect(second.replica.doc.clientID).not.toBe(id);
  await second.replica.closeGaps(allOf(first));
  await second.set('online', true);
  expect(second.replica.doc.clientID).toBe(id);
  expect(idsOf(second)).toBe(2);
  expect(second.notes()).toEqual({ value: 1, offline: true, online: true });
});

test('[C9] where the server has more of an id than the device, a new one is taken, and kept', async () => {
  const storage = new SlottedStorage();
  const [first, id] = await start(storage, NOTHING, 1);
  const lost = new Y.Doc();
  Y.applyUpdate(lost, first.replica.diff(new Uint8Array()));
  lost.clientID = id;
  lost.getMap('notes').set('value', 'sent, and lost by the device');
  await first.replica.close();
  const [second, another] = await start(storage, Y.encodeStateVector(lost), 2);
  expect(another).not.toBe(id);
  Y.applyUpdate(lost, second.replica.diff(new Uint8Array()));
  await second.replica.applyRemote(Y.encodeStateAsUpdate(lost));
  expect(lost.getMap('notes').toJSON()).toEqual(second.notes());
  await second.replica.close();
  const [, again] = await start(storage, Y.encodeStateVector(lost), 3);
  expect(again).toBe(another);
});

test('[C9] what the server lacks does not keep an id from being used', async () => {
  const storage = new SlottedStorage();
  const [first, id] = await start(storage, NOTHING, 1);
  await first.set('more', 'not sent yet');
  await first.replica.close();
  expect((await start(storage, NOTHING, 2))[1]).toBe(id);
});

test('[C9] after everything was deleted from the device, its ids are not used again', async () => {
  const storage = new SlottedStorage();
  const [first, id] = await start(storage, NOTHING, 1);
  await first.replica.clear(false, 'cleared');
  const [, another] = await start(storage, NOTHING, 2);
  expect(another).not.toBe(id);
});

test('[C9] two tabs never write under one id, and each slot keeps its own', async () => {
  const storage = new SlottedStorage();
  let serverHas = NOTHING;
  const seen = new Set<number>();
  for (let n = 0; n < 4; n++) {
    const [one, first] = await start(storage, serverHas, `one ${n}`);
    const [two, second] = await start(storage, serverHas, `two ${n}`);
    expect(first).not.toBe(second);
    seen.add(first).add(second);
    await one.replica.settled();
    serverHas = allOf(one);
    await two.replica.close();
    await one.replica.close();
  }
  expect(seen.size).toBe(2);
});

test('[C9] a tab that was killed may have left a write under way: its id is taken only behind that', async () => {
  const storage = new SlottedStorage();
  const [first, id] = await start(storage, NOTHING, 1);
  let open = (): void => {};
  storage.gate = new Promise((resolve) => {
    open = resolve;
  });
  const begun = new Promise<void>((resolve) => {
    storage.onWrite = resolve;
  });
  const stored = first.set('under way', true);
  await begun;
  storage.kill(); // the tab is gone, its transaction is not
  const opening = Tab.open(storage);
  open();
  await stored;
  const second = await opening;
  onTestFinished(() => second.replica.close());
  await second.replica.closeGaps(allOf(first));
  await second.set('after', true);
  expect(second.replica.doc.clientID).toBe(id);
  expect(second.notes()).toEqual({ value: 1, 'under way': true, after: true });
});

test('[C9 C7] when storage fails, the id is let go of at once', async () => {
  const storage = new SlottedStorage();
  const [first, id] = await start(storage, NOTHING, 1);
  await first.replica.close();
  const [second, same] = await start(storage, NOTHING, 2);
  expect(same).toBe(id);
  storage.failure = new StorageError('UNAVAILABLE', 'The disk is gone.');
  await second.set('lost with the write that failed', true);
  await second.set('in memory', true);
  expect(second.replica.doc.clientID).not.toBe(id);
  await second.replica.closeGaps(NOTHING);
  expect(second.replica.doc.clientID).not.toBe(id);
});

test('[C9] who else is found to write under the id has it from then on', async () => {
  const storage = new SlottedStorage();
  const [first, id] = await start(storage, NOTHING, 1);
  await first.replica.close();
  const [second] = await start(storage, NOTHING, 2);
  const copy = new Y.Doc(); // of the whole device, say
  Y.applyUpdate(copy, second.replica.diff(new Uint8Array()));
  copy.clientID = id;
  copy.getMap('notes').set('copy', true);
  await second.replica.applyRemote(Y.encodeStateAsUpdate(copy));
  await second.set('own', true);
  expect(second.replica.doc.clientID).not.toBe(id);
  Y.applyUpdate(copy, second.replica.diff(new Uint8Array()));
  expect(copy.getMap('notes').toJSON()).toEqual(second.notes());
  await second.replica.close();
  expect((await start(storage, allOf(second), 3))[1]).toBe(second.replica.doc.clientID);
});

test('[C9 C12] while something is missing in between, no id is used again', async () => {
  const storage = new SlottedStorage();
  const [first, id] = await start(storage, NOTHING, 1);
  await first.replica.close();
  const [second] = await start(storage, NOTHING, 2);
  const lacking = Y.encodeStateVector(second.replica.doc);
  await second.set('value', 3);
  await second.set('value', 4);
  const later = second.replica.diff(lacking);
  await second.replica.close();
  const third = await openTab(storage);
  Y.applyUpdate(third.replica.doc, later);
  const other = new Y.Doc();
  other.getMap('notes').set('a', 1);
  const before = Y.encodeStateVector(other);
  other.getMap('notes').set('b', 2);
  const apart = third.replica.applyRemote(Y.encodeStateAsUpdate(other, before));
  await apart;
  expect(third.replica.doc.store.pendingStructs).not.toBeNull();
  await third.replica.closeGaps(Y.encodeStateVector(other)); // the server has it, and is about to send it
  expect(third.replica.doc.clientID).not.toBe(id);
  await third.replica.applyRemote(Y.encodeStateAsUpdate(other));
  await third.replica.closeGaps(Y.encodeStateVector(other));
  expect(third.replica.doc.clientID).toBe(id);
});

test('[C9] where storage has no slots, each start has an id of its own', async () => {
  const storage = new SlottedStorage();
  const plain: DeviceStorage = {
    name: 'plain',
    durable: true,
    open: (name, events) => storage.open(name, events),
    readSetting: (name) => storage.readSetting(name),
    writeSetting: (name, value) => storage.writeSetting(name, value),
  };
  const [first, id] = await start(plain, NOTHING, 1);
  await first.replica.close();
  expect((await start(plain, allOf(first), 2))[1]).not.toBe(id);
});

test('[C9 P10] our client and a real server: five starts of an app, one id', async () => {
  const server = await startServer();
  onTestFinished(async () => void (await server.close()));
  const folder = await newFolder();
  for (let n = 0; n < 5; n++) {
    const client = createSyncClient({ folder });
    await client.initialize({ serverUrl: server.url, userId: 'anna' });
    await client.whenSynced();
    await client.addData('appointments', { id: `a${n}`, status: 'booked' });
    await client.whenSynced();
    await client.close();
  }
  const other = await NativeDevice.connect(server.url, 'anna', 'tablet');
  onTestFinished(() => other.close());
  await other.until(() => other.collection('appointments').size === 5);
  expect(other.doc.store.clients.size).toBe(1);
});
