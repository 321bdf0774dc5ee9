/** Backups, of a server that runs and of one that does not, and what is restored of them. */
import {
  appendFile,
  chmod,
  chown,
  mkdir,
  readdir,
  readFile,
  rm,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { run } from '../../../server/cli/commands.js';
import { SYSTEM_TIME } from '../../../server/clock.js';
import { collectingLog } from '../../../server/log.js';
import { newKey } from '../../../server/store/encryption/key-ring.js';
import { LevelStore } from '../../../server/store/level/level-store.js';
import type { Commit, Store } from '../../../server/store/store.js';
import type { UserId } from '../../../shared/names.js';
import { command, documentHash, documentsIn, NOBODY_ERASED, useRoom } from '../../support/backups.js';
import { findInFiles } from '../../support/raw-files.js';
import type { TestServer } from '../../support/server.js';
import { threadTimes } from '../../support/thread-times.js';
import { bearer } from '../../support/tokens.js';
import { useJson, useNative, useServer } from '../../support/use.js';
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

const post = ({ url }: TestServer, body: object, token = ADMIN_TOKEN): Promise<Response> =>
  fetch(`${url}/admin/backup`, { method: 'POST', headers: bearer(token), body: JSON.stringify(body) });

async function made(server: TestServer): Promise<string> {
  const response = await post(server, { dir: backups });
  const body = (await response.json()) as { folder: string };
  expect([response.status, body]).toEqual([200, expect.objectContaining({ folder: expect.any(String) })]);
  return body.folder;
}

async function write(server: TestServer, user: string, id: string): Promise<void> {
  const json = await useJson(server, user, 'tablet');
  json.update('appointments', { id, note: `note of ${user}` }, { ack: id });
  await json.next('ACK');
}

const recordsOf = async ({ url }: TestServer, user: string): Promise<string> =>
  (await fetch(`${url}/api/sync/${user}`)).text();

/** Each update of each document, by its revision. */
class Recorder {
  readonly commits = new Map<UserId, Commit[]>();

  over(store: Store): Store {
    const commit: Store['commit'] = (user, change) => {
      const all = this.commits.get(user) ?? [];
      this.commits.set(user, [
        ...all,
        { ...change, update: change.update && Uint8Array.from(change.update) },
      ]);
      return store.commit(user, change);
    };
    return new Proxy(store, {
      get(target, name) {
        if (name === 'commit') return commit;
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  }

  hashAt(user: UserId, revision: number): string {
    const all = (this.commits.get(user) ?? []).filter((commit) => commit.revision <= revision);
    return documentHash(all.flatMap(({ update }) => (update === null ? [] : [update])));
  }
}

describe('a backup of a server that runs', () => {
  test('[P11] is, restored, what every document was at its revision, though all are written meanwhile', async () => {
    const recorder = new Recorder();
    const store = recorder.over(await LevelStore.open({ folder: data }));
    const server = await useServer({ DATA_DIR: data, ADMIN_TOKEN }, { store });
    const devices = await Promise.all(
      Array.from({ length: 12 }, (_, index) => useNative(server, `user-${index}`, 'phone')),
    );
    let isOver = false;
    let edits = 0;
    const load = async () => {
      while (!isOver) {
        for (const device of devices)
          device.record('notes', `note-${edits++ % 50}`).set('text', 'x'.repeat(2_000) + String(edits));
        await Promise.all(devices.map((device) => device.saved()));
      }
    };
    const loaded = load();
    const folders = [await made(server), await made(server), await made(server)];
    isOver = true;
    await loaded;
    const revisions = new Set<number>();
    for (const [index, folder] of folders.entries()) {
      const DATA_DIR = join(room, `restored-${index}`);
      const restored = await command(['restore', folder, ...NOBODY_ERASED], { DATA_DIR });
      expect(restored).toMatchObject({ code: 0 });
      expect(await command(['check'], { DATA_DIR })).toMatchObject({ code: 0 });
      const found = await documentsIn(DATA_DIR);
      expect(found.size).toBe(12);
      for (const [user, { revision, hash }] of found) {
        expect([user, hash]).toEqual([user, recorder.hashAt(user, revision)]);
        revisions.add(revision);
      }
    }
    expect(revisions.size).toBeGreaterThan(2);
  });

  test('[P11] [A1] needs ADMIN_TOKEN and an absolute folder outside of the data', async () => {
    const server = await start();
    expect((await post(server, { dir: backups }, 'wrong')).status).toBe(401);
    for (const body of [{}, { dir: 'backups' }, { dir: backups, keep: 0 }, { dir: backups, more: 1 }])
      expect([body, (await post(server, body)).status]).toEqual([body, 400]);
    const inside = await post(server, { dir: join(data, 'backups') });
    expect([inside.status, await inside.json()]).toEqual([
      500,
      expect.objectContaining({
        code: 'BACKUP_FAILED',
        message: expect.stringContaining('best on another disk'),
      }),
    ]);
  });

  test('[P11] is made by the command, which asks the server; its time is in the metrics and outlives a restart', async () => {
    const server = await start();
    await write(server, 'anna', 'first');
    const env = { DATA_DIR: data, ADMIN_TOKEN, HOST: '127.0.0.1', PORT: String(server.port) };
    const { code, data: said } = await command(['backup', backups], env);
    expect([code, said]).toEqual([0, expect.objectContaining({ users: 1, encrypted: false })]);
    const wrong = await command(['backup', backups], { ...env, ADMIN_TOKEN: 'wrong-wrong-wrong' });
    expect([wrong.code, wrong.out]).toEqual([1, expect.stringContaining('set ADMIN_TOKEN as it has it')]);
    const age = async ({ url }: TestServer) =>
      /^telemed_last_backup_timestamp_seconds (\S+)/m.exec(
        await (await fetch(`${url}/metrics`, { headers: bearer(ADMIN_TOKEN) })).text(),
      )?.[1];
    const madeAt = String(Date.parse(String(said.createdAt)) / 1_000);
    expect(await age(server)).toBe(madeAt);
    await server.app.close();
    expect(await age(await start())).toBe(madeAt);
  });

  test('[P11] [H4] that is two days old is a warning in /ready, which stays 200', async () => {
    let later = 0;
    const time = { now: () => Date.now() + later, uptime: () => SYSTEM_TIME.uptime() + later };
    const server = await useServer({ DATA_DIR: data, ADMIN_TOKEN }, { time });
    const ready = async () => {
      const response = await fetch(`${server.url}/ready`);
      return [response.status, await response.json()];
    };
    expect(await ready()).toEqual([200, { status: 'ready' }]);
    await made(server);
    later = 47 * 3_600_000;
    expect(await ready()).toEqual([200, { status: 'ready' }]);
    later = 49 * 3_600_000;
    const warnings = [{ code: 'BACKUP_OLD', message: expect.stringContaining('2 days old') }];
    expect(await ready()).toEqual([200, { status: 'ready', warnings }]);
  });

  test('[P11] begins anew where a user is erased meanwhile, and does not have what was erased', async () => {
    const server = await start();
    for (let index = 0; index < 30; index += 1) await write(server, `user-${index}`, 'first');
    await write(server, 'anna', 'Zq7Wk93Vb2Xj');
    const made30 = made(server);
    await fetch(`${server.url}/admin/users/anna`, { method: 'DELETE', headers: bearer(ADMIN_TOKEN) });
    const folder = await made30;
    const later = await made(server);
    expect(await findInFiles(data, ['Zq7Wk93Vb2Xj'])).toEqual([]);
    expect(await findInFiles(later, ['Zq7Wk93Vb2Xj'])).toEqual([]);
    expect(await command(['backup', 'verify', folder])).toMatchObject({ code: 0 });
  });

  test.runIf(process.platform === 'linux')('[P11] keeps nobody waiting for more than 50 ms', async () => {
    const store = await LevelStore.open({ folder: data });
    for (let index = 0; index < 40; index += 1) {
      const user = `user-${index}` as UserId;
      await store.load(user);
      await store.setNote(`filler-${index}`, Buffer.alloc(500_000, index));
    }
    const server = await useServer({ DATA_DIR: data, ADMIN_TOKEN }, { store });
    expect(await longestTurn(() => made(server))).toBeLessThan(50);
  });
});

/** How long the longest turn of the event loop worked until it is done, in ms of CPU. */
async function longestTurn(act: () => Promise<unknown>): Promise<number> {
  let [longest, last, isDone] = [0, threadTimes().worked, false];
  const look = (): void => {
    const now = threadTimes().worked;
    longest = Math.max(longest, now - last);
    last = now;
    if (!isDone) setImmediate(look);
  };
  setImmediate(look);
  await act();
  isDone = true;
  return longest;
}

describe('a backup of a server that is stopped', () => {
  test('[P11] is the same; without a database there is none', async () => {
    expect(await command(['backup', backups], { DATA_DIR: data })).toMatchObject({
      code: 1,
      out: expect.stringContaining('holds no database'),
    });
    const server = await start();
    await write(server, 'anna', 'first');
    await server.app.close();
    const before = await documentsIn(data);
    const { data: said } = await command(['backup', backups], { DATA_DIR: data });
    const restored = join(room, 'restored');
    await command(['restore', String(said.folder), ...NOBODY_ERASED], { DATA_DIR: restored });
    expect(await documentsIn(restored)).toEqual(before);
  });

  test('[P11] stays encrypted, is made without the key, and is restored with it only', async () => {
    const ENCRYPTION_KEY = newKey();
    const server = await start({ ENCRYPTION_KEY });
    await write(server, 'anna', 'Zq7Wk93Vb2Xj');
    await server.app.close();
    const { data: said } = await command(['backup', backups], { DATA_DIR: data });
    expect(said).toMatchObject({ encrypted: true });
    expect(await findInFiles(backups, ['Zq7Wk93Vb2Xj'])).toEqual([]);
    const DATA_DIR = join(room, 'restored');
    const restore = (env: Record<string, string>) =>
      command(['restore', String(said.folder), ...NOBODY_ERASED], env);
    for (const key of [{}, { ENCRYPTION_KEY: newKey() }]) {
      const refused = await restore({ DATA_DIR, ...key });
      expect([refused.code, refused.out]).toEqual([1, expect.stringContaining('encrypted with the key')]);
    }
    expect(await restore({ DATA_DIR, ENCRYPTION_KEY })).toMatchObject({
      code: 0,
      data: { users: 1, damaged: [] },
    });
    const again = await start({ ENCRYPTION_KEY, DATA_DIR });
    expect(await recordsOf(again, 'anna')).toContain('Zq7Wk93Vb2Xj');
  });

  test('[P11] --keep removes the oldest, and what is no backup is left alone', async () => {
    await (await start()).app.close();
    await mkdir(join(backups, 'mine'), { recursive: true });
    const unfinished = join(backups, 'backup-2026-01-01T00-00-00-000Z.unfinished');
    await mkdir(unfinished);
    const folders: string[] = [];
    for (let index = 0; index < 4; index += 1) {
      const { data: said } = await command(['backup', backups, '--keep', '2'], { DATA_DIR: data });
      folders.push(String(said.folder));
    }
    const names = (await readdir(backups)).sort().map((name) => join(backups, name));
    expect(names).toEqual([...folders.slice(2), join(backups, 'mine')]);
  });
});

describe('[P11] a backup is made', () => {
  const backUp = (...more: string[]) => command(['backup', backups, ...more], { DATA_DIR: data });

  test("though an old one can't be removed, which it says each time, as the log of a server does", async () => {
    let old = '';
    onTestFinished(() => chmod(`${old}.unfinished`, 0o700).catch(() => {}));
    await withoutRoot(room, async () => {
      await (await start()).app.close();
      old = String((await backUp()).data.folder);
      await chmod(old, 0o500);
      const warnings = [expect.stringContaining(`${old}.unfinished can't be removed`)];
      for (let night = 0; night < 2; night += 1) {
        const { code, data: said } = await backUp('--keep', '1');
        expect([code, said.warnings]).toEqual([0, [expect.stringContaining("can't be removed")]]);
      }
      const { log, events } = collectingLog();
      const server = await useServer({ DATA_DIR: data, ADMIN_TOKEN }, { log });
      const response = await post(server, { dir: backups, keep: 1 });
      expect([response.status, await response.json()]).toEqual([200, expect.objectContaining({ warnings })]);
      expect(events.filter(({ name }) => name === 'backupWarned')).toHaveLength(1);
    });
    expect(await readdir(backups)).toHaveLength(2);
  });

  test('of a database without users, and removes none that has some', async () => {
    const server = await start();
    await write(server, 'anna', 'first');
    await server.app.close();
    const good = String((await backUp()).data.folder);
    await rm(data, { recursive: true });
    await (await start()).app.close();
    for (let night = 0; night < 2; night += 1) {
      const { code, data: said } = await backUp('--keep', '1');
      expect([code, said.warnings]).toEqual([0, [expect.stringContaining('DATA_DIR the right folder')]]);
    }
    expect(await command(['backup', 'verify', good])).toMatchObject({ code: 0 });
  });

  test('not where a link leads into the data', async () => {
    await (await start()).app.close();
    const link = join(room, 'link');
    await symlink(data, link);
    const refused = await command(['backup', join(link, 'backups')], { DATA_DIR: data });
    expect([refused.code, refused.out]).toEqual([1, expect.stringContaining('best on another disk')]);
    expect(await readdir(data)).not.toContain('backups');
  });

  test.skipIf(process.geteuid?.() !== 0)('by root only where it is asked of the server', async () => {
    const server = await start();
    await write(server, 'anna', 'first');
    for (const path of [data, join(data, 'CURRENT')]) await chown(path, 1_000, 1_000);
    const env = { DATA_DIR: data, ADMIN_TOKEN, HOST: '127.0.0.1', PORT: String(server.port) };
    const made = await command(['backup', backups], env);
    expect(made.code).toBe(0);
    await server.app.close();
    for (const args of [
      ['backup', backups],
      ['check'],
      ['repair', data],
      ['user', 'export', 'anna'],
      ['restore', String(made.data.folder), '--replace'],
    ]) {
      const refused = await command(args, env);
      expect([args, refused.code, refused.out]).toEqual([
        args,
        1,
        expect.stringContaining("sudo -u '#1000'"),
      ]);
    }
  });
});

test('[P11] what a killed process left of a backup that it looked at is gone a day later', async () => {
  onTestFinished(() => void vi.unstubAllEnvs());
  vi.stubEnv('TMPDIR', room);
  const kept = ['telemed-sync-user-fresh1', 'telemed-sync-notes'];
  const stale = ['telemed-sync-user-stale1', 'telemed-sync-restore-stale2'];
  for (const name of [...kept, ...stale]) {
    await mkdir(join(room, name));
    await writeFile(join(room, name, '000005.ldb'), 'records');
    const isOld = name !== kept[0];
    if (isOld) await utimes(join(room, name), 0, Date.now() / 1_000 - 86_401);
  }
  await start();
  expect((await readdir(room)).filter((name) => name.startsWith('telemed')).sort()).toEqual(kept.sort());
});

describe('telemed-sync backup verify', () => {
  async function backUp(): Promise<string> {
    const server = await start();
    await write(server, 'anna', 'first');
    await server.app.close();
    const { data: said } = await command(['backup', backups], { DATA_DIR: data });
    return String(said.folder);
  }

  test('[P11] finds each byte that changed, a file that is missing or cut off, and a backup that is none', async () => {
    const folder = await backUp();
    expect(await command(['backup', 'verify', backups])).toMatchObject({ code: 0 });
    expect((await run(['backup', 'verify', folder], {}))?.out).toMatch(/: whole, 1 user\.\n?$/);
    const segment = join(folder, '000001.rows');
    const manifest = join(folder, 'manifest.json');
    const whole = { [segment]: await readFile(segment), [manifest]: await readFile(manifest) };
    const changed = (path: string, at: number) => {
      const bytes = Buffer.from(whole[path] ?? []);
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      return writeFile(path, bytes);
    };
    const size = whole[segment]?.length ?? 0;
    const damages: readonly (() => Promise<void>)[] = [
      ...[0, 1, Math.floor(size / 2), size - 1].map((at) => () => changed(segment, at)),
      ...Array.from({ length: 10 }, (_, index) => () => changed(manifest, 20 + 40 * index)),
      () => writeFile(segment, (whole[segment] ?? Buffer.of()).subarray(0, size - 1)),
      () => appendFile(segment, 'x'),
      () => rm(segment),
      () => rm(manifest),
    ];
    for (const [index, damage] of damages.entries()) {
      await damage();
      expect([index, (await command(['backup', 'verify', backups])).code]).toEqual([index, 1]);
      const DATA_DIR = join(room, 'restored');
      const refused = await command(['restore', folder, ...NOBODY_ERASED], { DATA_DIR });
      expect([index, refused.code]).toEqual([index, 1]);
      for (const [path, bytes] of Object.entries(whole)) await writeFile(path, bytes);
    }
    expect(await command(['backup', 'verify', folder])).toMatchObject({ code: 0 });
  });

  test('[P11] restore --try changes nothing, and prints what there is', async () => {
    const folder = await backUp();
    const before = await documentsIn(data);
    expect(await command(['restore', folder, '--try'], { DATA_DIR: data })).toMatchObject({
      code: 0,
      data: { users: 1, damaged: [] },
    });
    expect(await documentsIn(data)).toEqual(before);
  });

  test('a wrong way to call is explained', async () => {
    for (const args of [
      ['backup'],
      ['backup', 'verify'],
      ['backup', 'a', 'b'],
      ['backup', 'a', '--keep', '0'],
      ['backup', 'a', '--every', 'soon'],
      ['restore'],
      ['restore', 'a', '--try', '--replace'],
    ])
      expect([args, (await command(args)).code]).toEqual([args, 2]);
  });
});
