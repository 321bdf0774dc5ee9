/** Master keys where several servers share a store: the same at all of them, and changed while they run. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { run } from '../../../../server/cli/commands.js';
import { KeyRing, newKey, wrappedWith } from '../../../../server/store/encryption/key-ring.js';
import { wrappedKey } from '../../../../server/store/format.js';
import { masterKeysAt } from '../../../../server/store/postgres/master-keys.js';
import type { PostgresStore } from '../../../../server/store/postgres/postgres-store.js';
import { Author, notesOf, user, writeNotes } from '../../../support/notes.js';
import { PostgresFixture, postgresUrl } from '../../../support/postgres.js';
import { useJson, useServer } from '../../../support/use.js';
import { PATIENCE } from '../../../support/wait.js';

const [OLD, NEW] = [newKey(), newKey()];
const old = KeyRing.parse(OLD);
const both = KeyRing.parse(`${NEW}\n${OLD}`);
const anew = KeyRing.parse(NEW);
const [ANNA, BERT, CARL] = [user('anna'), user('bert'), user('carl')];

describe.skipIf(postgresUrl() === '')('master keys of several servers', () => {
  let fixture: PostgresFixture;
  beforeEach(async () => {
    fixture = await PostgresFixture.create();
    onTestFinished(() => fixture.remove());
  });

  /** Closed when the test ends. */
  async function node(address: string, keys?: KeyRing, beat = 50): Promise<PostgresStore> {
    const store = await fixture.open({ address, keys, beat });
    onTestFinished(() => store.close());
    return store;
  }

  async function written(store: PostgresStore, name: typeof ANNA): Promise<void> {
    await store.load(name);
    await writeNotes(store, name, 2);
    store.forget(name);
    await store.letGo(name);
  }

  const read = async (store: PostgresStore, name: typeof ANNA): Promise<unknown> => {
    const notes = notesOf(await store.load(name));
    store.forget(name);
    await store.letGo(name);
    return notes;
  };

  const wrappedOf = async (): Promise<Uint8Array> =>
    (await fixture.schema.query(`SELECT value FROM kept WHERE kind = 'key'`)).rows[0]?.value;

  const dataKeyOf = (wrapped: Uint8Array): Uint8Array => {
    const dataKey = both.unwrap(wrapped, wrappedKey('anna'));
    if (dataKey === undefined) throw new Error('it does not open');
    return dataKey;
  };

  async function inUse(): Promise<{ listed: string[]; wrapped: string[] }> {
    const listed = await fixture.schema.query('SELECT id FROM master_key ORDER BY id');
    const wrapped = await fixture.schema.query(`SELECT value FROM kept WHERE kind = 'key'`);
    return {
      listed: listed.rows.map(({ id }) => id),
      wrapped: [...new Set(wrapped.rows.map(({ value }) => wrappedWith(value)))],
    };
  }

  const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

  it.each([
    ['another key', old, anew, /is encrypted with the key .*, which is not among those given/],
    ['no key', old, undefined, /is encrypted \(key .*\): set ENCRYPTION_KEY/],
    ['a key where the others have none', undefined, old, /at one, encrypts nothing.*start all with the same/],
  ])('[P7] a second one with %s does not start, and says why', async (_what, first, second, why) => {
    await node('one', first);
    await expect(node('two', second)).rejects.toThrow(why);
  });

  it('[P7] of two with different keys that start at once, one does', async () => {
    const started = await Promise.allSettled([node('one', old), node('two', anew), node('three', undefined)]);
    expect(started.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected', 'rejected']);
  });

  it('[P7] what is stored without a key is not encrypted where it is: the sentence says how it is', async () => {
    const one = await node('one');
    await written(one, ANNA);
    await one.close();
    await expect(node('one', old)).rejects.toThrow(/not encrypted where it is: move it to a folder/);
  });

  it('[P7] one server takes up a new key while it serves, and the old one is needed no more', async () => {
    const one = await node('one', old);
    await written(one, ANNA);
    await one.load(BERT);
    const changed = one.changeKeys(both);
    await writeNotes(one, BERT, 3);
    await changed;
    expect(await inUse()).toEqual({ listed: [anew.current.id], wrapped: [anew.current.id] });
    await one.close();
    const after = await node('one', anew);
    expect([await read(after, ANNA), await read(after, BERT)]).toEqual([
      { n0: 0, n1: 1 },
      { n0: 0, n1: 1, n2: 2 },
    ]);
  });

  it('[P7] a key that another server lacks is not used by any, until it has it; each opens what the other wrote', async () => {
    const [one, two] = [await node('one', old), await node('two', old)];
    await written(one, ANNA);
    await expect(one.changeKeys(both)).rejects.toThrow(/at two, does not have the key .* yet: put it into/);
    await written(one, BERT);
    expect(await read(two, BERT)).toEqual({ n0: 0, n1: 1 });
    expect((await inUse()).listed).toEqual([old.current.id]);
    await expect(two.changeKeys(both)).rejects.toThrow(/at one, does not use the key .* yet/);
    await written(two, CARL);
    expect(await read(one, CARL)).toEqual({ n0: 0, n1: 1 });
    await one.changeKeys(both);
    expect(await inUse()).toEqual({ listed: [anew.current.id], wrapped: [anew.current.id] });
    for (const store of [one, two]) expect(await read(store, ANNA)).toEqual({ n0: 0, n1: 1 });
    await expect(node('three', old)).rejects.toThrow(/is encrypted with the key/);
  });

  it('[P7] one that was silent during the change goes on only with the new key, once it is given that', async () => {
    const one = await node('one', old);
    const silent = await node('two', old, 3_600_000);
    await silent.load(ANNA);
    const author = new Author();
    await silent.commit(ANNA, { update: author.set('n', 1), revision: 1 });
    await fixture.schema.query(`UPDATE node SET beat = beat - interval '1 minute' WHERE address = 'two'`);
    await one.changeKeys(both);
    await expect(silent.commit(ANNA, { update: author.set('n', 2), revision: 2 })).rejects.toMatchObject({
      code: 'NOT_SAVED',
    });
    expect(await read(one, ANNA)).toEqual({ n: 1 });
    expect(await inUse()).toEqual({ listed: [anew.current.id], wrapped: [anew.current.id] });
    await fixture.schema.cutConnections();
    await expect.poll(() => [one.state, silent.state], { timeout: PATIENCE }).toEqual(['ready', 'reopening']);
    const given = () => silent.changeKeys(both).then(() => 'taken', reasonOf);
    await expect.poll(given, { timeout: PATIENCE }).toBe('taken');
    expect([silent.state, await read(silent, ANNA)]).toEqual(['ready', { n: 1 }]);
    await written(silent, BERT);
    expect(await inUse()).toEqual({ listed: [anew.current.id], wrapped: [anew.current.id] });
  });

  it('[P7] one that encrypts nothing and was silent does not come back to a store that others encrypt', async () => {
    const silent = await node('one', undefined, 3_600_000);
    await silent.load(ANNA);
    await fixture.schema.query(`UPDATE node SET beat = beat - interval '1 minute'`);
    await node('two', old);
    const update = new Author().set('n', 1);
    await expect(silent.commit(ANNA, { update, revision: 1 })).rejects.toMatchObject({ code: 'NOT_SAVED' });
  });

  it('[P7] one that is too old to say what keys it has counts as one without, until there is one', async () => {
    await node('one', undefined, 3_600_000);
    await fixture.schema.query('UPDATE node SET keys = NULL');
    await expect(node('two', old)).rejects.toThrow(/at one, encrypts nothing/);
  });

  it('[P7] a master key that the key of a user needs is neither forgotten nor retired', async () => {
    const one = await node('one', old);
    await written(one, ANNA);
    const first = await wrappedOf();
    const put = (value: Uint8Array) =>
      fixture.schema.query(`UPDATE kept SET value = $1 WHERE kind = 'key'`, [value]);
    await put(first.subarray(0, -1));
    await one.changeKeys(both);
    expect((await inUse()).listed).toEqual([anew.current.id, old.current.id].sort());
    await put(first);
    await one.changeKeys(both);
    expect(await inUse()).toEqual({ listed: [anew.current.id], wrapped: [anew.current.id] });
    await put(first); // by whatever means
    const folder = await mkdtemp(join(tmpdir(), 'keys-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const file = join(folder, 'keys');
    await writeFile(file, `${NEW}\n${OLD}\n`, { mode: 0o600 });
    const env = { STORE: fixture.schema.url, ENCRYPTION_KEY_FILE: file, DATA_DIR: join(folder, 'data') };
    const retired = await run(['keys', 'retire', old.current.id], env);
    expect(retired).toMatchObject({ code: 1, err: expect.stringContaining('is still in use: it stays') });
  });

  it('[P7] of many users some at a time are wrapped anew, whatever they are wrapped with', async () => {
    const one = await fixture.open({ address: 'one', keys: old, beat: 50, keysAtOnce: 2 });
    onTestFinished(() => one.close());
    const users = Array.from({ length: 7 }, (_, n) => user(`u${n}`));
    for (const each of users) await written(one, each);
    const damage = `UPDATE kept SET value = set_byte(value, 20, get_byte(value, 20) # 1) WHERE kind = 'key'
       AND doc IN (SELECT doc FROM document WHERE user_id = ANY ($1::text[]))`;
    const damaged = [users[2], users[3], users[6]]; // the whole of a part, and the last
    await fixture.schema.query(damage, [damaged]);
    await one.changeKeys(both);
    const ids = [anew.current.id, old.current.id].sort();
    const found = await inUse();
    expect([found.listed, found.wrapped.sort()]).toEqual([ids, ids]);
    await fixture.schema.query(damage, [damaged]); // as it was
    await one.changeKeys(both);
    expect(await inUse()).toEqual({ listed: [anew.current.id], wrapped: [anew.current.id] });
    for (const each of users) expect(await read(one, each)).toEqual({ n0: 0, n1: 1 });
  });

  it('[P7] of many users it is looked at some at a time what they are wrapped with, whatever is noted', async () => {
    const one = await node('one', old);
    const users = Array.from({ length: 5 }, (_, n) => user(`u${n}`));
    for (const each of users) await written(one, each);
    const wrapWith = (id: string, names: readonly string[]) =>
      fixture.schema.query(
        `UPDATE kept SET value = convert_to($1, 'UTF8') || substring(value FROM 9) WHERE kind = 'key'
          AND doc IN (SELECT doc FROM document WHERE user_id = ANY ($2::text[]))`,
        [id, names],
      );
    await wrapWith('0123abcd', ['u0', 'u1', 'u2']);
    await wrapWith('damaged!', ['u3']);
    await fixture.schema.query('DELETE FROM master_key');
    for (const atOnce of [2, 5, 1_000])
      expect(await masterKeysAt(fixture.schema.url, atOnce)).toEqual(['0123abcd', old.current.id].sort());
  });

  it('[P7] what a server wraps with the old key that came and went meanwhile is wrapped anew, too', async () => {
    const one = await node('one', old);
    await written(one, ANNA);
    const other = await fixture.schema.connect();
    await other.query(`BEGIN; SELECT value FROM kept WHERE kind = 'key' FOR UPDATE`);
    const changed = one.changeKeys(both);
    await expect.poll(() => fixture.schema.waiting(), { timeout: PATIENCE }).toBe(1);
    const two = await fixture.open({ address: 'two', keys: KeyRing.parse(`${OLD}\n${NEW}`) });
    await written(two, BERT);
    await two.close();
    await other.query('COMMIT');
    await other.end();
    await changed;
    expect(await inUse()).toEqual({ listed: [anew.current.id], wrapped: [anew.current.id] });
    expect([await read(one, ANNA), await read(one, BERT)]).toEqual([
      { n0: 0, n1: 1 },
      { n0: 0, n1: 1 },
    ]);
  });

  it('[P7] a change that was cut off is finished by the next start', async () => {
    const one = await node('one', old);
    await written(one, ANNA);
    await fixture.schema.query('INSERT INTO master_key VALUES ($1)', [anew.current.id]);
    await one.close();
    await expect(node('one', anew)).rejects.toThrow(/is encrypted with the key/);
    const again = await node('one', both);
    await again.changeKeys(both);
    expect(await inUse()).toEqual({ listed: [anew.current.id], wrapped: [anew.current.id] });
  });

  it('[P7] a file that lacks a key in use is refused, and what that one opens is open still', async () => {
    const one = await node('one', both);
    await written(await node('two', both), ANNA);
    await fixture.schema.query('INSERT INTO master_key VALUES ($1)', [old.current.id]);
    const third = KeyRing.parse(`${newKey()}\n${NEW}`);
    await expect(one.changeKeys(third)).rejects.toThrow(/is encrypted with the key .*, which is not among/);
    await fixture.schema.query(`UPDATE kept SET value = $1 WHERE kind = 'key'`, [
      old.wrap(dataKeyOf(await wrappedOf()), wrappedKey('anna')),
    ]);
    expect(await read(one, ANNA)).toEqual({ n0: 0, n1: 1 });
  });

  it('[P7] an erasure takes the key away first: nothing in any table can be opened with the master key', async () => {
    const one = await node('one', old);
    await written(one, ANNA);
    await written(one, BERT);
    // As if another server were deleting the rows, and stood still: they are there, and the key is not.
    const held = new Promise<void>((resolve, reject) => {
      void fixture.schema
        .query(
          `BEGIN; SELECT doc FROM update_row WHERE doc = (SELECT doc FROM document WHERE user_id = 'anna') FOR UPDATE`,
        )
        .then(() => resolve(), reject);
    });
    await held;
    const erased = one.erase(ANNA, Buffer.from('erased'));
    const key = `SELECT value FROM kept k JOIN document d USING (doc) WHERE k.kind = 'key'`;
    await expect
      .poll(async () => (await fixture.schema.query('SELECT count(*)::int AS n FROM erasing')).rows, {
        timeout: PATIENCE,
      })
      .toEqual([{ n: 1 }]);
    const values = await fixture.schema.query(
      'SELECT data AS value FROM update_row UNION ALL SELECT value FROM kept',
    );
    expect(values.rows.length).toBeGreaterThan(2);
    expect(values.rows.filter(({ value }) => old.unwrap(value, wrappedKey('anna')) !== undefined)).toEqual(
      [],
    );
    expect((await fixture.schema.query(key)).rowCount).toBe(1);
    await fixture.schema.query('COMMIT');
    await erased;
    expect(await read(one, BERT)).toEqual({ n0: 0, n1: 1 });
  });

  it('[P7] keys rotate, status and retire do with STORE what they do with a folder, while the server runs', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'keys-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const file = join(folder, 'keys');
    await writeFile(file, `${OLD}\n`, { mode: 0o600 });
    const env = { STORE: fixture.schema.url, ENCRYPTION_KEY_FILE: file, DATA_DIR: join(folder, 'data') };
    const server = await useServer(env);
    const phone = await useJson(server, 'anna', 'phone');
    phone.update('notes', { id: 'n1' });
    await phone.saved();
    const told = async (...words: string[]) =>
      JSON.parse((await run(['keys', ...words, '--json'], env))?.out ?? '{}');
    await told('rotate');
    await expect
      .poll(() => told('status'), { timeout: PATIENCE })
      .toMatchObject({ keys: [{ state: 'current' }, { id: old.current.id, state: 'unused' }] });
    const { keys } = await told('retire', old.current.id);
    expect(await inUse()).toEqual({ listed: [keys[0].id], wrapped: [keys[0].id] });
    await server.app.close();
    const again = await useServer(env);
    expect(await (await fetch(`${again.url}/api/sync/anna`)).json()).toMatchObject({ notes: [{ id: 'n1' }] });
    await again.app.close();
  });
});
