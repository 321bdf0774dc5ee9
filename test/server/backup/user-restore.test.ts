/** One user's records brought back from a backup, as new changes. */
import { readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import { KeyRing, newKey } from '../../../server/store/encryption/key-ring.js';
import { updateRange } from '../../../server/store/format.js';
import { LevelStore } from '../../../server/store/level/level-store.js';
import { command, documentsIn, useRoom } from '../../support/backups.js';
import { changeByte, editDatabase } from '../../support/level-fixture.js';
import { findInFiles } from '../../support/raw-files.js';
import type { TestServer } from '../../support/server.js';
import { bearer } from '../../support/tokens.js';
import { useNative, useServer } from '../../support/use.js';

const ADMIN_TOKEN = 'admin-admin-admin';

let room: string;
let data: string;
let backups: string;
beforeEach(async () => {
  ({ room, data, backups } = await useRoom());
});

const start = (options: Readonly<Record<string, string>> = {}): Promise<TestServer> =>
  useServer({ DATA_DIR: data, ADMIN_TOKEN, ...options });

type Env = Readonly<Record<string, string>>;

async function backUp(env: Env = {}): Promise<string> {
  const { data: said } = await command(['backup', backups], { DATA_DIR: data, ...env });
  return String(said.folder);
}

const envOf = ({ port }: TestServer): Env => ({ ADMIN_TOKEN, HOST: '127.0.0.1', PORT: String(port) });

const restore = (folder: string, more: readonly string[] = [], env: Env = {}) =>
  command(['restore', folder, '--user', 'anna', ...more], { DATA_DIR: data, ...env });

/** anna with a text of an editor and two more notes. */
async function written(server: TestServer) {
  const device = await useNative(server, 'anna', 'phone');
  device.record('notes', 'changed').set('text', new Y.Text('as it was'));
  device.record('notes', 'deleted').set('text', 'here');
  device.record('notes', 'same').set('text', 'the same');
  await device.saved();
  return device;
}

async function changedSince(device: Awaited<ReturnType<typeof written>>): Promise<void> {
  (device.record('notes', 'changed').get('text') as Y.Text).insert(9, ', and more');
  device.collection('notes').delete('deleted');
  device.record('notes', 'new').set('text', 'since then');
  await device.saved();
}

const AS_IT_WAS = {
  changed: { text: 'as it was' },
  deleted: { text: 'here' },
  same: { text: 'the same' },
  new: { text: 'since then' },
};

/** Of the first update of anna that is there: a stop may have put several together. The same again mends it. */
const damage = () =>
  editDatabase(data, async (db) => {
    for await (const key of db.keys({ ...updateRange('anna'), limit: 1 })) return changeByte(db, key, 3, 8);
    throw new Error('anna has no update');
  });

const leftBehind = async () =>
  (await readdir(tmpdir())).filter((name) => name.startsWith('telemed-sync-user-'));

describe('[P11] telemed-sync restore --user', () => {
  test('[H6] brings records back on a server that runs, types included; what was made since stays', async () => {
    const server = await start();
    const device = await written(server);
    const folder = await backUp(envOf(server));
    await changedSince(device);
    const before = await leftBehind();
    const { code, data: said } = await restore(folder, [], envOf(server));
    expect([code, said]).toEqual([0, { user: 'anna', records: 3, changed: 2 }]);
    await device.until(() => device.json().notes?.deleted !== undefined);
    expect(device.json().notes).toEqual(AS_IT_WAS);
    expect(device.record('notes', 'changed').get('text')).toBeInstanceOf(Y.Text);
    const page = await fetch(`${server.url}/api/history/anna?limit=1`);
    expect(await page.json()).toMatchObject({ entries: [{ via: 'restore', actor: '~operator' }] });
    expect(await leftBehind()).toEqual(before);
    expect((await restore(folder, [], envOf(server))).data).toMatchObject({ changed: 0 });
  });

  test('brings them back as they were at a time before the backup; before there was any, nothing', async () => {
    const server = await start();
    const device = await written(server);
    await new Promise((resolve) => setTimeout(resolve, 5)); // times have ms
    const at = new Date().toISOString();
    await new Promise((resolve) => setTimeout(resolve, 5));
    await changedSince(device);
    const folder = await backUp(envOf(server));
    expect((await restore(folder, ['--at', at], envOf(server))).data).toMatchObject({
      records: 3,
      changed: 2,
    });
    await device.until(() => device.json().notes?.deleted !== undefined);
    expect(device.json().notes).toEqual(AS_IT_WAS);
    const none = await restore(folder, ['--at', '2020-01-01'], envOf(server));
    expect(none.data).toMatchObject({ records: 0, changed: 0 });
  });

  test('on a server that is stopped, encrypted', async () => {
    const ENCRYPTION_KEY = newKey();
    const server = await start({ ENCRYPTION_KEY });
    const device = await written(server);
    const folder = await backUp(envOf(server));
    await changedSince(device);
    device.close();
    await server.app.close();
    expect((await restore(folder, [], { ENCRYPTION_KEY })).data).toMatchObject({ changed: 2 });
    const reader = await useNative(await start({ ENCRYPTION_KEY }), 'anna', 'reader');
    expect(reader.json().notes).toEqual(AS_IT_WAS);
  });

  test('[P5] puts the backup in the place of a damaged document; devices bring what it lacks', async () => {
    const first = await start();
    const device = await written(first);
    const folder = await backUp(envOf(first));
    await changedSince(device);
    device.offline();
    await first.app.close();
    await damage();
    expect((await command(['check'], { DATA_DIR: data })).code).toBe(1);
    const { data: said } = await restore(folder);
    expect(said).toEqual({ user: 'anna', replaced: expect.stringContaining(join(data, 'replaced-')) });
    expect(await command(['check'], { DATA_DIR: data })).toMatchObject({ code: 0 });
    const kept = await command(['check'], { DATA_DIR: String(said.replaced) });
    const found = expect.objectContaining({ user: 'anna', part: 'document' });
    expect(kept.data).toMatchObject({ users: 1, findings: expect.arrayContaining([found]) });
    const second = await start({ PORT: String(first.port) });
    await device.online();
    const reader = await useNative(second, 'anna', 'reader');
    expect(reader.json()).toEqual(device.json());
    expect(Object.keys(reader.json().notes ?? {}).sort()).toEqual(['changed', 'new', 'same']);
  });

  test.each(['whole', 'damaged'])(
    '[P7] brings nothing back of who was erased since, the document %s',
    async (state) => {
      const server = await start();
      await written(server);
      const folder = await backUp(envOf(server));
      await fetch(`${server.url}/admin/users/anna`, { method: 'DELETE', headers: bearer(ADMIN_TOKEN) });
      if (state === 'damaged') await written(server);
      await server.app.close();
      if (state === 'damaged') await damage();
      const refused = await restore(folder);
      expect([refused.code, refused.out]).toEqual([
        1,
        expect.stringContaining('was erased since the backup'),
      ]);
    },
  );

  test.each(['stopped', 'running'])(
    '[P5] leaves a whole document alone where the one in the backup is damaged, the server %s',
    async (state) => {
      const first = await start();
      await written(first);
      await first.app.close();
      await damage();
      const folder = await backUp();
      await damage();
      const before = await documentsIn(data);
      const server = state === 'running' ? await start() : null;
      const refused = await restore(folder, [], server === null ? {} : envOf(server));
      expect([refused.code, refused.out]).toEqual([1, expect.stringContaining('has of anna is damaged')]);
      await server?.app.close();
      expect(await documentsIn(data)).toEqual(before);
    },
  );

  test('[P5] leaves a damaged document as it is where the backup has none of that user', async () => {
    const first = await start();
    const ben = await useNative(first, 'ben', 'phone');
    ben.record('notes', 'one').set('text', 'of ben');
    await ben.saved();
    const folder = await backUp(envOf(first));
    await written(first);
    await first.app.close();
    const before = await documentsIn(data);
    await damage();
    const refused = await restore(folder);
    expect([refused.code, refused.out]).toEqual([1, expect.stringContaining('has no document of anna')]);
    await damage();
    expect(await documentsIn(data)).toEqual(before);
  });

  test('[P5] refuses a folder without a database instead of making one', async () => {
    await (await start()).app.close();
    const folder = await backUp();
    const refused = await restore(folder, [], { DATA_DIR: join(room, 'mistyped') });
    expect([refused.code, refused.out]).toEqual([1, expect.stringContaining('holds no database')]);
    expect(await readdir(room)).not.toContain('mistyped');
  });

  test('[A1] needs ADMIN_TOKEN; a wrong way to call it is explained', async () => {
    const server = await start();
    const post = (body: object, token: string) =>
      fetch(`${server.url}/admin/users/anna/restore`, {
        method: 'POST',
        headers: bearer(token),
        body: JSON.stringify(body),
      });
    expect((await post({ backup: backups }, 'wrong')).status).toBe(401);
    for (const body of [{}, { backup: 'x' }, { backup: backups, at: 'soon' }, { backup: backups, more: 1 }])
      expect([body, (await post(body, ADMIN_TOKEN)).status]).toEqual([body, 400]);
    expect((await post({ backup: backups }, ADMIN_TOKEN)).status).toBe(500);
    for (const args of [
      ['x', '--at', '2020-01-01'],
      ['x', '--user', ''],
      ['x', '--user', 'anna', '--replace'],
      ['x', '--user', 'anna', '--at', 'soon'],
    ])
      expect([args, (await command(['restore', ...args])).code]).toEqual([args, 2]);
  });
});

describe('[P5] a damaged document is replaced as the database is encrypted by now', () => {
  const check = (ENCRYPTION_KEY: string) => command(['check'], { DATA_DIR: data, ENCRYPTION_KEY });

  /** As a server with these keys does at its start; the first one is the current key. */
  async function openWith(...keys: readonly string[]): Promise<void> {
    const ring = KeyRing.parse(keys.join('\n'));
    const store = await LevelStore.open({ folder: data, keys: ring });
    await store.changeKeys(ring);
    await store.close();
  }

  async function stoppedWith(options: Env): Promise<string> {
    const server = await start(options);
    await written(server);
    await server.app.close();
    return backUp();
  }

  test('[P7] from a backup that is not encrypted', async () => {
    const folder = await stoppedWith({});
    const ENCRYPTION_KEY = newKey();
    await openWith(ENCRYPTION_KEY);
    await damage();
    expect((await restore(folder, [], { ENCRYPTION_KEY })).code).toBe(0);
    expect(await check(ENCRYPTION_KEY)).toMatchObject({ code: 0 });
    expect((await documentsIn(data, KeyRing.parse(ENCRYPTION_KEY))).size).toBe(1);
    expect(await findInFiles(data, ['as it was', 'the same'])).toEqual([]);
  });

  test('from a backup under a key that was retired since', async () => {
    const [before, now] = [newKey(), newKey()];
    const folder = await stoppedWith({ ENCRYPTION_KEY: before });
    await openWith(now, before);
    await damage();
    const file = join(room, 'keys');
    await writeFile(file, `${now}\n${before}\n`, { mode: 0o600 });
    expect((await restore(folder, [], { ENCRYPTION_KEY_FILE: file })).code).toBe(0);
    expect(await check(now)).toMatchObject({ code: 0 });
  });
});
