import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KeyRing, newKey } from '../../../../server/store/encryption/key-ring.js';
import type { PostgresStore } from '../../../../server/store/postgres/postgres-store.js';
import { ownershipContract } from '../../../contract/store-ownership-contract.js';
import { Author, notesOf, stateReached, user, writeNotes } from '../../../support/notes.js';
import { PostgresFixture, postgresUrl } from '../../../support/postgres.js';

/** Nobody beats by itself, and nobody waits long. */
const HOW = { beat: 3_600_000, patience: { slow: 200, timeout: 600 } };
const ANNA = user('anna');
const BERT = user('bert');

describe.skipIf(postgresUrl() === '')('PostgresStore on several servers', () => {
  ownershipContract('PostgresStore', async () => {
    const fixture = await PostgresFixture.create();
    const { schema } = fixture;
    return {
      open: (address) => fixture.open({ address, ...HOW }),
      silence: async (address) => {
        await schema.query(`UPDATE node SET beat = beat - interval '1 minute' WHERE address = $1`, [address]);
      },
      rewind: async (name) => {
        await schema.query(
          'UPDATE document SET version = version - 1, last = last - 1, revision = revision - 1, history_from = history_from - 1 WHERE user_id = $1',
          [name],
        );
        await schema.query(
          'DELETE FROM update_row u USING document d WHERE u.doc = d.doc AND u.clock > d.last',
        );
      },
      cutConnections: () => schema.cutConnections(),
      lock: async (name) => {
        const other = new pg.Client({ connectionString: schema.ownUrl });
        await other.connect();
        await other.query('BEGIN');
        await other.query('SELECT doc FROM document WHERE user_id = $1 FOR UPDATE', [name]);
        return {
          release: async () => {
            await other.query('COMMIT');
            await other.end();
          },
        };
      },
      remove: () => fixture.remove(),
    };
  });
});

describe.skipIf(postgresUrl() === '')('PostgresStore', () => {
  let fixture: PostgresFixture;
  let store: PostgresStore;
  beforeEach(async () => {
    fixture = await PostgresFixture.create();
  });
  afterEach(async () => {
    await store?.close();
    await fixture.remove();
  });

  it('[N1] a server whose row was fenced goes on as another node, and every user has to be loaded again', async () => {
    store = await fixture.open({ beat: 20 });
    await store.load(ANNA);
    const author = await writeNotes(store, ANNA, 1);
    await fixture.schema.query('UPDATE node SET fenced = true');
    await stateReached(store, 'reopening');
    await stateReached(store, 'ready');
    const early = store.commit(ANNA, { update: author.set('early', 1), revision: 2 });
    await expect(early).rejects.toMatchObject({ code: 'NOT_SAVED' });
    expect(notesOf(await store.load(ANNA))).toEqual({ n0: 0 });
    await store.commit(ANNA, { update: author.set('n1', 1), revision: 2 });
  });

  it('[N1] of two servers at one address the later one works; the other says why it does not, and waits', async () => {
    const reasons: string[] = [];
    const first = await fixture.open({ beat: 20, onRetry: (cause) => reasons.push(String(cause)) });
    store = await fixture.open();
    await store.load(ANNA);
    await stateReached(first, 'reopening');
    await expect.poll(() => reasons.length).toBeGreaterThan(0);
    expect(reasons[0]).toContain('Another server uses the PostgreSQL of STORE');
    await store.close();
    await stateReached(first, 'ready');
    await first.load(ANNA);
    await first.close();
  });

  it('[P3] a warning on a commit leaves open what became of it', async () => {
    store = await fixture.open();
    await store.load(ANNA);
    await warnAtUpdates(fixture, `RAISE WARNING 'canceling wait for synchronous replication'`);
    try {
      const unsure = store.commit(ANNA, { update: new Author().set('a', 1), revision: 1 });
      await expect(unsure).rejects.toMatchObject({ code: 'NOT_SAVED' });
      await stateReached(store, 'ready');
      expect((await store.load(ANNA)).revision).toBe(1);
    } finally {
      await fixture.schema.query('DROP TRIGGER said ON update_row');
    }
  });

  it('[P2] [P3] what the database refuses of one user fails nobody else', async () => {
    store = await fixture.open();
    await Promise.all([store.load(ANNA), store.load(BERT)]);
    await warnAtUpdates(fixture, `IF length(NEW.data) > 1000 THEN RAISE check_violation; END IF`);
    try {
      const [anna, bert] = [new Author(), new Author()];
      const poison = store.commit(ANNA, { update: anna.set('long', 'x'.repeat(2_000)), revision: 1 });
      const saved = store.commit(BERT, { update: bert.set('b', 1), revision: 1 });
      await expect(poison).rejects.toMatchObject({ code: 'NOT_SAVED' });
      await saved;
      expect(store.state).toBe('ready');
      expect((await store.load(ANNA)).revision).toBe(0);
    } finally {
      await fixture.schema.query('DROP TRIGGER said ON update_row');
    }
  });

  it('[P7] an erasure that a server did not finish is finished by the next', async () => {
    store = await fixture.open();
    await store.load(ANNA);
    await writeNotes(store, ANNA, 3);
    await store.close();
    const { rows } = await fixture.schema.query('UPDATE document SET doc = DEFAULT RETURNING doc');
    await fixture.schema.query('INSERT INTO erasing (doc) SELECT DISTINCT doc FROM update_row');
    expect(rows).toHaveLength(1);
    store = await fixture.open();
    const left = async (table: string): Promise<number> =>
      Number((await fixture.schema.query(`SELECT count(*) AS n FROM ${table}`)).rows[0].n);
    await expect.poll(() => left('erasing')).toBe(0);
    expect([await left('update_row'), await left('history_row')]).toEqual([0, 0]);
  });

  it('[P1] a database that acknowledges what may be lost is refused, with the cure', async () => {
    const url = fixture.schema.url.replace('search_path', 'synchronous_commit%3Doff%20-c%20search_path');
    await expect(fixture.open({ url })).rejects.toThrow('synchronous_commit is off; set it to on');
  });

  it('[P5] one that is encrypted is not opened without its key, nor encrypted afterwards', async () => {
    const keys = KeyRing.parse(newKey());
    store = await fixture.open({ keys });
    await store.close();
    await expect(fixture.open()).rejects.toThrow(`is encrypted (key ${keys.current.id})`);
    await expect(fixture.open({ keys: KeyRing.parse(newKey()) })).rejects.toThrow('not among those given');
    await fixture.schema.query('DELETE FROM master_key');
    store = await fixture.open();
    await store.load(ANNA);
    await writeNotes(store, ANNA, 1);
    await store.close();
    await expect(fixture.open({ keys })).rejects.toThrow('is not encrypted');
  });

  it('tables of a later version are refused, and left as they are', async () => {
    store = await fixture.open();
    await store.close();
    await fixture.schema.query('UPDATE schema_version SET version = 99');
    try {
      await expect(fixture.open()).rejects.toThrow('have version 99');
    } finally {
      await fixture.schema.query('UPDATE schema_version SET version = 2');
    }
  });
});

async function warnAtUpdates({ schema }: PostgresFixture, what: string): Promise<void> {
  await schema.query(
    `CREATE OR REPLACE FUNCTION said() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${what}; RETURN NEW; END $$`,
  );
  await schema.query('CREATE TRIGGER said BEFORE INSERT ON update_row FOR EACH ROW EXECUTE FUNCTION said()');
}
