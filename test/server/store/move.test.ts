/** All that a store holds, moved into another (063). */
import { existsSync, readFileSync } from 'node:fs';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { run } from '../../../server/cli/commands.js';
import { KeyRing, newKey } from '../../../server/store/encryption/key-ring.js';
import * as format from '../../../server/store/format.js';
import { LevelStore } from '../../../server/store/level/level-store.js';
import { MOVED_TO } from '../../../server/store/level/moved-to.js';
import { clinic, recordsOf } from '../../support/clinic.js';
import { seededRandom } from '../../support/hostile.js';
import { killedMove } from '../../support/killed-move.js';
import { changeByte, editDatabase } from '../../support/level-fixture.js';
import { Author, notesOf, user, writeNotes } from '../../support/notes.js';
import { PostgresFixture, postgresUrl } from '../../support/postgres.js';
import { answersOf, FIXTURES, optionsOf } from '../../support/stored-formats.js';
import { bearer, JWT } from '../../support/tokens.js';
import { openJson, useJson, useNative, useServer } from '../../support/use.js';

const ADMIN_TOKEN = 'the-operator-of-the-test';
const LONG_AGO = Date.UTC(2026, 0, 1);
/** A run that is killed takes half a second: more of them are for who works on this. */
const KILLS = Number(process.env.MOVE_KILLS ?? 3);
const SEED = Number(process.env.TEST_SEED ?? 1);
/** After a run has begun; a whole one takes some more. */
const KILLED_WITHIN = 200;

let folder: string;
let postgres: PostgresFixture;
/** Another folder with the same database, as if it had not been moved away. */
async function copyOf(data: string): Promise<string> {
  const copy = await mkdtemp(join(folder, 'copy-'));
  await cp(data, copy, { recursive: true });
  await rm(join(copy, MOVED_TO), { force: true });
  return copy;
}

const fresh = async (): Promise<PostgresFixture> => {
  const fixture = await PostgresFixture.create();
  onTestFinished(() => fixture.remove());
  return fixture;
};
beforeEach(async () => {
  if (postgresUrl() === '') return;
  folder = await mkdtemp(join(tmpdir(), 'move-'));
  postgres = await fresh();
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
});

interface Told {
  readonly code: number | null;
  readonly error: string;
  readonly users: number;
  readonly copied: number;
  readonly revoked: number;
  readonly hash: string;
}

async function move(from: string, to: string, env: Record<string, string> = {}): Promise<Told> {
  const ending = await run(['move', '--from', from, '--to', to, '--json'], env);
  return { error: '', ...JSON.parse(ending?.out ?? '{}'), code: ending?.code ?? null };
}

async function moved(from: string, to: string, env: Record<string, string> = {}): Promise<Told> {
  const told = await move(from, to, env);
  expect(told).toMatchObject({ code: 0, error: '' });
  return told;
}

/** A folder in which a server has had three users, of whom one was erased. */
async function wardFolder(options: Record<string, string> = {}): Promise<string> {
  const data = join(folder, 'data');
  const server = await useServer({ DATA_DIR: data, ADMIN_TOKEN, ...options });
  const json = await useJson(server, 'anna', 'phone');
  for (const [collection, record] of recordsOf(clinic()).slice(0, 40)) json.update(collection, record);
  await json.saved();
  json.delete('appointments', recordsOf(clinic())[0]?.[1].id ?? '');
  await json.saved();
  const native = await useNative(server, 'bert', 'laptop');
  native.record('notes', 'n1').set('text', 'of bert');
  await native.saved();
  const gone = await useJson(server, 'gone', 'phone');
  gone.update('notes', { id: 'n1', text: 'of who is gone' });
  await gone.saved();
  await server.app.erase(user('gone'));
  await server.app.close();
  return data;
}

