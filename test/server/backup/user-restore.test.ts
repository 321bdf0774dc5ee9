/** One user's records brought back from a backup, as new changes. */
import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { beforeEach, describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import { newKey } from '../../../server/store/encryption/key-ring.js';
import { updateKey } from '../../../server/store/level/format.js';
import { command, useRoom } from '../../support/backups.js';
import { changeByte, editDatabase } from '../../support/level-fixture.js';
import type { TestServer } from '../../support/server.js';
import { bearer } from '../../support/tokens.js';
import { useNative, useServer } from '../../support/use.js';

const ADMIN_TOKEN = 'admin-admin-admin';

let data: string;
let backups: string;
beforeEach(async () => {
  ({ data, backups } = await useRoom());
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
    await editDatabase(data, (db) => changeByte(db, updateKey('anna', 0), 3, 8));
    expect((await command(['check'], { DATA_DIR: data })).code).toBe(1);
    expect((await restore(folder)).data).toEqual({ user: 'anna', replaced: true });
    expect(await command(['check'], { DATA_DIR: data })).toMatchObject({ code: 0 });
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
      if (state === 'damaged') await editDatabase(data, (db) => changeByte(db, updateKey('anna', 0), 3, 8));
      const refused = await restore(folder);
      expect([refused.code, refused.out]).toEqual([
        1,
        expect.stringContaining('was erased since the backup'),
      ]);
    },
  );

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
