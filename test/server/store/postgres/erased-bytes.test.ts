/** What an erasure leaves in the files of a PostgreSQL, as far as a test can see them (P7). */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { KeyRing, newKey } from '../../../../server/store/encryption/key-ring.js';
import { Author, user } from '../../../support/notes.js';
import { PostgresFixture, postgresUrl } from '../../../support/postgres.js';
import { PATIENCE } from '../../../support/wait.js';

const ANNA = user('anna');
const NOT_HERE = 'the files of the database are on another machine, or not for us to read';
const SECRET = 'the secret of anna';

describe.skipIf(postgresUrl() === '')('the files of a PostgreSQL', () => {
  let fixture: PostgresFixture;
  beforeEach(async () => {
    fixture = await PostgresFixture.inOwnDatabase();
  });

  /** Those of the tables; `null` where they can't be read, which fails in CI. */
  async function files(): Promise<Buffer[] | null> {
    const { schema } = fixture;
    await schema.query('CHECKPOINT');
    const [place] = (await schema.query('SHOW data_directory')).rows;
    const { rows } = await schema.query(
      `SELECT pg_relation_filepath(c.oid) AS path, pg_relation_filepath(nullif(c.reltoastrelid, 0)) AS toast
         FROM pg_class c WHERE c.relnamespace = $1::regnamespace AND c.relkind IN ('r', 'i')`,
      [schema.name],
    );
    const paths = rows.flatMap(({ path, toast }) => [path, toast]).filter((path) => path !== null);
    const all = paths.map((path) => join(place.data_directory, path));
    return process.env.CI || all.every((path) => existsSync(path))
      ? all.map((path) => readFileSync(path))
      : null;
  }

  async function erased(keys: KeyRing | undefined): Promise<{ wrapped: Buffer; before: Buffer[] | null }> {
    const store = await fixture.open({ keys });
    await store.load(ANNA);
    await store.commit(ANNA, { update: new Author().set('n', SECRET), revision: 1 });
    const { rows } = await fixture.schema.query(`SELECT value FROM kept WHERE kind = 'key'`);
    const before = await files();
    store.forget(ANNA);
    await store.erase(ANNA, Buffer.from('erased'));
    await store.close();
    return { wrapped: rows[0]?.value, before };
  }

  const has = (all: readonly Buffer[], bytes: Buffer | string): boolean =>
    all.some((file) => file.includes(bytes));

  /** Written anew they keep what a transaction that began before, such as an ANALYZE, could still see. */
  async function goneOnceAnew(tables: readonly string[], bytes: Buffer | string): Promise<void> {
    const isThere = async (): Promise<boolean> => {
      for (const table of tables) await fixture.schema.query(`VACUUM FULL ${table}`);
      return has((await files()) ?? [], bytes);
    };
    await expect.poll(isThere, { timeout: PATIENCE }).toBe(false);
  }

  it('[P7] of what is not encrypted the bytes are gone once the tables are written anew', async (context) => {
    const { before } = await erased(undefined);
    const after = await files();
    if (before === null || after === null) return context.skip(NOT_HERE);
    expect(has(before, SECRET)).toBe(true);
    await goneOnceAnew(['update_row', 'history_row', 'kept', 'document'], SECRET);
  });

  it('[P7] of what is encrypted nothing was ever readable, and the key is gone with the tables of before', async (context) => {
    const { before, wrapped } = await erased(KeyRing.parse(newKey()));
    const after = await files();
    if (before === null || after === null) return context.skip(NOT_HERE);
    expect([has(before, SECRET), has(after, SECRET)]).toEqual([false, false]);
    expect(has(before, wrapped)).toBe(true);
    await goneOnceAnew(['kept'], wrapped);
  });
});
