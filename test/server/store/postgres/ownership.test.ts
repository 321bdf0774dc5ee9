import { readFile } from 'node:fs/promises';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KeyRing, newKey } from '../../../../server/store/encryption/key-ring.js';
import type { PostgresStore } from '../../../../server/store/postgres/postgres-store.js';
import { SCHEMA_VERSION } from '../../../../server/store/postgres/schema.js';
import type { UserId } from '../../../../shared/names.js';
import { ownershipContract } from '../../../contract/store-ownership-contract.js';
import { Author, notesOf, stateReached, user, writeNotes } from '../../../support/notes.js';
import { PostgresFixture, postgresUrl, withTrigger } from '../../../support/postgres.js';
import { PATIENCE } from '../../../support/wait.js';

/** Nobody beats by itself. */
const BEAT = 3_600_000;
const ANNA = user('anna');
const BERT = user('bert');
const TOMBSTONE = Buffer.from('erased');

describe.skipIf(postgresUrl() === '')('PostgresStore on several servers', () => {
  ownershipContract('PostgresStore', async () => {
    const fixture = await PostgresFixture.create();
    const { schema } = fixture;
    return {
      open: (address, how) => fixture.open({ address, beat: BEAT, ...how }),
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
        const other = await schema.connect();
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

  it.each([
    `RAISE WARNING 'canceling wait for synchronous replication'`,
    `RAISE NOTICE 'in the language of the database' USING ERRCODE = '01000'`,
  ])('[P3] a warning on a commit leaves open what became of it: %s', async (warning) => {
    store = await fixture.open();
    await store.load(ANNA);
    await withTrigger(fixture, 'INSERT ON update_row', warning, async () => {
      const unsure = store.commit(ANNA, { update: new Author().set('a', 1), revision: 1 });
      await expect(unsure).rejects.toMatchObject({ code: 'NOT_SAVED' });
      await stateReached(store, 'ready');
      expect((await store.load(ANNA)).revision).toBe(1);
    });
  });

  it('[P2] [P3] what the database refuses of one user fails nobody else', async () => {
    store = await fixture.open();
    await Promise.all([store.load(ANNA), store.load(BERT)]);
    await withTrigger(
      fixture,
      'INSERT ON update_row',
      `IF length(NEW.data) > 1000 THEN RAISE check_violation; END IF`,
      async () => {
        const [anna, bert] = [new Author(), new Author()];
        const poison = store.commit(ANNA, { update: anna.set('long', 'x'.repeat(2_000)), revision: 1 });
        const saved = store.commit(BERT, { update: bert.set('b', 1), revision: 1 });
        await expect(poison).rejects.toMatchObject({ code: 'NOT_SAVED' });
        await saved;
        expect(store.state).toBe('ready');
        expect((await store.load(ANNA)).revision).toBe(0);
      },
    );
  });

  it('[P7] a warning on an erasure fails it, and a notice does not', async () => {
    store = await fixture.open();
    await store.load(ANNA);
    await writeNotes(store, ANNA, 1);
    await withTrigger(fixture, 'INSERT ON kept', `RAISE WARNING 'canceling wait'`, async () => {
      await expect(store.erase(ANNA, TOMBSTONE)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    });
    await withTrigger(fixture, 'INSERT ON kept', `RAISE NOTICE 'all is well'`, async () => {
      await store.erase(ANNA, TOMBSTONE);
    });
  });

  it('[P7] an erasure that failed is finished by the one that is asked for next', async () => {
    store = await fixture.open();
    await store.load(ANNA);
    await writeNotes(store, ANNA, 3);
    await withTrigger(fixture, 'DELETE ON update_row', `RAISE EXCEPTION 'not now'`, async () => {
      await expect(store.erase(ANNA, TOMBSTONE)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    });
    await store.erase(ANNA, TOMBSTONE);
    expect((await fixture.schema.query('SELECT * FROM update_row')).rows).toEqual([]);
    expect((await fixture.schema.query('SELECT * FROM erasing')).rows).toEqual([]);
  });

  it('[P1] behind a change that was refused nothing is written that was handed over meanwhile', async () => {
    const author = new Author();
    let later: Promise<void> | null = null;
    const beforeWrite = (): void => {
      later ??= store.commit(ANNA, { update: author.set('n', 1), revision: 2 });
      later.catch(() => {});
    };
    store = await fixture.open({ beforeWrite });
    await store.load(ANNA);
    await withTrigger(
      fixture,
      'INSERT ON update_row',
      `IF length(NEW.data) > 1000 THEN RAISE check_violation; END IF`,
      async () => {
        const poison = store.commit(ANNA, { update: author.set('long', 'x'.repeat(2_000)), revision: 1 });
        await expect(poison).rejects.toMatchObject({ code: 'NOT_SAVED' });
        await expect(later).rejects.toMatchObject({ code: 'NOT_SAVED' });
        expect((await store.load(ANNA)).revision).toBe(0);
      },
    );
  });

  it('[N1] what the database gives to another server is no longer of this one, whatever its claim is', async () => {
    store = await fixture.open();
    await store.load(ANNA);
    await store.commit(ANNA, { update: new Author().set('a', 1), revision: 1 });
    await fixture.schema.query('UPDATE document SET owner = owner + 1000');
    await expect(store.confirm(ANNA)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  });

  it('lets go of users whom nobody uses any more', async () => {
    store = await fixture.open({ look: 20 });
    const used = new Set([ANNA]);
    store.serve({ isInUse: (each) => used.has(each), lose: () => {} });
    for (const each of [ANNA, BERT]) {
      await store.load(each);
      await writeNotes(store, each, 1);
      store.forget(each);
    }
    const owned = async () => {
      const { rows } = await fixture.schema.query('SELECT user_id FROM document WHERE owner IS NOT NULL');
      return rows.map(({ user_id }) => user_id);
    };
    await expect.poll(owned).toEqual([ANNA]);
    await store.confirm(ANNA);
    used.clear();
    await expect.poll(owned).toEqual([]);
  });

  it('[P3] [P8] where all connections end, loads fail at once, those that waited for one too', async () => {
    // What waits for a limit does not end in the time that this test has.
    store = await fixture.open({ beat: 20, patience: { slow: 10 * PATIENCE, timeout: 20 * PATIENCE } });
    const users = Array.from({ length: 30 }, (_, index) => user(`u${index}`));
    const release = await lockAll(fixture, users);
    try {
      const loads = users.map((each) =>
        expect(store.load(each)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' }),
      );
      await expect.poll(() => fixture.schema.waiting(), { timeout: PATIENCE }).toBe(4);
      await fixture.schema.cutConnections();
      await Promise.all(loads);
      await stateReached(store, 'ready');
    } finally {
      await release();
    }
    await Promise.all(users.map((each) => store.load(each)));
  });

  it('[N1] the beat does not wait behind loads', async () => {
    store = await fixture.open({ beat: 20 });
    const users = Array.from({ length: 6 }, (_, index) => user(`u${index}`));
    const release = await lockAll(fixture, users);
    const loads = Promise.all(users.map((each) => store.load(each)));
    const late = `SELECT beat > started + $1::interval + interval '100 ms' AS is FROM node`;
    const { rows } = await fixture.schema.query('SELECT (now() - started)::text AS since FROM node');
    try {
      await expect
        .poll(async () => (await fixture.schema.query(late, [rows[0].since])).rows, { timeout: 3_000 })
        .toEqual([{ is: true }]);
    } finally {
      await release();
    }
    await loads;
  });

  it('[P7] the list of who was erased, as BACKUP.md makes it for who restores a database', async () => {
    const guide = await readFile('docs/guides/BACKUP.md', 'utf8');
    const text = /-At -c "(SELECT [^"]+)"/.exec(guide)?.[1] ?? '';
    store = await fixture.open();
    for (const each of [ANNA, BERT]) {
      await store.load(each);
      await writeNotes(store, each, 1);
    }
    expect((await fixture.schema.query(text)).rows).toEqual([]);
    await store.erase(ANNA, TOMBSTONE);
    expect((await fixture.schema.query(text)).rows).toEqual([{ user_id: ANNA }]);
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
    const url = fixture.schema.configured('synchronous_commit=off');
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

  it('[O5] a server of a later version waits while pg_dump has the tables, and those that work save on', async () => {
    store = await fixture.open();
    await store.load(ANNA);
    const { schema } = fixture;
    const dump = new pg.Client({ connectionString: schema.ownUrl, application_name: 'pg_dump' });
    await dump.connect();
    const reasons: string[] = [];
    const waiting = `SELECT mode FROM pg_locks WHERE relation = 'node'::regclass AND NOT granted`;
    let later: Promise<PostgresStore> | null = null;
    try {
      await dump.query('BEGIN; LOCK TABLE node IN ACCESS SHARE MODE');
      await schema.query('UPDATE schema_version SET version = $1', [SCHEMA_VERSION - 1]);
      later = fixture.open({ address: 'later', onRetry: (cause) => reasons.push(String(cause)) });
      await expect
        .poll(async () => (await schema.query(waiting)).rows, { interval: 5, timeout: PATIENCE })
        .toContainEqual({ mode: 'AccessExclusiveLock' });
      await writeNotes(store, ANNA, 3);
      await expect.poll(() => reasons.length, { timeout: PATIENCE }).toBeGreaterThan(0);
      expect(reasons[0]).toMatch(/and pg_dump \(process \d+ of the PostgreSQL\) is using them: wait until/);
    } finally {
      await dump.query('COMMIT');
      await dump.end();
      await (await later)?.close();
    }
    const { rows } = await schema.query('SELECT version FROM schema_version');
    expect(rows).toEqual([{ version: SCHEMA_VERSION }]);
    expect(store.state).toBe('ready');
  });

  it('tables of a later version are refused, and left as they are', async () => {
    store = await fixture.open();
    await store.close();
    await fixture.schema.query('UPDATE schema_version SET version = 99');
    try {
      await expect(fixture.open()).rejects.toThrow('have version 99');
    } finally {
      await fixture.schema.query('UPDATE schema_version SET version = $1', [SCHEMA_VERSION - 1]);
    }
  });
});

/** Users whom nobody gets to claim until what is returned is called. */
async function lockAll({ schema }: PostgresFixture, users: readonly UserId[]): Promise<() => Promise<void>> {
  const other = await schema.connect();
  await other.query('INSERT INTO document (user_id) SELECT unnest($1::text[])', [users]);
  await other.query('BEGIN; SELECT doc FROM document FOR UPDATE');
  return async () => {
    await other.query('COMMIT');
    await other.end();
  };
}
