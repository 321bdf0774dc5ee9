/** What is written while the data of a user is about to be deleted is not lost without a word (C2, C4). */
import { afterEach, describe, expect, test } from 'vitest';
import { StorageError } from '../../client/errors.js';
import type { DeviceStorage } from '../../client/local-store/store.js';
import type { SyncManager } from '../../client/sync-manager.js';
import { BreakableStorage } from '../support/breakable-storage.js';
import { settle } from '../support/connection-world.js';
import { closeClients, offlineClient, testClient } from '../support/devices/test-client.js';
import { ManualClock } from '../support/manual-clock.js';

afterEach(closeClients);

const ids = async (client: SyncManager): Promise<unknown[]> =>
  (await client.getData('notes')).map(({ id }) => id);

describe.each([
  ['logout', (client: SyncManager) => client.logout()],
  ['clearSyncData', (client: SyncManager) => client.clearSyncData()],
])('[C2 C4] %s without force', (_, clear) => {
  const unsynced = { code: 'UNSYNCED_CHANGES', pendingChanges: 1 };

  test('counts a change that is still being stored, and deletes nothing', async () => {
    const storage = new BreakableStorage();
    const client = await offlineClient('anna', storage);
    const written = client.addData('notes', { id: 'a' });
    await expect(clear(client)).rejects.toMatchObject(unsynced);
    await written;
    expect(await ids(client)).toEqual(['a']);
    await client.addData('notes', { id: 'b' });
    await client.close();
    expect(await ids(await offlineClient('anna', storage))).toEqual(['a', 'b']);
  });

  test('counts one that storage is slow to take', async () => {
    const storage = new BreakableStorage();
    const client = await offlineClient('anna', storage);
    let open = (): void => {};
    storage.gate = new Promise((resolve) => {
      open = resolve;
    });
    const written = client.addData('notes', { id: 'a' });
    const cleared = expect(clear(client)).rejects.toMatchObject(unsynced);
    open();
    await Promise.all([written, cleared]);
    expect(await ids(client)).toEqual(['a']);
  });

  test.each([0, 1, 2, 3, 4, 5, 6, 8, 10, 15])(
    'loses nothing of what is written %i turns after it was called',
    async (turns) => {
      const client = await offlineClient();
      const cleared = clear(client).then(
        () => true,
        () => false,
      );
      for (let turn = 0; turn < turns; turn++) await null;
      const isWritten = await client.addData('notes', { id: 'a' }).then(
        () => true,
        (error) => {
          expect(error.code).toBe('NOT_INITIALIZED');
          return false;
        },
      );
      await cleared;
      if (isWritten) expect(await ids(client)).toEqual(['a']);
      if (isWritten) expect(client.status.current.pendingChanges).toBe(1);
    },
  );
});

test.each([
  ['logout', (client: SyncManager) => client.logout()],
  ['clearSyncData', (client: SyncManager) => client.clearSyncData()],
  ['moveTo', (client: SyncManager) => client.moveTo('berta')],
])('[C2 C4 C7] %s deletes nothing that could not be read', async (_, clear) => {
  const storage = new BreakableStorage();
  const before = await offlineClient('anna', storage);
  await before.addData('notes', { id: 'a' });
  await before.close();
  storage.failure = new StorageError('UNAVAILABLE', 'It fails.');
  const clock = new ManualClock();
  const client = testClient({ storage, clock });
  await client.initialize({ serverUrl: 'http://127.0.0.1:1', userId: 'anna', autoConnect: false });
  storage.failure = null;
  await expect(clear(client)).rejects.toMatchObject({ name: 'StorageError', code: 'UNAVAILABLE' });
  await clock.live(1_000);
  expect(await ids(client)).toEqual(['a']);
});

/** Storage that never answers when a user's data is opened. */
function hanging(storage: BreakableStorage, remove?: () => Promise<void>): DeviceStorage {
  return {
    name: 'hanging',
    durable: true,
    open: () => new Promise(() => {}),
    ...(remove && { remove }),
    readSetting: (name) => storage.readSetting(name),
    writeSetting: (name, value) => storage.writeSetting(name, value),
  };
}

test.each([
  ['can delete all the same', async () => {}, true],
  ['does not answer to a deletion either', () => new Promise<void>(() => {}), false],
  ['can delete only what is open', undefined, false],
] as const)('[C12] a forced logout ends where storage hangs and %s', async (_, remove, works) => {
  const clock = new ManualClock();
  const client = testClient({ storage: hanging(new BreakableStorage(), remove), clock });
  const options = { serverUrl: 'http://127.0.0.1:1', userId: 'anna', autoConnect: false };
  /** Time passes until it has ended. */
  const inTime = async (work: Promise<void>): Promise<unknown> => {
    const ended = work.then(
      () => true,
      (error) => error.code,
    );
    let result: unknown = null;
    void ended.then((value) => {
      result = value;
    });
    for (let seconds = 0; seconds < 40 && result === null; seconds++) {
      await settle();
      clock.pass(1_000);
      await settle();
    }
    return result;
  };
  expect(await inTime(client.initialize(options))).toBe(true);
  expect(await inTime(client.logout({ force: true }))).toBe(works ? true : 'BLOCKED');
  expect(await inTime(client.initialize({ ...options, userId: 'beat' }))).toBe(true);
});
