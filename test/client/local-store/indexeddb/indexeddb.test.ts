import { forceCloseDatabase, IDBOpenDBRequest } from 'fake-indexeddb';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { indexedDbStorage } from '../../../../client/local-store/indexeddb/indexeddb.js';
import type { IndexedDbOptions } from '../../../../client/local-store/indexeddb/options.js';
import type { LocalStore } from '../../../../client/local-store/store.js';
import { localStoreContract } from '../../../contract/local-store-contract.js';
import {
  emptyIndexedDb,
  fillIndexedDb,
  holdTransaction,
  rawOpen,
  settled,
} from '../../../support/fake-indexeddb.js';
import { bytes, Listener, newsOf, put, putPending, read } from '../../../support/local-store.js';
import { ManualClock } from '../../../support/manual-clock.js';

const ANNA = 'telemed-sync/user/anna';

localStoreContract(
  'IndexedDB, over fake-indexeddb (not a browser)',
  async () => {
    emptyIndexedDb();
    return { storage: () => indexedDbStorage(), fillUp: fillIndexedDb, remove: async () => {} };
  },
  { secondStore: 'shares', canBeFull: true, runs: 60 },
);

describe('IndexedDB, over fake-indexeddb (not a browser)', () => {
  let clock: ManualClock;
  const opened: LocalStore[] = [];

  beforeEach(() => {
    emptyIndexedDb();
    clock = new ManualClock();
  });
  afterEach(async () => {
    vi.unstubAllGlobals();
    for (const store of opened.splice(0)) await store.close();
  });
  const storage = (options: IndexedDbOptions = {}) => indexedDbStorage({ clock, ...options });
  const open = async (listener = new Listener()): Promise<LocalStore> => {
    const store = await storage().open('anna', listener);
    opened.push(store);
    return store;
  };
  const letTimePass = async (): Promise<void> => {
    await expect.poll(() => clock.waiting).toBe(1);
    clock.pass(60_000);
  };

  it('[C7] UNAVAILABLE where there is none, and nothing is touched before', async () => {
    vi.stubGlobal('indexedDB', undefined);
    const none = storage();
    await expect(none.open('anna', new Listener())).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect(none.readSetting('deviceId')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect(none.writeSetting('deviceId', 'x')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  it('[C7] UNAVAILABLE where it is forbidden, with the cause', async () => {
    const cause = new DOMException('The operation is insecure.', 'SecurityError');
    vi.spyOn(indexedDB, 'open').mockImplementation(() => {
      throw cause;
    });
    await expect(open()).rejects.toMatchObject({ code: 'UNAVAILABLE', cause });
  });

  it('[C7] BLOCKED when opening waits for another tab, which it does not block in turn later', async () => {
    await (await open()).close();
    const other = await rawOpen(ANNA);
    const deletion = settled(indexedDB.deleteDatabase(ANNA));
    const opening = open();
    const refused = expect(opening).rejects.toMatchObject({ code: 'BLOCKED' });
    await letTimePass();
    await refused;
    other.close();
    await deletion;
    const newer = await rawOpen(ANNA, 2);
    expect(newer.version).toBe(2);
    newer.close();
  });

  it.each(['open', 'settings'])('[C7] BLOCKED when the browser never answers (%s)', async (what) => {
    vi.spyOn(indexedDB, 'open').mockImplementation(() => new IDBOpenDBRequest());
    const call = what === 'open' ? open() : storage().readSetting('deviceId');
    const refused = expect(call).rejects.toMatchObject({ code: 'BLOCKED' });
    await letTimePass();
    await refused;
    expect(clock.waiting).toBe(0);
  });

  it('[C7] a device that slept gives the browser half of the time again', async () => {
    const store = await open();
    const other = await rawOpen(ANNA);
    onTestFinished(() => other.close());
    const release = holdTransaction(other);
    const saved = put(store, 'a');
    await expect.poll(() => clock.waiting).toBe(1);
    clock.pass(20_000);
    release();
    await saved;
    expect(clock.waiting).toBe(0);
  });

  it('[C7] UNAVAILABLE when a transaction never ends; nothing of it is stored later', async () => {
    const store = await open();
    const other = await rawOpen(ANNA);
    onTestFinished(() => other.close());
    const release = holdTransaction(other);
    const refused = expect(put(store, 'a')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    const waiting = expect(put(store, 'b')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await letTimePass();
    await Promise.all([refused, waiting]);
    release();
    await store.close();
    expect(await read(await open())).toEqual([]);
  });

  it('[C7] a database that is deleted under a running page is lost, and does not block the deletion', async () => {
    const listener = new Listener();
    const store = await open(listener);
    await put(store, 'a');
    await settled(indexedDB.deleteDatabase(ANNA));
    await expect(put(store, 'b')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(listener.gone).toEqual([]);
    clock.pass(500);
    expect(listener.gone).toEqual(['lost']);
    await store.close();
    expect(await read(await open())).toEqual([]);
  });

  it('[C7] a connection that the browser closes is lost', async () => {
    const request = vi.spyOn(indexedDB, 'open');
    const listener = new Listener();
    const store = await open(listener);
    forceCloseDatabase(request.mock.results[0]?.value.result);
    await expect.poll(() => listener.gone).toEqual(['lost']);
    await expect(put(store, 'b')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  it('[C7] a newer version of the app takes the database over; an older one says so', async () => {
    const listener = new Listener();
    const store = await open(listener);
    const newer = await rawOpen(ANNA, 99);
    onTestFinished(() => newer.close());
    expect(listener.gone).toEqual(['lost']);
    await expect(put(store, 'b')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    const sentence = expect.stringMatching(/newer version of the app/);
    await expect(open()).rejects.toMatchObject({ code: 'UNAVAILABLE', message: sentence });
  });

  it('[C7] clear empties the store although a tab that hangs keeps it from being deleted', async () => {
    const listener = new Listener();
    const store = await open(listener);
    await putPending(store, 'a');
    const hanging = await rawOpen(ANNA);
    const cleared = store.clear('cleared');
    await new Promise((resolve) => {
      hanging.onversionchange = resolve;
    });
    await letTimePass();
    await cleared;
    expect(listener.errors).toMatchObject([{ code: 'BLOCKED' }]);
    const changes = hanging.transaction('changes').objectStore('changes');
    expect(await settled(changes.getAll())).toEqual([]);
    hanging.close();
  });

  it('[C9] a tab that sees the deletion before the message is told `cleared`, once', async () => {
    const listeners = [new Listener(), new Listener()] as const;
    await open(listeners[0]);
    await settled(indexedDB.deleteDatabase(ANNA));
    const channel = new BroadcastChannel(ANNA);
    channel.postMessage('cleared');
    await expect.poll(() => listeners[0].gone).toEqual(['cleared']);
    channel.close();
    clock.pass(500);
    expect(listeners[0].gone).toEqual(['cleared']);
  });

  it('[C9] without BroadcastChannel a tab hears at its next call', async () => {
    vi.stubGlobal('BroadcastChannel', undefined);
    const listener = new Listener();
    const [store, other] = [await open(), await open(listener)];
    const keys = await putPending(store, 'a');
    expect(await newsOf(other)).toMatchObject({ changes: [{ key: keys[0] }], pending: new Set(keys) });
    await store.clear('cleared');
    clock.pass(500);
    expect(listener).toMatchObject({ news: 0, gone: ['lost'] });
  });

  it('[C12] a row that is no change stands for nothing, and the others stay', async () => {
    const store = await open();
    await put(store, 'a', 'b');
    const db = await rawOpen(ANNA);
    const changes = db.transaction('changes', 'readwrite').objectStore('changes');
    await settled(changes.put({ key: 1, bytes: 'text' }));
    db.close();
    await store.close();
    expect(await read(await open())).toEqual(['', 'b']);
  });

  it('[C5] of a view its own bytes are stored, and not the buffer behind it', async () => {
    const store = await open();
    const part = new Uint8Array(100_000).subarray(5, 8);
    await store.append(() => [{ bytes: part, pending: false }]);
    await store.compact(0, bytes('whole'));
    await store.close();
    const [change] = (await newsOf(await open())).changes;
    expect(change?.bytes.buffer.byteLength).toBe(3);
  });

  it('[C5] each call is one transaction, as durable as the browser can', async () => {
    const store = await open();
    const prototype = IDBDatabase.prototype;
    const transaction = vi.spyOn(prototype, 'transaction');
    onTestFinished(() => transaction.mockRestore());
    const [key = 0] = await putPending(store, 'a', 'b');
    await store.confirm([key]);
    await store.compact(key, bytes('s'));
    expect(transaction.mock.calls).toEqual(Array(3).fill(['changes', 'readwrite', { durability: 'strict' }]));
  });
});
