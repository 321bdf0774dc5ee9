/** What is said where the PostgreSQL of STORE can't be used, and how safe its connections are. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, test } from 'vitest';
import { Connection } from '../../../../server/store/postgres/connection.js';
import { PostgresStore } from '../../../../server/store/postgres/postgres-store.js';
import { makePair, withOpenssl } from '../../../support/certificate.js';
import { freePort } from '../../../support/free-port.js';
import { PostgresSchema, postgresUrl } from '../../../support/postgres.js';
import { useTlsDatabase } from '../../../support/tls-database.js';
import { PATIENCE } from '../../../support/wait.js';

const refusalOf = (url: string): Promise<unknown> =>
  PostgresStore.open({ url }).catch((error: unknown) => error);

/** Resolves when so many connections of the schema sleep. */
function asleep(schema: PostgresSchema, count: number): Promise<void> {
  const text = `SELECT pid FROM pg_stat_activity WHERE application_name = $1 AND wait_event = 'PgSleep'`;
  const found = async () => (await schema.query(text, [schema.name])).rowCount;
  return expect.poll(found, { timeout: PATIENCE }).toBe(count);
}

describe('a PostgreSQL that can not be had', () => {
  test('[O1] nobody listens: the sentence names host, port and cure, and no password', async () => {
    const port = await freePort();
    const refusal = await refusalOf(`postgres://sync:hush-hush@127.0.0.1:${port}/clinic`);
    expect(refusal).toMatchObject({
      code: 'STORE_UNAVAILABLE',
      message: expect.stringMatching(
        new RegExp(
          `127\\.0\\.0\\.1:${port}, database clinic, can't be reached \\(.*ECONNREFUSED.*\\): start it`,
        ),
      ),
    });
    expect(String(refusal)).not.toContain('hush');
  });

  test('[O1] an address that is none says how to write one, and shows no password', async () => {
    const refusal = await refusalOf('postgres://sync:hush/hush@127.0.0.1:1/clinic');
    expect(refusal).toMatchObject({ code: 'STORE_UNAVAILABLE', message: expect.stringContaining('%40') });
    expect(String(refusal)).not.toContain('hush');
  });

  test('[O1] a file of its address that can not be read is named', async () => {
    const refusal = await refusalOf('postgres://sync:hush@127.0.0.1:1/clinic?sslrootcert=/no/such/ca.pem');
    expect(refusal).toMatchObject({
      code: 'STORE_UNAVAILABLE',
      message: expect.stringMatching(/can't be read \(ENOENT.*\/no\/such\/ca\.pem.*\): look at sslrootcert/),
    });
    expect(String(refusal)).not.toContain('hush');
  });
});

describe.skipIf(postgresUrl() === '')('a PostgreSQL that is there', () => {
  it('[O1] without the database says so', async () => {
    const elsewhere = postgresUrl().replace(/\/[^/?]*(?=$|\?)/, '/no-such-database');
    expect(await refusalOf(elsewhere)).toMatchObject({
      code: 'STORE_UNAVAILABLE',
      message: expect.stringMatching(/database no-such-database, has no such database: create it/),
    });
  });

  it('[P1] has each connection as safe as it was found, whatever is configured later', async () => {
    const schema = await PostgresSchema.create();
    const connection = await Connection.open({ url: schema.url, timeout: 5_000 }, () => {});
    try {
      const text = `SELECT setting, source FROM pg_settings WHERE name = 'synchronous_commit'`;
      const asked = { text, values: [] };
      const pinned = [{ setting: 'on', source: 'session' }];
      expect((await connection.write(asked)).rows).toEqual(pinned);
      expect(await connection.read(asked)).toEqual(pinned);
      expect(await connection.change(asked)).toEqual(pinned);
      expect(await connection.beat(asked)).toEqual(pinned);
    } finally {
      await connection.close();
    }
  });

  it('[P3] that ends connections fails what runs over them, and nothing else', async () => {
    const schema = await PostgresSchema.create();
    let losses = 0;
    const connection = await Connection.open({ url: schema.url, timeout: 5_000 }, () => losses++);
    try {
      const slow = { text: 'SELECT pg_sleep(60)', values: [] };
      const running = [
        connection.read(slow),
        connection.change(slow),
        connection.inTurn('SELECT 1', (ask) => ask(slow.text, [])),
      ].map((each) => expect(each).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' }));
      await asleep(schema, 3);
      await schema.cutConnections();
      await Promise.all(running);
      await expect.poll(() => losses).toBeGreaterThan(0);
    } finally {
      await connection.close();
    }
  });

  it('[P3] [P8] fails what waits for a connection at once where all of them are given up', async () => {
    const schema = await PostgresSchema.create();
    const connection = await Connection.open({ url: schema.url, timeout: 10 * PATIENCE }, () => {});
    const slow = { text: 'SELECT pg_sleep(60)', values: [] };
    const asked = Array.from({ length: 10 }, () => [
      connection.read(slow),
      connection.change(slow),
      connection.inTurn('SELECT 1', (ask) => ask(slow.text, [])),
    ]).flat();
    const failed = asked.map((each) => expect(each).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' }));
    await asleep(schema, 4);
    await connection.close();
    await Promise.all(failed);
  });

  withOpenssl('[P3] is reached anew though a file of its address can not be read any more', async () => {
    const schema = await PostgresSchema.create();
    const folder = mkdtempSync(join(tmpdir(), 'sync-tls-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const pair = makePair(folder, 'database');
    const url = `${await useTlsDatabase(schema.url, pair)}&sslmode=verify-full&sslrootcert=${pair.cert}`;
    const connection = await Connection.open({ url, timeout: PATIENCE }, () => {});
    try {
      rmSync(pair.cert);
      const slow = { text: 'SELECT pg_sleep(60)', values: [] };
      const cut = Array.from({ length: 4 }, () =>
        expect(connection.read(slow)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' }),
      );
      await asleep(schema, 4);
      const waiting = connection.read({ text: 'SELECT 1 AS one', values: [] });
      await schema.cutConnections();
      await Promise.all(cut);
      expect(await waiting).toEqual([{ one: 1 }]);
    } finally {
      await connection.close();
    }
  });
});
