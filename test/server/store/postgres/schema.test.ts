/** How the tables come to a new version, and who goes on with them meanwhile. */
import pg from 'pg';
import { describe, expect, it, onTestFinished } from 'vitest';
import * as format from '../../../../server/store/format.js';
import { PostgresStore } from '../../../../server/store/postgres/postgres-store.js';
import { SCHEMA_VERSION } from '../../../../server/store/postgres/schema.js';
import { user } from '../../../support/notes.js';
import { PostgresSchema, postgresUrl } from '../../../support/postgres.js';
import { NO_POSTGRES, startPostgres } from '../../../support/postgres-server.js';
import { PATIENCE } from '../../../support/wait.js';

const ANNA = user('anna');
const BERT = user('bert');
/** Nobody beats by itself. */
const QUIET = { beat: 3_600_000 };

/** What a server of the second version of the tables asks, as it asked then. */
const ALIVE = 'EXISTS (SELECT FROM node n WHERE n.id = $1::int8 AND NOT n.fenced)';
const OLD = {
  start: `
WITH before AS (UPDATE node SET fenced = true WHERE address = $1::text AND NOT fenced),
old AS (DELETE FROM node WHERE fenced AND beat < now() - interval '1 day')
INSERT INTO node (address) VALUES ($1::text) RETURNING id`,
  beat: 'UPDATE node SET beat = now() WHERE id = $1::int8 AND NOT fenced RETURNING id',
  claim: `
INSERT INTO document AS d (user_id, owner) SELECT $1::text, $2::int8
 WHERE EXISTS (SELECT FROM node n WHERE n.id = $2::int8 AND NOT n.fenced)
ON CONFLICT (user_id) DO UPDATE SET owner = $2::int8, claim = d.claim + 1
 WHERE d.owner IS NULL OR d.owner = $2::int8 OR d.owner = $3::int8
    OR NOT EXISTS (SELECT FROM node n WHERE n.id = d.owner AND NOT n.fenced AND n.beat > now() - interval '10 s')
RETURNING d.doc, d.claim, d.version`,
  commit: `
WITH b AS (SELECT * FROM unnest($2::int8[], $3::int8[], $4::int8[], $5::int8[], $6::int8[], $7::int8[], $8::int8[], $9::int8[], $10::int8[])
             AS t(doc, claim, version, first, last, revision, history_from, memory, epoch)),
held AS (UPDATE document d SET version = d.version + 1, first = b.first, last = b.last, revision = b.revision,
                history_from = b.history_from, memory = nullif(b.memory, -1), epoch = nullif(b.epoch, -1)
           FROM b WHERE d.doc = b.doc AND d.claim = b.claim AND d.version = b.version AND ${ALIVE}
         RETURNING d.doc),
u AS (INSERT INTO update_row (doc, clock, data)
        SELECT x.* FROM unnest($11::int8[], $12::int8[], $13::bytea[]) x(doc, clock, data) JOIN held USING (doc)
      ON CONFLICT (doc, clock) DO UPDATE SET data = excluded.data),
h AS (INSERT INTO history_row (doc, revision, entry)
        SELECT x.* FROM unnest($14::int8[], $15::int8[], $16::bytea[]) x(doc, revision, entry) JOIN held USING (doc)
      ON CONFLICT (doc, revision) DO UPDATE SET entry = excluded.entry)
SELECT doc FROM held`,
} as const;

/** The tables as that version had them. */
const BACK = `
ALTER TABLE node DROP COLUMN version, DROP COLUMN users, DROP COLUMN taken, DROP COLUMN keys;
ALTER TABLE erasing DROP COLUMN user_id;
UPDATE schema_version SET version = 2`;

class OldServer {
  written = 0;
  readonly #client: pg.Client;
  #id = 0;
  #doc = 0;
  #claim = 0;

  private constructor(url: string) {
    this.#client = new pg.Client({ connectionString: url });
  }