describe.skipIf(postgresUrl() === '')('telemed-sync move', () => {
  test.each(['1', '1-encrypted'])(
    '[P1] [P5] the database of format %s goes to PostgreSQL and back, equal by hash, and is served as before',
    async (name) => {
      const data = join(folder, 'data');
      await cp(join(FIXTURES, name, 'data'), data, { recursive: true });
      const answers = JSON.parse(readFileSync(join(FIXTURES, name, 'answers.json'), 'utf8'));
      const there = await moved(data, postgres.schema.url);
      const back = join(folder, 'back');
      const again = await moved(postgres.schema.url, back);
      expect(again).toMatchObject({ users: there.users, hash: there.hash });
      const served = join(folder, 'served');
      await cp(back, served, { recursive: true });
      const other = await fresh();
      expect((await moved(back, other.schema.url)).hash).toBe(there.hash);
      for (const place of [
        { STORE: other.schema.url, DATA_DIR: join(folder, 'node') },
        { DATA_DIR: served },
      ]) {
        const server = await useServer({ ...optionsOf(name), ...place });
        const now = await answersOf(server.url);
        for (const [path, parts] of Object.entries(answers as typeof now))
          expect(now[path]).toMatchObject(parts);
        await server.app.close();
      }
    },
  );

  test.each([
    ['plain', {}],
    ['encrypted', { ENCRYPTION_KEY: newKey() }],
  ])(
    '[P1] [N3] [P7] devices of a %s ward go on at the new store and notice nothing: ids, revisions, tags; who was erased stays so',
    async (_name, options: Record<string, string>) => {
      const data = await wardFolder(options);
      const before = await useServer({ ...options, DATA_DIR: data });
      const tag = async (url: string) => (await fetch(`${url}/api/sync/anna`)).headers.get('etag');
      const known = await tag(before.url);
      const native = await useNative(before, 'bert', 'laptop');
      const clients = [...native.doc.store.clients.keys()];
      native.offline();
      await before.app.close();
      expect(await moved(data, postgres.schema.url)).toMatchObject({ users: 3, copied: 4 });
      const node = join(folder, 'node');
      const after = await useServer({ ...options, STORE: postgres.schema.url, DATA_DIR: node });
      expect(await tag(after.url)).toBe(known);
      const [again, other] = [
        await useNative(after, 'bert', 'laptop', { doc: native.doc }),
        await useNative(after, 'bert', 'tablet'),
      ];
      expect([...again.doc.store.clients.keys()]).toEqual(clients);
      expect(other.json()).toEqual({ notes: { n1: { text: 'of bert' } } });
      again.record('notes', 'n1').set('more', 'of the new store');
      await other.until(() => other.record('notes', 'n1').get('more'));
      const gone = openJson(after, 'gone', 'phone', { autoPong: false });
      await gone.next('CONNECTION_CONFIRMED');
      gone.say({
        type: 'DATA_UPDATE',
        data: { collection: 'notes', document: { id: 'n1' }, timestamp: LONG_AGO },
      });
      expect(await gone.next('ERROR')).toMatchObject({ code: 'ERASED' });
      await after.app.close();
      const back = join(folder, 'back');
      await moved(postgres.schema.url, back);
      const home = await useServer({ ...options, DATA_DIR: back });
      const last = await useNative(home, 'bert', 'phone');
      expect(last.json()).toEqual({ notes: { n1: { text: 'of bert', more: 'of the new store' } } });
      await home.app.close();
      const checked = await run(['check', '--json'], { ...options, DATA_DIR: back });
      expect(JSON.parse(checked?.out ?? '')).toMatchObject({ findings: [] });
    },
  );

  test('[A4] revoked tokens are taken along, once, there and back', async () => {
    const data = await wardFolder();
    const lines = ['{"jti":"t1","until":null}', '{"user":"anna","before":5}'];
    await writeFile(`${data}-access/revoked.jsonl`, `${lines.join('\n')}\n{"cut o`);
    await moved(data, postgres.schema.url);
    await moved(data, postgres.schema.url);
    const { rows } = await postgres.schema.query('SELECT line FROM revocation ORDER BY seq');
    expect(rows.map(({ line }) => line)).toEqual(lines);
    const back = join(folder, 'back');
    await moved(postgres.schema.url, back);
    expect(await readFile(`${back}-access/revoked.jsonl`, 'utf8')).toBe(`${lines.join('\n')}\n`);
  });

  test('[A4] without the ACCESS_DIR of the server, in which its revoked tokens are, nothing is begun', async () => {
    const data = await wardFolder();
    const env = { ACCESS_DIR: join(folder, 'access') };
    const server = await useServer({ ...JWT, ...env, DATA_DIR: data, ADMIN_TOKEN });
    const answer = await fetch(`${server.url}/admin/revoke`, {
      method: 'POST',
      headers: bearer(ADMIN_TOKEN),
      body: '{"user":"anna"}',
    });
    expect(answer.ok).toBe(true);
    await server.app.close();
    const back = join(folder, 'back');
    expect(await move(data, back)).toMatchObject({
      code: 1,
      error: expect.stringMatching(/knows of 1 revoked tokens, and .*data-access.* has 0: set ACCESS_DIR/),
    });
    expect(existsSync(back)).toBe(false);
    expect(await moved(data, postgres.schema.url, env)).toMatchObject({ revoked: 1 });
    const { rows } = await postgres.schema.query('SELECT line FROM revocation');
    expect(rows).toMatchObject([{ line: expect.stringContaining('"user":"anna"') }]);
    await rm(env.ACCESS_DIR, { recursive: true });
    expect((await move(data, postgres.schema.url, env)).error).toMatch(/put its newest copy back, or start/);
  });

  test('[P11] when the last backup was made is not taken along: nobody backs up the other store in this way', async () => {
    const data = await wardFolder();
    expect(await run(['backup', join(folder, 'backups')], { DATA_DIR: data })).toMatchObject({ code: 0 });
    const isNoted = (path: string): Promise<boolean> =>
      editDatabase(path, async (db) => (await db.get(format.noteKey('backup'))) !== undefined);
    expect(await isNoted(data)).toBe(true);
    const { hash } = await moved(data, postgres.schema.url);
    const { rows } = await postgres.schema.query(`SELECT name FROM note WHERE name = 'backup'`);
    expect(rows).toEqual([]);
    await postgres.schema.query(`INSERT INTO note VALUES ('backup', '\\x00')`);
    const back = join(folder, 'back');
    expect((await moved(postgres.schema.url, back)).hash).toBe(hash);
    expect(await isNoted(back)).toBe(false);
  });

  test('[P5] what is damaged is moved as it is, and found there; of a damaged row nothing is moved', async () => {
    const data = await wardFolder();
    const key = format.updateKey('anna', 0);
    await editDatabase(data, (db) => changeByte(db, key, 3));
    const { hash } = await moved(data, postgres.schema.url);
    const store = await postgres.open();
    await expect(store.load(user('anna'))).rejects.toMatchObject({ code: 'DOCUMENT_CORRUPT' });
    expect(notesOf(await store.load(user('bert')))).toEqual({ n1: { text: 'of bert' } });
    store.forget(user('bert'));
    await store.close();
    const back = join(folder, 'back');
    expect((await moved(postgres.schema.url, back)).hash).toBe(hash);
    const copy = await copyOf(data);
    await editDatabase(copy, (db) => changeByte(db, format.rowKey('anna'), 1));
    expect(await move(copy, (await fresh()).schema.url)).toMatchObject({
      code: 1,
      error: expect.stringMatching(/row of the user anna is damaged: restore/),
    });
  });

  test('[P1] nothing is moved while a server has either side, and the sentence says which, and what to do', async () => {
    const data = await wardFolder();
    const server = await useServer({ DATA_DIR: data });
    expect((await move(data, postgres.schema.url)).error).toMatch(/in use by another process: stop that one/);
    await server.app.close();
    const live = await useServer({ STORE: postgres.schema.url, DATA_DIR: join(folder, 'node') });
    for (const [from, to] of [
      [data, postgres.schema.url],
      [postgres.schema.url, join(folder, 'back')],
    ] as const)
      expect((await move(from, to)).error).toMatch(/is served by a server, heard of \d s ago: stop it first/);
    await live.app.close();
    expect((await move(join(folder, 'none'), postgres.schema.url)).error).toMatch(/holds no database/);
    const { error } = await move('postgres://sync:hush/hush@127.0.0.1:1/clinic', data);
    expect(error).toMatch(/no address of a PostgreSQL/);
    expect(error).not.toContain('hush');
  });

  test('[P1] a store that holds something else, or a move of something else, is left alone', async () => {
    const data = await wardFolder();
    const other = join(folder, 'other');
    const store = await LevelStore.open({ folder: other });
    await store.load(user('carl'));
    await writeNotes(store, user('carl'), 3);
    await store.close();
    await moved(other, postgres.schema.url);
    const { error } = await move(data, postgres.schema.url);
    expect(error).toMatch(
      /holds something else already, and no move into it was begun: name an empty target/,
    );
    expect((await move(postgres.schema.url, data)).error).toMatch(/holds something else already/);
    expect(await moved(other, postgres.schema.url)).toMatchObject({ users: 1, copied: 0 });
    await setMoving(postgres, '/srv/elsewhere');
    expect((await move(other, postgres.schema.url)).error).toMatch(
      /from \/srv\/elsewhere .* complete that one/,
    );
  });

  test('[P7] a plain PostgreSQL becomes an encrypted one by way of a folder', async () => {
    const data = await wardFolder();
    await moved(data, postgres.schema.url);
    const keys = KeyRing.parse(newKey());
    await expect(postgres.open({ keys })).rejects.toThrow(/not encrypted where it is: move it to a folder/);
    const [back, other] = [join(folder, 'back'), await fresh()];
    await moved(postgres.schema.url, back);
    await (await LevelStore.open({ folder: back, keys })).close();
    await moved(back, other.schema.url);
    await expect(other.open()).rejects.toThrow(/is encrypted \(key/);
    const store = await other.open({ keys });
    expect(notesOf(await store.load(user('bert')))).toEqual({ n1: { text: 'of bert' } });
    store.forget(user('bert'));
    await store.close();
    const { rows } = await other.schema.query(
      'SELECT data AS value FROM update_row UNION ALL SELECT value FROM kept',
    );
    expect(rows.filter(({ value }) => value.includes('of bert'))).toEqual([]);
  });

  test('[P1] what is moved half is served by nobody, and not moved on', async () => {
    const data = await wardFolder();
    await moved(data, postgres.schema.url);
    const back = join(folder, 'back');
    await moved(postgres.schema.url, back);
    await setMoving(postgres, data);
    await editDatabase(back, (db) =>
      db.put(format.noteKey('moving'), format.seal(Buffer.from('postgres://x/y'), format.noteKey('moving'))),
    );
    const half = /is under way or was cut off, so part of the records is missing: .* run the same/;
    await expect(postgres.open()).rejects.toThrow(half);
    await expect(LevelStore.open({ folder: back })).rejects.toThrow(half);
    expect((await move(back, (await fresh()).schema.url)).error).toMatch(half);
    expect((await move(postgres.schema.url, join(folder, 'more'))).error).toMatch(half);
    expect(await moved(data, postgres.schema.url)).toMatchObject({ users: 3, copied: 0 });
    await (await postgres.open()).close();
  });

  test('[P1] a database of y-leveldb, or one that y-leveldb has written to since, is refused with what to do', async () => {
    const old = join(folder, 'old');
    await cp(join(FIXTURES, '0-y-leveldb', 'data'), old, { recursive: true });
    expect((await move(old, postgres.schema.url)).error).toMatch(
      /older version: start this server with it once/,
    );
    const data = await wardFolder();
    const update = new Author().set('n', 1);
    await editDatabase(data, (db) => db.put(format.updateKey('bert', 90), update));
    expect((await move(data, postgres.schema.url)).error).toMatch(/y-leveldb has written .* bert .*export/);
  });

  test(
    `[P1] killed at ${KILLS} moments (TEST_SEED=${SEED}), each way, it goes on, and the source is as it was`,
    async () => {
      const [data, random] = [join(folder, 'data'), seededRandom(SEED)];
      const keys = KeyRing.parse(newKey());
      const store = await LevelStore.open({ folder: data, keys });
      for (let n = 0; n < 60; n++) {
        await store.load(user(`user-${n}`));
        await writeNotes(store, user(`user-${n}`), n % 7);
      }
      await store.close();
      const whole = await moved(await copyOf(data), (await fresh()).schema.url);
      const back = join(folder, 'back');
      for (const [from, to] of [
        [data, postgres.schema.url],
        [postgres.schema.url, back],
      ] as const) {
        for (let kill = 0; kill < KILLS; kill++)
          await killedMove(postgres.schema, {
            from,
            to,
            isFirst: kill === 0,
            after: random() * KILLED_WITHIN,
          });
        expect(await moved(from, to)).toMatchObject({ users: whole.users, hash: whole.hash });
      }
      expect((await moved(await copyOf(data), (await fresh()).schema.url)).hash).toBe(whole.hash);
      const served = await LevelStore.open({ folder: back, keys });
      expect(notesOf(await served.load(user('user-6')))).toEqual({
        n0: 0,
        n1: 1,
        n2: 2,
        n3: 3,
        n4: 4,
        n5: 5,
      });
      await served.close();
    },
    30_000 + KILLS * 20_000,
  );
});

const setMoving = async ({ schema }: PostgresFixture, from: string): Promise<void> => {
  const value = format.seal(Buffer.from(from), format.noteKey('moving'));
  await schema.query(`INSERT INTO note (name, value) VALUES ('moving', $1)`, [value]);
};
