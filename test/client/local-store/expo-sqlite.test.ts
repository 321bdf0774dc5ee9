import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sqlite from 'node-sqlite3-wasm';
import { describe, expect, it, onTestFinished } from 'vitest';
import { expoSqliteStorage } from '../../../client/local-store/expo-sqlite.js';
import { localStoreContract } from '../../contract/local-store-contract.js';
import { NodeSqlite } from '../../support/expo-sqlite.js';
import { temporaryFolder } from '../../support/level-fixture.js';
import { Listener, put, putPending, read } from '../../support/local-store.js';

const FULL = 'Error code 13: database or disk is full';

localStoreContract(
  'expo-sqlite, over SQLite in Node (not expo-sqlite itself)',
  async () => {
    const folder = await temporaryFolder();
    let module = new NodeSqlite(folder);
    return {
      storage: () => {
        module = new NodeSqlite(folder);
        return expoSqliteStorage(module);
      },
      fillUp: () => {
        module.failure = new Error(FULL);
      },
      remove: () => rm(folder, { recursive: true }),
    };
  },
  { secondStore: 'refused', canBeFull: true, runs: 40 },
);

describe('expo-sqlite, over SQLite in Node (not expo-sqlite itself)', () => {
  async function useFolder() {
    const folder = await temporaryFolder();
    onTestFinished(() => rm(folder, { recursive: true }));
    const module = new NodeSqlite(folder);
    return { folder, module, storage: expoSqliteStorage(module) };
  }

  it('[C5] writes ahead and syncs fully; one call is one transaction', async () => {
    const { module, storage } = await useFolder();
    const store = await storage.open('anna', new Listener());
    expect(module.statements[0]).toMatch(/journal_mode = WAL.*synchronous = FULL/);
    module.statements.length = 0;
    await Promise.all([put(store, 'a', 'b'), put(store, 'c')]);
    const verbs = module.statements.map((sql) => sql.split(' ')[0]);
    expect(verbs).toEqual(['BEGIN', 'INSERT', 'INSERT', 'COMMIT', 'BEGIN', 'INSERT', 'COMMIT']);
    await store.close();
  });

  it('[C5] what a process wrote before it ended in the middle of a call is not there', async () => {
    const { folder, module, storage } = await useFolder();
    const store = await storage.open('anna', new Listener());
    await putPending(store, 'kept');
    await store.close();
    const [file = ''] = (await readdir(folder)).filter((name) => name.includes('n-anna'));
    const db = new sqlite.Database(join(folder, file));
    db.exec("BEGIN; INSERT INTO changes VALUES (7, x'00', 0)");
    db.close();
    const again = await expoSqliteStorage(module).open('anna', new Listener());
    expect(await read(again)).toEqual(['kept!']);
    await again.close();
  });

  it('[C7] a file that is no database is CORRUPT, and stays as it is', async () => {
    const { folder, storage } = await useFolder();
    await (await storage.open('anna', new Listener())).close();
    const [file = ''] = await readdir(folder);
    await writeFile(join(folder, file), Buffer.alloc(8_192, 7));
    await expect(storage.open('anna', new Listener())).rejects.toMatchObject({ code: 'CORRUPT' });
    await expect(storage.open('anna', new Listener())).rejects.toMatchObject({ code: 'CORRUPT' });
  });

  it('[C7] what else goes wrong is UNAVAILABLE, and keeps its cause', async () => {
    const { module, storage } = await useFolder();
    const store = await storage.open('anna', new Listener());
    const cause = new Error('Access to closed resource');
    module.failure = cause;
    await expect(put(store, 'a')).rejects.toMatchObject({ code: 'UNAVAILABLE', cause });
    await expect(put(store, 'b')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await store.close();
  });
});
