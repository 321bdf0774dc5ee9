/** What is said where the PostgreSQL of STORE can't be used, and how safe its connections are. */
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, test } from 'vitest';
import { Address } from '../../../../server/store/postgres/address.js';
import { Connection, connected } from '../../../../server/store/postgres/connection.js';
import { PostgresStore } from '../../../../server/store/postgres/postgres-store.js';
import { makePair, type Pair, withOpenssl } from '../../../support/certificate.js';
import { freePort } from '../../../support/free-port.js';
import { PostgresSchema, postgresAt, postgresUrl } from '../../../support/postgres.js';
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

  withOpenssl('[O1] a key in its address that is not that of the certificate is told', async () => {
    const folder = useFolder();
    const [one, other] = [makePair(folder, 'one'), makePair(folder, 'other')];
    const files = `sslcert=${one.cert}&sslkey=${other.key}`;
    const refusal = await refusalOf(`postgres://sync:hush@127.0.0.1:1/clinic?sslmode=verify-full&${files}`);
    expect(refusal).toMatchObject({
      code: 'STORE_UNAVAILABLE',
      message: expect.stringMatching(/key values mismatch.*look at sslcert and sslkey there/),
    });
    expect(String(refusal)).not.toContain('hush');
  });

  withOpenssl(
    '[O1] a file of its address that is empty or cut off is told, before anybody is asked',
    async () => {
      const { cert, key } = makePair(useFolder(), 'one');
      const whole = readFileSync(cert, 'utf8');
      const spoilt = join(useFolder(), 'spoilt');
      for (const [content, said] of [
        ['', 'is empty'],
        ['\n', 'no start line'],
        [half(whole), 'bad end line'],
        [whole + half(whole), 'sslrootcert is cut off|bad end line'],
      ] as const) {
        writeFileSync(spoilt, content);
        for (const files of [`sslrootcert=${spoilt}`, `sslcert=${spoilt}&sslkey=${key}`]) {
          const refusal = await refusalOf(`postgres://sync@127.0.0.1:1/clinic?sslmode=verify-full&${files}`);
          expect(String(refusal), `${files} ${content}`).toMatch(
            new RegExp(`names can't be used \\(.*(${said}).*\\): look at .* sslrootcert`),
          );
        }
      }
      writeFileSync(spoilt, '');
      const refusal = await refusalOf(`postgres://sync@127.0.0.1:1/clinic?sslcert=${cert}&sslkey=${spoilt}`);
      expect(String(refusal)).toContain('sslkey is empty');
    },
  );

  test('[P8] is not held open where it refuses, though it does not hang up', async () => {
    const refusing = await useRefusing();
    const place = { url: `postgres://sync:hush@127.0.0.1:${refusing.port}/clinic`, timeout: PATIENCE };
    refusing.isOn = true;
    await expect(connected(place)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    await expect(Connection.open(place, () => {})).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    await expect.poll(() => refusing.open.size, { timeout: PATIENCE }).toBe(0);
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

  it('[N1] has each statement see what was stored before it began, whatever is configured', async () => {
    const schema = await PostgresSchema.create();
    const url = schema.configured('default_transaction_isolation=serializable');
    const connection = await Connection.open({ url, timeout: 5_000 }, () => {});
    try {
      const asked = { text: `SELECT current_setting('transaction_isolation') AS level`, values: [] };
      const level = [{ level: 'read committed' }];
      expect((await connection.write(asked)).rows).toEqual(level);
      expect(await connection.read(asked)).toEqual(level);
      expect(await connection.change(asked)).toEqual(level);
      expect(await connection.beat(asked)).toEqual(level);
      expect(await connection.inTurn('SELECT 1', (ask) => ask(asked.text, []))).toEqual(level);
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

  withOpenssl.each([
    ['can not be read any more', (ca: string) => rmSync(ca)],
    ['is empty for now', (ca: string) => writeFileSync(ca, '')],
    ['is half copied', (ca: string) => writeFileSync(ca, half(readFileSync(ca, 'utf8')))],
  ])('[P3] is reached anew though a file of its address %s', async (_, spoil) => {
    const { connection, schema, ca } = await useTls();
    spoil(ca);
    await cutReaders(connection, schema);
    expect(await connection.read({ text: 'SELECT 1 AS one', values: [] })).toEqual([{ one: 1 }]);
  });

  withOpenssl(
    '[O2] tells once why what such a file held before counts, and anew when it happens anew',
    async () => {
      const { connection, schema, ca, pair, stale } = await useTls();
      for (const times of [1, 2]) {
        rmSync(ca);
        for (const _ of [1, 2]) await cutReaders(connection, schema);
        expect(stale).toHaveLength(times);
        copyFileSync(pair.cert, ca);
        await cutReaders(connection, schema);
      }
      expect(stale[1]).toMatch(/can't be read \(ENOENT.*ca\.pem.*\): look at sslrootcert/);
    },
  );

  withOpenssl('[P3] [O2] takes a store back though such a file is gone, which it tells', async () => {
    const { schema, ca, url } = await useTlsUrl();
    const states: string[] = [];
    const stale: string[] = [];
    const store = await PostgresStore.open({ url, onStale: (why) => stale.push(String(why)) });
    onTestFinished(() => store.close());
    store.onState((state) => states.push(state));
    rmSync(ca);
    await schema.cutConnections();
    await expect.poll(() => states, { timeout: PATIENCE }).toEqual(['reopening', 'ready']);
    expect(stale).toEqual([expect.stringMatching(/can't be read \(ENOENT.*ca\.pem.*\)/)]);
  });

  withOpenssl(
    '[P3] with a new certificate is read from by the file of now, though nothing was lost',
    async () => {
      const { connection, schema, ca, pair, folder } = await useTls();
      const renewed = makePair(folder, 'renewed');
      for (const part of ['cert', 'key'] as const) copyFileSync(renewed[part], pair[part]);
      copyFileSync(renewed.cert, ca);
      await cutReaders(connection, schema);
      expect(await connection.read({ text: 'SELECT 1 AS one', values: [] })).toEqual([{ one: 1 }]);
    },
  );

  withOpenssl(
    '[P3] is reached by the pair of before while only one file of a new pair is there, then by the new one',
    async () => {
      const folder = useFolder();
      const [old, renewed] = [makePair(folder, 'old'), makePair(folder, 'new')];
      const { connection, schema, seen } = await useTls(old);
      expect(new Set(seen)).toEqual(new Set(['old']));
      for (const part of ['cert', 'key'] as const) {
        seen.length = 0;
        await cutReaders(connection, schema);
        expect(new Set(seen)).toEqual(new Set(['old']));
        copyFileSync(renewed[part], old[part]);
      }
      seen.length = 0;
      await cutReaders(connection, schema);
      expect(new Set(seen)).toEqual(new Set(['new']));
    },
  );

  it('[P8] holds none open that refuses who comes later and does not hang up', async () => {
    const schema = await PostgresSchema.create();
    const refusing = await useRefusing();
    const url = schema.url
      .replace(/@[^/?]*\//, `@127.0.0.1:${refusing.port}/`)
      .replace(/(?<=[?&])host=[^&]*&?/, '');
    const connection = await Connection.open({ url, timeout: PATIENCE }, () => {});
    onTestFinished(() => connection.close());
    refusing.isOn = true;
    await schema.cutConnections();
    for (let n = 0; n < 20; n++)
      await expect(connection.read({ text: 'SELECT 1', values: [] })).rejects.toMatchObject({
        code: 'STORE_UNAVAILABLE',
      });
    await expect.poll(() => refusing.open.size, { timeout: PATIENCE }).toBe(0);
  });
});

function useFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'sync-tls-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const half = (text: string): string => text.slice(0, text.length / 2);

/** "Too many connections", as PostgreSQL says it. */
const TOO_MANY = Buffer.from('E\0\0\0\x1dSFATAL\0C53300\0Mtoo many\0\0', 'latin1');

/** A way to the PostgreSQL of the tests that refuses everybody once it `isOn`, and leaves them connected. */
async function useRefusing() {
  const open = new Set<Socket>();
  const refusing = { port: 0, open, isOn: false };
  const server = createServer((socket) => {
    open.add(socket);
    socket.on('error', () => {}).on('close', () => open.delete(socket));
    if (refusing.isOn) return socket.once('data', () => socket.write(TOO_MANY));
    const database = connect(postgresAt());
    socket.pipe(database).pipe(socket);
    socket.on('close', () => database.destroy());
    return database.on('error', () => {}).on('close', () => socket.destroy());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  refusing.port = (server.address() as AddressInfo).port;
  return refusing;
}

/**
 * The address of a server whose certificate is the one that the file `ca` trusts.
 *
 * @param own the certificate that is shown to it; the names that it is shown are `seen`
 */
async function useTlsUrl(own?: Pair) {
  const schema = await PostgresSchema.create();
  const folder = useFolder();
  const pair = makePair(folder, 'database');
  const ca = join(folder, 'ca.pem');
  copyFileSync(pair.cert, ca);
  const seen: string[] = [];
  const shown = own === undefined ? '' : `&sslcert=${own.cert}&sslkey=${own.key}`;
  const place = await useTlsDatabase(schema.url, pair, own && ((name) => seen.push(name)));
  const url = `${place}&sslmode=verify-full&sslrootcert=${ca}${shown}`;
  return { schema, folder, pair, ca, url, seen };
}

/** A connection to it; why what it read before counts is `stale`. */
async function useTls(own?: Pair) {
  const tls = await useTlsUrl(own);
  const { url } = tls;
  const stale: string[] = [];
  const known = new Address(url, (why) => stale.push(String(why)));
  const connection = await Connection.open({ url, known, timeout: PATIENCE }, () => {});
  onTestFinished(() => connection.close());
  return { ...tls, connection, stale };
}

/** All connections that read end, and those after them are new ones, which the pool makes for who waits by itself. */
async function cutReaders(connection: Connection, schema: PostgresSchema): Promise<void> {
  const slow = { text: 'SELECT pg_sleep(60)', values: [] };
  const cut = Array.from({ length: 4 }, () =>
    expect(connection.read(slow)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' }),
  );
  await asleep(schema, 4);
  const waiting = connection.read({ text: 'SELECT 1 AS one', values: [] });
  await schema.cutConnections();
  await Promise.all(cut);
  expect(await waiting).toEqual([{ one: 1 }]);
}
