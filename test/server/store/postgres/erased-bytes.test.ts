/** What an erasure leaves in the files of a PostgreSQL, as far as a test can see them (P7). */
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KeyRing, newKey } from '../../../../server/store/encryption/key-ring.js';
import { Author, user } from '../../../support/notes.js';
import { PostgresFixture, postgresUrl } from '../../../support/postgres.js';
import { PATIENCE } from '../../../support/wait.js';

const ANNA = user('anna');
const NOT_HERE = 'the files of the database are on another machine, or not for us to read';
/** The tables of other tests, whose bytes stay as well, may be the same ones. */
const marker = (): string => `the secret of anna ${randomUUID()}`;

describe.skipIf(postgresUrl() === '')('the files of a PostgreSQL', () => {
  let fixture: PostgresFixture;
  beforeEach(async () => {
    fixture = await PostgresFixture.create();
  });
  afterEach(() => fixture.remove());

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

  async function erased(
    keys: KeyRing | undefined,
  ): Promise<{ secret: string; wrapped: Buffer; before: Buffer[] | null }> {
    const secret = marker();
    const store = await fixture.open({ keys });
    await store.load(ANNA);
    await store.commit(ANNA, { update: new Author().set('n', secret), revision: 1 });
    const { rows } = await fixture.schema.query(`SELECT value FROM kept WHERE kind = 'key'`);
    const before = await files();
    store.forget(ANNA);
    await store.erase(ANNA, Buffer.from('erased'));
    await store.close();
    return { secret, wrapped: rows[0]?.value, before };
  }

  const has = (all: readonly Buffer[], bytes: Buffer | string): boolean =>
    all.some((file) => file.includes(bytes));

  /** Written anew they keep what a transaction of somebody else, which began before, could still see. */
  async function goneOnceAnew(tables: readonly string[], bytes: Buffer | string): Promise<void> {
    const isThere = async (): Promise<boolean> => {
      for (const table of tables) await fixture.schema.query(`VACUUM FULL ${table}`);
      return has((await files()) ?? [], bytes);
    };
    await expect.poll(isThere, { timeout: PATIENCE }).toBe(false);
  }

  it('[P7] of what is not encrypted the bytes are gone once the tables are written anew', async (context) => {
    const { before, secret } = await erased(undefined);
    const after = await files();
    if (before === null || after === null) return context.skip(NOT_HERE);
    expect(has(before, secret)).toBe(true);
    await goneOnceAnew(['update_row', 'history_row', 'kept', 'document'], secret);
  });

  it('[P7] of what is encrypted nothing was ever readable, and the key is gone with the tables of before', async (context) => {
    const { before, secret, wrapped } = await erased(KeyRing.parse(newKey()));
    const after = await files();
    if (before === null || after === null) return context.skip(NOT_HERE);
    expect([has(before, secret), has(after, secret)]).toEqual([false, false]);
    expect(has(before, wrapped)).toBe(true);
    await goneOnceAnew(['kept'], wrapped);
  });
});
