/** What comes after a restore: who was erased, what devices bring, who gets in, and what a server writes. */
import { existsSync, readdirSync, readlinkSync } from 'node:fs';
import { chmod, cp, mkdir, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import * as Y from 'yjs';
import { verify } from '../../../server/backup/backup.js';
import { readManifest } from '../../../server/backup/manifest.js';
import { restore as restoreWhole } from '../../../server/backup/restore.js';
import { collectingLog } from '../../../server/log.js';
import { readKeys } from '../../../server/store/encryption/key-file.js';
import { type KeyRing, newKey } from '../../../server/store/encryption/key-ring.js';
import { LevelStore } from '../../../server/store/level/level-store.js';
import { command, documentsIn, NOBODY_ERASED, useRoom } from '../../support/backups.js';
import { ConnectedDevice } from '../../support/devices/connected-device.js';
import { findInFiles } from '../../support/raw-files.js';
import { startServer, type TestServer } from '../../support/server.js';
import { bearer, JWT, tokenFor } from '../../support/tokens.js';
import { openNative, useJson, useNative, useServer } from '../../support/use.js';
import { PATIENCE } from '../../support/wait.js';
import { withoutRoot } from '../../support/without-root.js';

const ADMIN_TOKEN = 'admin-admin-admin';

let room: string;
let data: string;
let backups: string;
beforeEach(async () => {
  ({ room, data, backups } = await useRoom());
});

const start = (options: Readonly<Record<string, string>> = {}): Promise<TestServer> =>
  useServer({ DATA_DIR: data, ADMIN_TOKEN, ...options });

async function backUp(): Promise<string> {
  const { data: said } = await command(['backup', backups], { DATA_DIR: data });
  return String(said.folder);
}

const restore = (folder: string, ...more: string[]) =>
  command(['restore', folder, ...more], { DATA_DIR: data });

async function write(server: TestServer, user: string, id: string, note: string): Promise<void> {
  const json = await useJson(server, user, 'tablet');
  json.update('notes', { id, note }, { ack: id });
  await json.next('ACK');
}

/** The ids of all notes. */
async function notesOf({ url }: TestServer, user: string): Promise<unknown[]> {
  const all = (await (await fetch(`${url}/api/sync/${user}`)).json()) as { notes?: { id: unknown }[] };
  return (all.notes ?? []).map(({ id }) => id);
}

const erase = ({ url }: TestServer, user: string) =>
  fetch(`${url}/admin/users/${user}`, { method: 'DELETE', headers: bearer(ADMIN_TOKEN) });

/** What a device of anna has that was offline since the backup. */
let laptop: Y.Doc;

/** A server with anna and ben, stopped, and its backup. */
const replacing = async (folder: string) => ({
  backup: await verify(folder),
  dataDir: data,
  keys: undefined,
  replace: true,
  eraseMore: null,
});

async function backedUp(): Promise<string> {
  const server = await start();
  await write(server, 'anna', 'a', 'Zq7Wk93Vb2Xj');
  const device = await useNative(server, 'anna', 'laptop');
  device.close();
  laptop = device.doc;
  await write(server, 'ben', 'b', 'note of ben');
  await server.app.close();
  return backUp();
}

/** The same, and anna is erased since. */
async function erasedSince(): Promise<string> {
  const folder = await backedUp();
  const server = await start();
  await write(server, 'anna', 'a2', 'Zq7Wk93Vb2Xj');
  await erase(server, 'anna');
  await server.app.close();
  return folder;
}

async function expectAnnaErased(): Promise<void> {
  expect(await findInFiles(data, ['Zq7Wk93Vb2Xj'])).toEqual([]);
  const server = await start();
  expect(await notesOf(server, 'anna')).toEqual([]);
  expect(await notesOf(server, 'ben')).toEqual(['b']);
  const late = openNative(server, 'anna', 'laptop', { doc: laptop });
  await late.until(() => late.closes.length > 0);
  expect(late.closes).toEqual([4410]);
}

describe('[P11] [P7] who was erased since the backup stays erased', () => {
  test('by the database that is replaced, which is kept until somebody removes it', async () => {
    const folder = await erasedSince();
    const refused = await restore(folder);
    expect([refused.code, refused.out]).toEqual([1, expect.stringContaining('--replace')]);
    const before = await documentsIn(data);
    const { code, data: said } = await restore(folder, '--replace');
    expect([code, said]).toEqual([
      0,
      expect.objectContaining({ users: 2, erased: 1, damaged: [], knownBy: [data] }),
    ]);
    expect(await documentsIn(String(said.replaced))).toEqual(before);
    await expectAnnaErased();
  });

  test('by a newer backup beside it, where the data is lost', async () => {
    const folder = await erasedSince();
    await backUp();
    await rm(data, { recursive: true });
    expect((await restore(folder)).data).toMatchObject({ erased: 1 });
    await expectAnnaErased();
  });

  test('by a file of users, where the data is damaged; without it, nothing is restored', async () => {
    const folder = await erasedSince();
    await rm(join(data, 'CURRENT'));
    const refused = await restore(folder, '--replace');
    expect([refused.code, refused.out]).toEqual([1, expect.stringContaining('--erased FILE')]);
    const file = join(room, 'erased');
    await writeFile(file, 'anna\nnobody\n');
    expect((await restore(folder, '--replace', '--erased', file)).data).toMatchObject({ erased: 1 });
    const [replaced = ''] = (await readdir(data)).filter((name) => name.startsWith('replaced-'));
    await rm(join(data, replaced), { recursive: true });
    await expectAnnaErased();
  });

  test('by newer backups, whatever the restored one is called, or through a link', async () => {
    const folder = await erasedSince();
    const newer = await backUp();
    const link = join(room, 'link');
    await symlink(folder, link);
    const another = join(backups, 'the-good-one');
    for (const name of [link, another]) {
      await rm(data, { recursive: true });
      if (name === another) await rename(folder, another);
      expect((await restore(name)).data).toMatchObject({ erased: 1, knownBy: [newer] });
    }
    await expectAnnaErased();
  });

  test('by a file, where the data is lost and no newer backup goes on: without it, nothing is restored', async () => {
    const folder = await erasedSince();
    await rm(data, { recursive: true });
    const refused = await restore(folder);
    expect([refused.code, refused.out]).toEqual([1, expect.stringContaining('add --erased FILE')]);
    expect(await readdir(data)).toEqual([]);
    const file = join(room, 'erased');
    await writeFile(file, 'anna\n');
    expect((await restore(folder, '--erased', file)).data).toMatchObject({ erased: 1, knownBy: [file] });
    await expectAnnaErased();
  });

  test('by a file, where a server was started on an empty disk: what it has, and its backup, tell nothing', async () => {
    const folder = await erasedSince();
    await rm(data, { recursive: true });
    const server = await start();
    await write(server, 'cleo', 'c', 'since the disk is empty');
    await server.app.close();
    await backUp();
    const refused = await restore(folder, '--replace');
    expect([refused.code, refused.out]).toEqual([1, expect.stringContaining('add --erased FILE')]);
    expect((await documentsIn(data)).size).toBe(1);
    const { code, data: said } = await restore(folder, '--replace', ...NOBODY_ERASED);
    expect([code, said]).toEqual([0, expect.objectContaining({ users: 2, knownBy: ['/dev/null'] })]);
  });

  test('by the database that a restore of an older backup has replaced, where a newer one is restored after it', async () => {
    const older = await backedUp();
    const server = await start();
    await write(server, 'cleo', 'c', 'note of cleo');
    await server.app.close();
    const newer = await backUp();
    const later = await start();
    await erase(later, 'anna');
    await later.app.close();
    const { data: first } = await restore(older, '--replace');
    const { code, data: said } = await restore(newer, '--replace');
    expect([code, said]).toEqual([0, expect.objectContaining({ users: 3, knownBy: [first.replaced] })]);
    await expectAnnaErased();
  });

  test('but what came after an erasure that the backup has, too, is there', async () => {
    const server = await start();
    await write(server, 'anna', 'a', 'before');
    await erase(server, 'anna');
    const fresh = await useJson(server, 'anna', 'another');
    fresh.update('notes', { id: 'new', note: 'after' }, { ack: '1' });
    await fresh.next('ACK');
    await server.app.close();
    const folder = await backUp();
    expect((await restore(folder, '--replace')).data).toMatchObject({ erased: 0 });
    expect(await notesOf(await start(), 'anna')).toEqual(['new']);
  });

  test('and an erasure later removes what was replaced', async () => {
    const folder = await backedUp();
    await restore(folder, '--replace');
    const replaced = async () => (await readdir(data)).filter((name) => name.startsWith('replaced-'));
    expect(await replaced()).toHaveLength(1);
    expect(await findInFiles(data, ['Zq7Wk93Vb2Xj'])).not.toEqual([]);
    await erase(await start(), 'anna');
    expect(await replaced()).toEqual([]);
  });
});

describe('[P7] an erasure', () => {
  const SAID = 'Zq7Wk93Vb2Xj';
  async function leave(name: string): Promise<string> {
    const folder = join(data, name);
    await mkdir(folder);
    await writeFile(join(folder, '000005.ldb'), SAID);
    return folder;
  }

  test('removes what a restore left that was cut off', async () => {
    const server = await start();
    await write(server, 'anna', 'a', SAID);
    for (const name of ['restoring', 'restored', 'arriving', 'departing']) await leave(name);
    expect((await erase(server, 'anna')).status).toBe(204);
    expect(await findInFiles(data, [SAID])).toEqual([]);
  });

  test('has less to remove: a start on a database removes what a restore made that was cut off before', async () => {
    await (await start()).app.close();
    for (const name of ['restoring', 'restored', 'arriving']) await leave(name);
    await start();
    expect(await findInFiles(data, [SAID])).toEqual([]);
  });

  test('says what it may not remove, which keeps no server from starting; the start that can goes on with it', async () => {
    let kept = '';
    onTestFinished(() => chmod(kept, 0o700).catch(() => {}));
    await withoutRoot(room, async () => {
      const first = await start();
      await write(first, 'anna', 'a', SAID);
      kept = await leave('replaced-2026');
      await chmod(kept, 0o500);
      const refused = await erase(first, 'anna');
      expect([refused.status, await refused.text()]).toEqual([503, expect.stringContaining(kept)]);
      await first.app.close();
      const { log, events } = collectingLog();
      const second = await useServer({ DATA_DIR: data, ADMIN_TOKEN }, { log });
      expect(events.filter(({ name }) => name === 'leftoverStays')).toMatchObject([
        { fields: { path: kept } },
      ]);
      await second.app.close();
      await chmod(kept, 0o700);
      await (await start()).app.close();
    });
    expect(await findInFiles(data, [SAID])).toEqual([]);
  });
});

describe('[P11] after a restore', () => {
  test('[P6] devices send what the backup lacks: ours, y-websocket, and what a JSON device had not sent', async () => {
    const first = await start();
    const ours = new ConnectedDevice(first.url, 'anna');
    onTestFinished(() => ours.close());
    ours.source.create('patients', 'ours', { name: 'Anna' });
    await ours.online();
    const plain = await useNative(first, 'anna', 'laptop');
    await first.app.close();
    const folder = await backUp();
    const second = await start({ PORT: String(first.port) });
    ours.source.create('patients', 'ours-later', { name: 'Cleo' });
    await ours.until(() => ours.report?.connection === 'online');
    await ours.connection.flush();
    plain.record('patients', 'plain-later').set('name', 'Ben');
    await plain.saved();
    await second.app.close();
    await restore(folder, '--replace');
    const third = await start({ PORT: String(first.port) });
    const json = await useJson(third, 'anna', 'tablet');
    json.update(
      'patients',
      { id: 'json-later', name: 'Dora' },
      { timestamp: new Date().toISOString(), ack: '1' },
    );
    await json.next('ACK');
    const found = await useNative(third, 'anna', 'new');
    const all = ['json-later', 'ours', 'ours-later', 'plain-later'];
    const records = () => Object.keys(found.json().patients ?? {}).sort();
    await expect.poll(records, { timeout: PATIENCE }).toEqual(all);
  });

  test('the operator is told when that was, and which devices have been back since', async () => {
    const folder = await backedUp();
    await restore(folder, '--replace');
    const server = await start();
    await useNative(server, 'anna', 'phone');
    const asked = await fetch(`${server.url}/admin/api/users/anna/devices`, { headers: bearer(ADMIN_TOKEN) });
    const { restoredAt, devices } = (await asked.json()) as {
      restoredAt: number;
      devices: { device: string; at: number }[];
    };
    const back = devices.filter(({ at }) => at > restoredAt).map(({ device }) => device);
    expect([back, devices.length]).toEqual([['phone'], 3]);
    const counted = async (query = '') => {
      const answer = await fetch(`${server.url}/admin/api/restored${query}`, {
        headers: bearer(ADMIN_TOKEN),
      });
      return await answer.json();
    };
    const away = ['anna laptop', 'anna tablet', 'ben tablet'];
    const all = await counted();
    expect(all).toMatchObject({ restoredAt, looked: 2, back: 1, away: 3, next: null });
    const named = all.first.map(({ user, device }: Record<string, string>) => `${user} ${device}`);
    expect(named.sort()).toEqual(away);
    await useJson(server, 'ben', 'tablet');
    expect(await counted('?after=anna')).toMatchObject({ looked: 1, back: 1, away: 0, first: [] });
  });

  test('[P6] the server writes with Yjs ids that it did not have after the backup', async () => {
    const idsOf = async (server: TestServer) => {
      const device = await useNative(server, 'anna', 'reader');
      return [...Y.decodeStateVector(Y.encodeStateVector(device.doc)).keys()];
    };
    const folder = await backedUp();
    const second = await start();
    await write(second, 'anna', 'later', 'gone');
    const lost = await idsOf(second);
    await second.app.close();
    await restore(folder, '--replace');
    const third = await start();
    const kept = await idsOf(third);
    await write(third, 'anna', 'latest', 'here');
    const made = (await idsOf(third)).filter((id) => !kept.includes(id));
    expect(made).toHaveLength(1);
    expect(lost).not.toContain(made[0]);
  });

  test.each(['beside', 'inside'])(
    '[A2] a token that was taken back stays so, its list %s the data',
    async (place) => {
      const options = { ...JWT, ADMIN_TOKEN, DATA_DIR: data };
      const inside = join(data, 'access');
      if (place === 'inside') {
        await (await startServer({ DATA_DIR: data })).app.close();
        await mkdir(inside);
        await writeFile(join(inside, 'revoked.jsonl'), '');
      }
      await (await useServer(options)).app.close();
      const folder = await backUp();
      const stolen = await tokenFor('anna', { jti: 'stolen' });
      const second = await useServer(options);
      const revoked = await fetch(`${second.url}/admin/revoke`, {
        method: 'POST',
        headers: bearer(ADMIN_TOKEN),
        body: JSON.stringify({ jti: 'stolen' }),
      });
      expect(revoked.status).toBe(200);
      await second.app.close();
      await restore(folder, '--replace');
      const third = await useServer(options);
      expect((await fetch(`${third.url}/api/sync/anna`, { headers: bearer(stolen) })).status).toBe(401);
    },
  );
});

test('[P11] a key that a restored backup needs is in use from then on, before any start', async () => {
  const file = join(room, 'keys');
  await writeFile(file, `${newKey()}\n`);
  const options = { encryptionKey: '', encryptionKeyFile: file };
  const open = () => LevelStore.open({ folder: data, keys: readKeys(options) });
  await (await open()).close();
  const folder = await backUp();
  const env = { DATA_DIR: data, ENCRYPTION_KEY_FILE: file };
  await command(['keys', 'rotate'], env);
  const store = await open();
  await store.changeKeys(readKeys(options) as KeyRing);
  await store.close();
  const states = async () => (await command(['keys', 'status'], env)).data.keys;
  expect(await states()).toMatchObject([{ state: 'current' }, { state: 'unused' }]);
  expect((await command(['restore', folder, '--replace'], env)).code).toBe(0);
  expect(await states()).toMatchObject([{ state: 'current' }, { state: 'used' }]);
});

/** Makes of the database what a restore of this backup leaves that ends while it is moved. */
async function cutOff(folder: string, place: 'restored' | 'arriving'): Promise<void> {
  const made = join(data, place);
  await mkdir(made);
  for (const name of await readdir(data)) {
    if (
      /^(CURRENT|MANIFEST.*|\d+\.(ldb|log))$/.test(name) &&
      !(place === 'arriving' && name.endsWith('.ldb'))
    )
      await rename(join(data, name), join(made, name));
  }
  await cp(join(folder, 'manifest.json'), join(made, 'manifest.json'));
}

describe('[P11] a restore that was cut off', () => {
  test('when all was made is completed by the next; a server says so instead of opening anything', async () => {
    const folder = await backedUp();
    const whole = await documentsIn(data);
    await restore(folder, '--replace');
    // As after each step of the move.
    for (const steps of [1, 2, 3]) {
      await cutOff(folder, steps === 3 ? 'arriving' : 'restored');
      if (steps === 2) await mkdir(join(data, 'departing'));
      await expect(startServer({ DATA_DIR: data })).rejects.toThrow(
        'run the same `telemed-sync restore` again',
      );
      expect((await restore(folder)).data).toEqual({ completed: true });
      expect(await documentsIn(data)).toEqual(whole);
    }
  });

  test.each(['restored', 'arriving'] as const)(
    'is not taken for one of another backup, with all made in %s',
    async (place) => {
      const first = await backedUp();
      const server = await start();
      await write(server, 'cleo', 'c', 'note of cleo');
      await server.app.close();
      const other = await backUp();
      const whole = await documentsIn(data);
      await restore(first, '--replace');
      await cutOff(first, place);
      const { createdAt } = await readManifest(first);
      const refused = await restore(other);
      expect([refused.code, refused.out]).toEqual([
        1,
        expect.stringContaining(`A restore of the backup of ${createdAt} into ${data} was cut off`),
      ]);
      expect(await readdir(data)).toContain(place);
      const restored = await restore(other, '--replace', ...NOBODY_ERASED);
      expect(restored).toMatchObject({ code: 0, data: { users: 3 } });
      expect(await documentsIn(data)).toEqual(whole);
    },
  );

  test('while it was made leaves the database of before, and is begun anew', async () => {
    const folder = await backedUp();
    await mkdir(join(data, 'restoring'));
    await writeFile(join(data, 'restoring', 'CURRENT'), 'half of it');
    const server = await start();
    await write(server, 'ben', 'more', 'since then');
    await server.app.close();
    expect((await restore(folder, '--replace')).code).toBe(0);
    expect((await documentsIn(data)).get('ben' as never)?.revision).toBe(1);
  });

  test('is not begun while a server runs', async () => {
    const folder = await backedUp();
    await start();
    const refused = await restore(folder, '--replace');
    expect([refused.code, refused.out]).toEqual([1, expect.stringContaining('in use by another process')]);
  });

  test.each(['restored', 'arriving'] as const)(
    '[P7] takes who is named as erased by then, with all made in %s',
    async (place) => {
      const folder = await backedUp();
      const { data: said } = await restore(folder, '--replace');
      await rm(String(said.replaced), { recursive: true });
      await cutOff(folder, place);
      await writeFile(join(room, 'erased'), 'anna\n');
      expect((await restore(folder, '--erased', join(room, 'erased'))).data).toEqual({ completed: true });
      await expectAnnaErased();
    },
  );
});

test('[P11] a restore that ends when the old database is let go is completed, and no server or repair takes it', async () => {
  const folder = await backedUp();
  const whole = await documentsIn(data);
  const server = await start();
  await write(server, 'cleo', 'c', 'note of cleo');
  await server.app.close();
  const old = await documentsIn(data);
  const task = await replacing(folder);
  const now = () => {
    if (!existsSync(join(data, 'CURRENT'))) throw new Error('killed');
    return Date.now();
  };
  await expect(restoreWhole({ ...task, now })).rejects.toThrow('killed');
  const cut = 'is under way or was cut off: wait for it, or run the same `telemed-sync restore` again';
  await expect(startServer({ DATA_DIR: data })).rejects.toThrow(cut);
  expect(await command(['repair', data])).toMatchObject({ code: 1, out: expect.stringContaining(cut) });
  expect((await restore(folder)).data).toEqual({ completed: true });
  expect(await documentsIn(data)).toEqual(whole);
  const [replaced = ''] = (await readdir(data)).filter((name) => name.startsWith('replaced-'));
  expect(await documentsIn(join(data, replaced))).toEqual(old);
});

describe('[P11] restores at once', () => {
  test('the second says that there is another, and the database is that of the first', async () => {
    const folder = await backedUp();
    const whole = await documentsIn(data);
    const both = await Promise.all([restore(folder, '--replace'), restore(folder, '--replace')]);
    expect(both.map(({ code }) => code).sort()).toEqual([0, 1]);
    expect(both.find(({ code }) => code === 1)?.out).toContain(`Another restore into ${data} is under way`);
    expect(await documentsIn(data)).toEqual(whole);
    expect(await readdir(data)).not.toContain('restore-lock');
  });

  test('what a killed one leaves of its lock keeps nobody out', async () => {
    const folder = await backedUp();
    await rm(data, { recursive: true });
    await mkdir(join(data, 'restore-lock'), { recursive: true });
    await writeFile(join(data, 'restore-lock', 'LOCK'), '');
    expect((await restore(folder, ...NOBODY_ERASED)).code).toBe(0);
    await rm(data, { recursive: true });
    await mkdir(join(data, 'restore-lock'), { recursive: true });
    expect(await notesOf(await start(), 'anna')).toEqual([]);
    expect(await readdir(data)).not.toContain('restore-lock');
  });

  test('a server that was started on the empty folder meanwhile keeps its database', async () => {
    const folder = await backedUp();
    await rm(data, { recursive: true });
    let server: TestServer | null = null;
    const restored = restoreWhole({
      backup: await verify(folder),
      dataDir: data,
      keys: undefined,
      replace: false,
      // Everything is made by then, beside.
      eraseMore: async (beside) => {
        await rename(beside, join(room, 'aside'));
        server = await start();
        await rename(join(room, 'aside'), beside);
        return 0;
      },
      now: Date.now,
    });
    await expect(restored).rejects.toThrow(`A database was made in ${data} while`);
    expect(server).not.toBeNull();
  });
});

test.runIf(process.platform === 'linux')(
  '[P11] a database that is replaced is let go before another comes into its folder',
  async () => {
    const folder = await backedUp();
    const open: string[][] = [];
    const task = await replacing(folder);
    const now = () => {
      if (!existsSync(join(data, 'CURRENT'))) open.push(filesOpenIn(data));
      return Date.now();
    };
    await restoreWhole({ ...task, now });
    expect(open).toEqual([[]]);
  },
);

/** Of the databases right in this folder; the lock of the restore is below it. */
const filesOpenIn = (place: string): string[] =>
  readdirSync('/proc/self/fd')
    .map((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`);
      } catch {
        return '';
      }
    })
    .filter((path) => dirname(path) === place);
