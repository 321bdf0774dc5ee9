/**
 * Each stored value of a device, damaged in each way (C12): the client opens, what is whole counts and is sent, and what
 * the server has comes back. In IndexedDB and SQLite, row by row; of SQLite also the bytes of its file.
 */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sqlite from 'node-sqlite3-wasm';
import { afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { expoSqliteStorage } from '../../client/local-store/expo-sqlite.js';
import { indexedDbStorage } from '../../client/local-store/indexeddb/indexeddb.js';
import type { DeviceStorage } from '../../client/local-store/store.js';
import type { SyncManager } from '../../client/sync-manager.js';
import { closeClients, synced, testClient } from '../support/devices/test-client.js';
import { NodeSqlite } from '../support/expo-sqlite.js';
import { emptyIndexedDb, rawOpen, settled } from '../support/fake-indexeddb.js';
import { temporaryFolder } from '../support/level-fixture.js';
import { SPREAD } from '../support/runs.js';
import { startServer } from '../support/server.js';

const STRIDE = Number(process.env.DAMAGE_STRIDE ?? 1_009 * SPREAD);
/** Made while there is a connection, and without one. */
const CONFIRMED = ['c1', 'c2', 'c3'];
const PENDING = ['p1', 'p2', 'p3'];

interface Row {
  readonly key: number;
  readonly bytes: unknown;
  readonly pending: boolean;
}

/** Where a device keeps things of its users, as somebody sees it who reads and writes it past the client. */
interface Place {
  storage(): DeviceStorage;
  rows(user: string): Promise<Row[]>;
  /** Null: it is removed. */
  put(user: string, key: number, row: Row | null): Promise<void>;
}

async function sqlitePlace(): Promise<Place & { file(user: string): string }> {
  const folder = await temporaryFolder();
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = (user: string): string => join(folder, `telemed-sync-n-${user}.db`);
  const within = async <T>(user: string, work: (db: sqlite.Database) => T): Promise<T> => {
    const db = new sqlite.Database(file(user));
    try {
      return work(db);
    } finally {
      db.close();
    }
  };
  return {
    file,
    storage: () => expoSqliteStorage(new NodeSqlite(folder)),
    rows: (user) =>
      within(user, (db) =>
        (db.all('SELECT * FROM changes ORDER BY key') as unknown as Row[]).map((row) => ({
          ...row,
          pending: Number(row.pending) === 1,
        })),
      ),
    put: (user, key, row) =>
      within(user, (db) => {
        if (row === null) db.run('DELETE FROM changes WHERE key = ?', [key]);
        else
          db.run('UPDATE changes SET bytes = ?, pending = ? WHERE key = ?', [
            row.bytes as Uint8Array,
            Number(row.pending),
            key,
          ]);
      }),
  };
}

async function indexedDbPlace(): Promise<Place> {
  emptyIndexedDb();
  const within = async <T>(user: string, work: (changes: IDBObjectStore) => IDBRequest<T>): Promise<T> => {
    const db = await rawOpen(`telemed-sync/user/${user}`);
    const found = await settled(work(db.transaction('changes', 'readwrite').objectStore('changes')));
    db.close();
    return found;
  };
  return {
    storage: () => indexedDbStorage(),
    rows: async (user) =>
      (
        (await within(user, (changes) => changes.getAll())) as { key: number; bytes: unknown; pending?: 1 }[]
      ).map((row) => ({ ...row, pending: row.pending === 1 })),
    put: async (user, key, row) => {
      if (row === null) await within(user, (changes) => changes.delete(key));
      else
        await within(user, (changes) =>
          changes.put({ key, bytes: row.bytes, ...(row.pending && { pending: 1 }) }),
        );
    },
  };
}

type Damage = (row: Row) => Row | null;
const withBytes =
  (change: (bytes: Uint8Array) => unknown): Damage =>
  (row) => ({ ...row, bytes: change(row.bytes as Uint8Array) });
const flipped = (part: number) =>
  withBytes((bytes) =>
    bytes.map((byte, at) => (at === Math.floor(part * (bytes.length - 1)) ? byte ^ 16 : byte)),
  );
/** Each with whether the device has to tell that something can't be read. */
const DAMAGES: readonly (readonly [string, Damage, boolean])[] = [
  ['a bit of its checksum is flipped', flipped(0), true],
  ['a bit in its middle is flipped', flipped(0.5), true],
  ['its end is missing', withBytes((bytes) => bytes.slice(0, -1)), true],
  ['nothing of it is left', withBytes(() => new Uint8Array(0)), true],
  ['it is something else', withBytes(() => 'text'), true],
  ['it is missing', () => null, false],
  ['its mark is another one', (row) => ({ ...row, pending: !row.pending }), false],
];

let url: string;
let users = 0;
let server: Awaited<ReturnType<typeof startServer>>;
beforeAll(async () => {
  server = await startServer();
  url = server.url;
  return async () => void (await server.close());
});
afterEach(closeClients);

async function start(place: Place, userId: string, isOnline = true) {
  const told: string[] = [];
  const client = testClient({ storage: place.storage() });
  await client.initialize({
    serverUrl: url,
    userId,
    deviceId: 'phone',
    autoConnect: isOnline,
    onStorageError: (error) => void (error && told.push(error.code)),
  });
  return { client, told };
}

const idsOf = async (client: SyncManager): Promise<string[]> =>
  (await client.getData('notes')).map(({ id }) => `${id}`).sort();
async function idsAtServer(user: string): Promise<string[]> {
  const answer = (await (await fetch(`${url}/api/sync/${user}`)).json()) as { notes?: { id: string }[] };
  return (answer.notes ?? []).map(({ id }) => id).sort();
}

/** A device with what the server has, and what it has not. */
async function fill(place: Place, user: string): Promise<Row[]> {
  const { client } = await start(place, user);
  for (const id of CONFIRMED) await client.addData('notes', { id, text: 'x'.repeat(40) });
  await synced(client);
  await client.disconnect();
  for (const id of PENDING) await client.addData('notes', { id, text: 'x'.repeat(40) });
  await client.close();
  return place.rows(user);
}

/** What is missing, on the device as on the server, and what the device has said. */
async function after(place: Place, user: string): Promise<{ missing: string[]; told: string[] }> {
  const { client, told } = await start(place, user);
  await synced(client);
  expect(client.status.current).toMatchObject({ durable: true, pendingChanges: 0 });
  const there = await idsAtServer(user);
  expect(await idsOf(client)).toEqual(there);
  await client.close();
  return { missing: [...CONFIRMED, ...PENDING].filter((id) => !there.includes(id)), told };
}

describe.each([
  ['IndexedDB (fake-indexeddb, not a browser)', indexedDbPlace],
  ['SQLite (not expo-sqlite itself)', sqlitePlace],
])('[C12] one row in %s', (_, placeOf) => {
  test.each(DAMAGES)('of which %s', async (_, damage, isTold) => {
    const place = await placeOf();
    const rows = await fill(place, `u${++users}`);
    expect(rows.length).toBeGreaterThanOrEqual(CONFIRMED.length + PENDING.length);
    for (let index = 0; index < rows.length; index += 2) {
      const user = `u${++users}`;
      const all = await fill(place, user);
      const row = all[Math.min(index, all.length - 1)] as Row;
      await place.put(user, row.key, damage(row));
      const { missing, told } = await after(place, user);
      expect(missing.filter((id) => CONFIRMED.includes(id))).toEqual([]);
      expect(missing.length).toBeLessThanOrEqual(row.pending ? 1 : 0);
      expect(told).toEqual(isTold ? ['CORRUPT'] : []);
    }
  });
});

test('[C12] one flipped bit in a file of SQLite: the client opens, shows nothing else, and throws nothing away', async () => {
  const place = await sqlitePlace();
  await fill(place, 'file');
  const path = place.file('file');
  const whole = await readFile(path);
  let opened = 0;
  for (let at = 0; at < whole.length; at += STRIDE) {
    const damaged = Uint8Array.from(whole);
    damaged[at] = (damaged[at] ?? 0) ^ (1 << (at % 8));
    await writeFile(path, damaged);
    const { client, told } = await start(place, 'file', false);
    const ids = await idsOf(client);
    expect(ids.filter((id) => ![...CONFIRMED, ...PENDING].includes(id))).toEqual([]);
    const { durable } = client.status.current;
    await client.close();
    if (durable) opened++;
    else
      expect([told.includes('CORRUPT') || told.includes('UNAVAILABLE'), await readFile(path)]).toEqual([
        true,
        Buffer.from(damaged),
      ]);
  }
  expect(opened).toBeGreaterThan(0);
});