  static async start(url: string, address: string): Promise<OldServer> {
    const server = new OldServer(url);
    await server.#client.connect();
    onTestFinished(() => server.#client.end());
    const [row] = await server.#ask('start', [address]);
    server.#id = Number(row.id);
    return server;
  }

  async beat(): Promise<boolean> {
    return (await this.#ask('beat', [this.#id])).length > 0;
  }

  async claim(name: string): Promise<boolean> {
    const [row] = await this.#ask('claim', [name, this.#id, 0]);
    if (row === undefined) return false;
    [this.#doc, this.#claim] = [Number(row.doc), Number(row.claim)];
    return true;
  }

  /** One update more of the user who was claimed. */
  async write(name: string): Promise<boolean> {
    const [clock, revision] = [this.written, this.written + 1];
    const update = format.seal(Buffer.from([clock & 255]), format.updateKey(name, clock));
    const entry = format.seal(Buffer.from([clock & 255]), format.historyKey(name, revision));
    const row = [this.#doc, this.#claim, clock, 0, clock, revision, 0, -1, -1].map((each) => [each]);
    const values = [this.#id, ...row, [this.#doc], [clock], [update], [this.#doc], [revision], [entry]];
    const isTaken = (await this.#ask('commit', values)).length > 0;
    if (isTaken) this.written += 1;
    return isTaken;
  }

  async #ask(name: keyof typeof OLD, values: unknown[]): Promise<pg.QueryResult['rows']> {
    return (await this.#client.query({ name, text: OLD[name], values })).rows;
  }
}

describe.skipIf(postgresUrl() === '')('a change of the tables', () => {
  it('[O5] leaves a server of an older version at work, and beside the new one', async () => {
    const schema = await PostgresSchema.create();
    const open = (address: string) => PostgresStore.open({ url: schema.url, address, ...QUIET });
    await (await open('first')).close();
    await schema.query(BACK);
    const old = await OldServer.start(schema.ownUrl, 'old');
    expect(await old.claim(ANNA)).toBe(true);
    expect(await old.write(ANNA)).toBe(true);
    let isChanged = false;
    const working = (async () => {
      while (!isChanged) if (!(await old.beat()) || !(await old.write(ANNA))) return false;
      return true;
    })();
    const store = await open('new');
    onTestFinished(() => store.close());
    isChanged = true;
    expect(await working).toBe(true);
    expect(old.written).toBeGreaterThan(1);
    const { rows } = await schema.query('SELECT version FROM schema_version');
    expect(rows).toEqual([{ version: SCHEMA_VERSION }]);
    expect(await store.nodes()).toMatchObject([
      { address: 'new', here: true },
      { address: 'old', version: '', users: 0, here: false },
    ]);

    expect(await store.owner(ANNA)).toMatchObject({ address: 'old' });
    await store.load(BERT);
    expect(await old.claim(BERT)).toBe(false);
    expect([await old.beat(), await old.write(ANNA)]).toEqual([true, true]);
    await schema.query(`UPDATE node SET beat = beat - interval '1 minute' WHERE address = 'old'`);
    const { updates, revision } = await store.load(ANNA);
    expect([updates.length, revision]).toEqual([old.written, old.written]);
    expect(await old.write(ANNA)).toBe(false);
  });

  it('[O5] does not wait for an autovacuum: PostgreSQL ends one that is in the way for a second', async (context) => {
    const own = await startPostgres(undefined, ['autovacuum_naptime=1s']);
    if (own === null) {
      context.skip(NO_POSTGRES);
      return;
    }
    onTestFinished(() => own.stop());
    const client = new pg.Client({ connectionString: own.url });
    client.on('error', () => {}); // it is ended with its PostgreSQL
    await client.connect();
    const retries: unknown[] = [];
    const open = () =>
      PostgresStore.open({ url: own.url, ...QUIET, onRetry: (error) => retries.push(error) });
    await (await open()).close();
    // So slow that it does not end by itself.
    await client.query(`
      ALTER TABLE node SET (autovacuum_vacuum_threshold = 0, autovacuum_vacuum_scale_factor = 0,
                            autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1);
      INSERT INTO node (address, fenced) SELECT repeat('x', 1000), true FROM generate_series(1, 4000);
      DELETE FROM node;
      UPDATE schema_version SET version = ${SCHEMA_VERSION - 1}`);
    const vacuum = `SELECT pid FROM pg_stat_progress_vacuum WHERE relid = 'node'::regclass`;
    await expect
      .poll(async () => (await client.query(vacuum)).rowCount, { timeout: PATIENCE, interval: 20 })
      .toBe(1);
    await (await open()).close();
    expect(retries).toEqual([]);
    await client.end();
  });
});
