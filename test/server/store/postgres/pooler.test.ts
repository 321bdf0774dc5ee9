/** A pooler between the servers and their PostgreSQL. */
import { describe, expect } from 'vitest';
import { PostgresStore } from '../../../../server/store/postgres/postgres-store.js';
import { notesOf, user, writeNotes } from '../../../support/notes.js';
import { isBouncerMissing, useBouncer } from '../../../support/pgbouncer.js';
import { PostgresSchema, withPostgres } from '../../../support/postgres.js';

const ANNA = user('anna');

describe('behind PgBouncer', () => {
  const bounced = (title: string, run: () => Promise<void>) =>
    withPostgres(title, async (context) => {
      if (isBouncerMissing) context.skip('pgbouncer is not installed');
      await run();
    });

  bounced('[P1] with a connection for each session all is as without', async () => {
    const url = await useBouncer(await PostgresSchema.create(), 'session');
    const first = await PostgresStore.open({ url, address: 'first' });
    await first.load(ANNA);
    await writeNotes(first, ANNA, 3);
    const second = await PostgresStore.open({ url, address: 'second' });
    expect(await second.owner(ANNA)).toMatchObject({ address: 'first' });
    first.forget(ANNA);
    await first.letGo(ANNA);
    expect(notesOf(await second.load(ANNA))).toEqual({ n0: 0, n1: 1, n2: 2 });
    await Promise.all([first.close(), second.close()]);
  });

  bounced(
    '[P1] with one for each transaction, where settings are mixed up, a start says what to do',
    async () => {
      const url = await useBouncer(await PostgresSchema.create(), 'transaction');
      await expect(PostgresStore.open({ url })).rejects.toThrow(
        /lends each connection for a transaction only: .*pool_mode=session/,
      );
    },
  );
});
