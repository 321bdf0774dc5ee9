/** Starts that are stopped in between, that fail, and that come at once. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, test } from 'vitest';
import { KeyRing, newKey } from '../../../../server/store/encryption/key-ring.js';
import {
  PostgresStore,
  type PostgresStoreOptions,
} from '../../../../server/store/postgres/postgres-store.js';
import { TAKE_TURN } from '../../../../server/store/postgres/schema.js';
import {
  PostgresFixture,
  type PostgresSchema,
  postgresAt,
  postgresUrl,
  withTrigger,
} from '../../../support/postgres.js';
import { PATIENCE } from '../../../support/wait.js';

/** Options of a store, and the pauses that it makes before it tries anew, each until nobody wants it to. */
function usePauses() {
  const pauses: AbortSignal[] = [];
  const wait = async (_delay: number, signal: AbortSignal): Promise<void> => {
    pauses.push(signal);
    if (!signal.aborted) await once(signal, 'abort');
  };
  return { wait, left: () => pauses.filter(({ aborted }) => !aborted) };
}

async function portOf(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

test('[O1] a start that fails, since the connection ends before it is one, is over then', async () => {
  const port = await portOf(createServer((socket) => socket.end()));
  const { wait, left } = usePauses();
  const opened = PostgresStore.open({ url: `postgres://sync@127.0.0.1:${port}/clinic`, wait });
  await expect(opened).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  expect(left()).toEqual([]);
});

describe.skipIf(postgresUrl() === '')('a start on PostgreSQL', () => {
  let fixture: PostgresFixture;
  let schema: PostgresSchema;
  const stores: PostgresStore[] = [];
  beforeEach(async () => {
    fixture = await PostgresFixture.inOwnDatabase(); // where nobody else takes turns
    schema = fixture.schema;
    await (await fixture.open()).close(); // the tables are there
    await schema.query('DELETE FROM node');
  });
  afterEach(async () => {
    for (const store of stores.splice(0)) await store.close();
  });

  async function open(options: Partial<PostgresStoreOptions>): Promise<PostgresStore> {
    const store = await fixture.open(options);
    stores.push(store);
    return store;
  }

  const waiting = (event: string, count: number): Promise<void> => {
    const text = 'SELECT pid FROM pg_stat_activity WHERE application_name = $1 AND wait_event = $2';
    const found = async () => (await schema.query(text, [schema.name, event])).rowCount;
    return expect.poll(found, { timeout: PATIENCE }).toBe(count);
  };

  it('[O1] that fails, since its connections are ended while it waits, is over then', async () => {
    const turn = await schema.hold(TAKE_TURN);
    const { wait, left } = usePauses();
    const opened = expect(open({ wait })).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    await waiting('advisory', 1);
    await schema.cutConnections();
    await opened;
    expect(left()).toEqual([]);
    await turn.release();
  });

  it('[O5] that is parted while it looks at the tables keeps others from theirs for 5 s, not for good', async () => {
    const databases: Socket[] = [];
    onTestFinished(() => {
      for (const database of databases) database.destroy();
    });
    const front = createServer((node) => {
      const database = connect(postgresAt());
      databases.push(database); // it does not hear that the node has gone
      database.pipe(node);
      node
        .on('error', () => {})
        .on('data', (sent) => {
          if (sent.includes('CREATE TABLE IF NOT EXISTS schema_version')) node.removeAllListeners('data');
          else database.write(sent);
        });
    });
    const url = Object.assign(new URL(schema.url), { host: `127.0.0.1:${await portOf(front)}` });
    url.searchParams.delete('host');
    const parted = expect(open({ url: url.href, address: 'parted' })).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
    });
    const turns = `SELECT pid FROM pg_locks JOIN pg_stat_activity USING (pid)
       WHERE locktype = 'advisory' AND granted AND application_name = $1`;
    const taken = async () => (await schema.query(turns, [schema.name])).rowCount;
    await expect.poll(taken, { timeout: PATIENCE }).toBe(1);
    expect((await open({ address: 'other' })).state).toBe('ready');
    await parted;
  });

  it('[P7] that waits for its turn sees who started before, whatever level of isolation is configured', async () => {
    const url = schema.configured('default_transaction_isolation=repeatable\\ read');
    await withTrigger(fixture, 'INSERT ON node', 'PERFORM pg_advisory_xact_lock(1)', async () => {
      const [notes, rows] = [
        await schema.hold('LOCK TABLE note IN ACCESS EXCLUSIVE MODE'),
        await schema.hold('SELECT pg_advisory_xact_lock(1)'),
      ];
      const started = Promise.allSettled([
        open({ url, address: 'one', keys: KeyRing.parse(newKey()) }),
        open({ url, address: 'two' }),
      ]);
      await waiting('relation', 2); // both are done with the tables, and have not asked for their turn
      await notes.release();
      await waiting('advisory', 2); // one has it and adds its row, the other waits for it
      await rows.release();
      const statuses = (await started).map(({ status }) => status);
      expect(statuses.sort()).toEqual(['fulfilled', 'rejected']);
    });
  });
});
