import { execFile } from 'node:child_process';
import { cp, readdir, readFile, rename, rm, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ClassicLevel } from 'classic-level';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { levelStorage } from '../../../../client/local-store/level/level.js';
import { localStoreContract } from '../../../contract/local-store-contract.js';
import { temporaryFolder } from '../../../support/level-fixture.js';
import { Listener, put, putPending, read } from '../../../support/local-store.js';

/** The batches of LevelDB; `null` when the next one goes through. */
const batches = await batchPrototype();
const noRoom = (): Error => new Error('IO error: 000005.log: No space left on device');

/** Before the batch is written, or after it. */
function failNextBatch(when: 'before' | 'after'): void {
  const { write } = batches;
  const spy = vi.spyOn(batches, 'write').mockImplementation(async function (this: unknown, options) {
    spy.mockRestore();
    if (when === 'after') await write.call(this, options);
    throw noRoom();
  });
}

localStoreContract(
  'LevelDB',
  async () => {
    const folder = await temporaryFolder();
    return {
      storage: () => levelStorage(folder),
      fillUp: () => failNextBatch('before'),
      remove: () => rm(folder, { recursive: true }),
    };
  },
  { secondStore: 'refused', canBeFull: true, runs: 25 },
);

describe('LevelDB', () => {
  async function useStore(...texts: string[]) {
    const folder = await temporaryFolder();
    onTestFinished(() => rm(folder, { recursive: true }));
    const storage = levelStorage(folder);
    const store = await storage.open('anna', new Listener());
    for (const text of texts) await put(store, text);
    const open = () => storage.open('anna', new Listener());
    return { store, open, folder: join(folder, 'users', 'n-anna'), root: folder };
  }

  it('[C5] every batch is synced', async () => {
    const { store } = await useStore();
    const write = vi.spyOn(batches, 'write');
    onTestFinished(() => write.mockRestore());
    const [key = 0] = await putPending(store, 'a', 'b');
    await store.confirm([key]);
    await store.compact(key, new Uint8Array(3));
    expect(write.mock.calls).toEqual([[{ sync: true }], [{ sync: true }], [{ sync: true }]]);
    await store.close();
  });

  it('[C7] a batch that is there although its write failed counts as stored', async () => {
    const { store, open } = await useStore('a');
    failNextBatch('after');
    await put(store, 'b');
    await put(store, 'c');
    await store.close();
    const again = await open();
    expect(await read(again)).toEqual(['a', 'b', 'c']);
    await again.close();
  });

  it('[C7] UNAVAILABLE, with a sentence, while another process has the folder open', async () => {
    const { store, folder, open } = await useStore('a');
    await store.close();
    const script = `
      const { ClassicLevel } = require('classic-level');
      new ClassicLevel(process.argv[1]).open().then(() => console.log('open'));
      process.stdin.resume();`;
    const child = execFile(process.execPath, ['-e', script, folder]);
    await new Promise((resolve) => child.stdout?.once('data', resolve));
    await expect(open()).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringMatching(/n-anna is in use by another process: stop that one first/),
    });
    child.kill();
    await new Promise((resolve) => child.once('exit', resolve));
    const again = await open();
    expect(await read(again)).toEqual(['a']);
    await again.close();
  });

  it('[C12] it is repaired when CURRENT is missing, and what was there is kept beside it', async () => {
    const { store, folder, open, root } = await useStore('a');
    await store.close();
    await unlink(join(folder, 'CURRENT'));
    const before = await readdir(folder);
    const again = await open();
    expect(await read(again)).toEqual(['', 'a']); // what is empty is told
    await put(again, 'b');
    await again.close();
    expect(await readdir(join(root, 'users'))).toEqual(['n-anna', 'n-anna.damaged-1']);
    expect(await readdir(join(root, 'users', 'n-anna.damaged-1'))).toEqual(expect.arrayContaining(before));
    const last = await open();
    expect(await read(last)).toEqual(['a', 'b']);
    await last.close();
  });

  it('[C12] what can not be repaired is put aside, and a new one is begun', async () => {
    const { store, folder, open, root } = await useStore('a');
    await store.close();
    for (const file of await readdir(folder)) await writeFile(join(folder, file), 'no database');
    const again = await open();
    expect(await read(again)).toEqual(['']);
    await put(again, 'b');
    await again.close();
    expect((await readdir(join(root, 'users'))).length).toBeGreaterThan(1);
    const last = await open();
    expect(await read(last)).toEqual(['b']);
    await last.clear('cleared');
    expect(await readdir(join(root, 'users'))).toEqual([]); // nothing of its user stays
  });

  it.each([
    ['before the damaged one is set aside', ''],
    ['after that', '.damaged-1'],
  ])('[C12] a process that ended while it mended the database, %s, loses nothing', async (_, aside) => {
    const { store, folder, open } = await useStore('a');
    await store.close();
    await cp(folder, `${folder}.mended`, { recursive: true });
    await unlink(join(folder, 'CURRENT'));
    if (aside !== '') await rename(folder, folder + aside);
    const again = await open();
    expect((await read(again)).filter((text) => text !== '')).toEqual(['a']);
    await put(again, 'b');
    await again.close();
    const last = await open();
    expect(await read(last)).toEqual(['a', 'b']);
    await last.close();
  });

  it('[C12] a damaged store that another process has open is left alone', async () => {
    const { store, folder, open } = await useStore('a', 'b');
    const [log = ''] = (await readdir(folder)).filter((file) => file.endsWith('.log'));
    await store.close();
    const script = `
      const { ClassicLevel } = require('classic-level');
      new ClassicLevel(process.argv[1]).open().then(() => console.log('open'));
      process.stdin.resume();`;
    const child = execFile(process.execPath, ['-e', script, folder]);
    await new Promise((resolve) => child.stdout?.once('data', resolve));
    await writeFile(join(folder, log), 'damaged meanwhile, and longer than a frame has to be');
    const before = await readdir(folder);
    await expect(open()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(await readdir(folder)).toEqual(before);
    child.kill();
    await new Promise((resolve) => child.once('exit', resolve));
  });

  it('[C5] what a process left that ended while it created the database is no obstacle', async () => {
    const { store, folder, open } = await useStore();
    await store.close();
    for (const file of await readdir(folder)) {
      if (!/^(LOCK|LOG|MANIFEST.*)$/.test(file)) await unlink(join(folder, file));
    }
    const manifest = (await readdir(folder)).find((file) => file.startsWith('MANIFEST')) ?? '';
    await writeFile(join(folder, 'MANIFEST-000001'), '');
    if (manifest !== 'MANIFEST-000001') await unlink(join(folder, manifest));
    const again = await open();
    await put(again, 'a');
    await again.close();
  });

  it('[C12] a large change that is damaged in the log takes no other with it', async () => {
    const { store, folder, open } = await useStore('a', 'b'.repeat(100_000), 'c');
    await store.close();
    const [log = ''] = (await readdir(folder)).filter((file) => file.endsWith('.log'));
    const content = await readFile(join(folder, log));
    content[60_000] = (content[60_000] ?? 0) ^ 1;
    await writeFile(join(folder, log), content);
    const again = await open();
    expect(await read(again)).toEqual(['', 'a', 'c']);
    await again.close();
  });

  it('[C12] a change that is damaged stands for nothing, and the others stay', async () => {
    const { store, folder, open } = await useStore('abc', 'other');
    await store.close();
    const db = new ClassicLevel<string, Uint8Array>(folder, { valueEncoding: 'view' });
    const [[key, value] = ['', new Uint8Array()]] = await db.iterator({ gt: 'c', lt: 'd' }).all();
    await db.put(
      key,
      value.map((byte) => byte ^ 1),
    );
    await db.close();
    const again = await open();
    expect(await read(again)).toEqual(['', 'other']);
    await again.close();
  });

  it('[C5] a process that ended while it deleted leaves nothing behind', async () => {
    const { store, folder, open } = await useStore('a');
    await store.clear('cleared');
    await promisify(execFile)('mkdir', ['-p', `${folder}.removed`]);
    await writeFile(join(`${folder}.removed`, '000005.log'), 'rest');
    await (await open()).close();
    expect(await readdir(join(folder, '..'))).toEqual(['n-anna']);
  });

  it('[C7] UNAVAILABLE where a file is in the way', async () => {
    const folder = await temporaryFolder();
    onTestFinished(() => rm(folder, { recursive: true }));
    await writeFile(join(folder, 'users'), '');
    await writeFile(join(folder, 'settings'), '');
    const storage = levelStorage(folder);
    await expect(storage.open('anna', new Listener())).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect(storage.readSetting('x')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect(storage.writeSetting('x', 'y')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });
});

async function batchPrototype(): Promise<{ write(options: object): Promise<void> }> {
  const folder = await temporaryFolder();
  const db = new ClassicLevel(folder);
  await db.open();
  const batch = db.batch();
  await batch.close();
  await db.close();
  await rm(folder, { recursive: true });
  const own = Object.getPrototypeOf(batch);
  return 'write' in own && Object.hasOwn(own, 'write') ? own : Object.getPrototypeOf(own);
}
