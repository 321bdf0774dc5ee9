/** Starts that come at once. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KeyRing, newKey } from '../../../../server/store/encryption/key-ring.js';
import type {
  PostgresStore,
  PostgresStoreOptions,
} from '../../../../server/store/postgres/postgres-store.js';
import { PostgresFixture, type PostgresSchema, postgresUrl, withTrigger } from '../../../support/postgres.js';
import { PATIENCE } from '../../../support/wait.js';

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
