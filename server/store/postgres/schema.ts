/** The tables, and the steps from one version of them to the next. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientBase, QueryConfig } from 'pg';
import { SyncError } from '../../errors.js';
import type { Retrying } from '../try-until.js';
import { BEGIN } from './connection.js';
import { codeOf, whyNotPrepared } from './failures.js';

/**
 * Steps only add to what is there: while nodes are upgraded one by one, those of before work on. A step that was
 * released is never changed.
 */
const STEPS: readonly string[] = [
  `
  -- One start of a server. Of one that is fenced nothing is committed any more, for good.
  CREATE TABLE node (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    address  text        NOT NULL,
    started  timestamptz NOT NULL DEFAULT now(),
    beat     timestamptz NOT NULL DEFAULT now(),  -- by the clock of this database, never by that of a node
    fenced   boolean     NOT NULL DEFAULT false
  ) WITH (fillfactor = 50);

  -- Ownership and counters: written in each commit, so it is small, and nothing in it is indexed but its names.
  CREATE TABLE document (
    doc      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id  text   COLLATE "C" NOT NULL UNIQUE,
    owner    bigint,                              -- of node; null: nobody
    claim    bigint NOT NULL DEFAULT 1,           -- one more with each claim: who has an older one writes nothing
    version  bigint NOT NULL DEFAULT 0,           -- one more with each batch
    first    bigint NOT NULL DEFAULT 0,           -- the clocks of the updates; every one between is stored
    last     bigint NOT NULL DEFAULT -1,
    revision bigint NOT NULL DEFAULT 0,
    history_from bigint NOT NULL DEFAULT 0,
    memory   bigint,                              -- checksums
    epoch    bigint
  ) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02);

  CREATE TABLE update_row (doc bigint, clock bigint, data bytea NOT NULL, PRIMARY KEY (doc, clock))
    WITH (autovacuum_vacuum_scale_factor = 0.05);
  CREATE TABLE history_row (doc bigint, revision bigint, entry bytea NOT NULL, PRIMARY KEY (doc, revision));
  -- What is kept beside them, one value each, or one of each name.
  CREATE TABLE kept (doc bigint, kind text, name bytea, value bytea NOT NULL, PRIMARY KEY (doc, kind, name))
    WITH (fillfactor = 70);
  -- Documents that are erased, while their rows are being deleted.
  CREATE TABLE erasing (doc bigint PRIMARY KEY, since timestamptz NOT NULL DEFAULT now());
  CREATE TABLE note (name text PRIMARY KEY, value bytea NOT NULL);
  -- The ids of the keys that users' keys may be wrapped with; none where nothing is encrypted.
  CREATE TABLE master_key (id text PRIMARY KEY);
  -- What is sealed does not get smaller.
  ALTER TABLE update_row ALTER data SET STORAGE EXTERNAL;
  ALTER TABLE history_row ALTER entry SET STORAGE EXTERNAL;
  ALTER TABLE kept ALTER value SET STORAGE EXTERNAL;
  `,
  `
  -- Tokens that were taken back; the counter is locked until one is there, so that they come in the order of seq.
  CREATE TABLE revocation (seq bigint PRIMARY KEY, line text NOT NULL);
  CREATE TABLE revocation_count (seq bigint NOT NULL);
  INSERT INTO revocation_count VALUES (0);
  ALTER TABLE node ADD revoked bigint NOT NULL DEFAULT 0; -- up to which one the node has taken them
  `,
  // Who asks again for an erasure waits for what the first one has left. Null: by a server of before.
  'ALTER TABLE erasing ADD COLUMN IF NOT EXISTS user_id text COLLATE "C"',
  `
  -- What a node tells of itself with each beat, for the operator; one of before tells nothing.
  ALTER TABLE node ADD COLUMN IF NOT EXISTS version text NOT NULL DEFAULT '',
                   ADD COLUMN IF NOT EXISTS users bigint NOT NULL DEFAULT 0,
                   ADD COLUMN IF NOT EXISTS taken bigint NOT NULL DEFAULT 0;
  `,
  // The master keys that the node has, the one that it wraps with first; none where it encrypts nothing. Null: one of before.
  'ALTER TABLE node ADD COLUMN IF NOT EXISTS keys text[]',
];

/** That of the tables that this server makes. */
export const SCHEMA_VERSION = STEPS.length;

/** Any number that others are unlikely to use: nodes that start at once take turns. */
const LOCK = 7_265_318_264;
/** Until the end of the transaction. */
export const TAKE_TURN = `SELECT pg_advisory_xact_lock(${LOCK})`;
/** How long a step may take, and the others wait for it, in ms; and how long somebody else may keep it from beginning. */
const PATIENCE = 3_600_000;
/**
 * Who waits for a table holds up all that come behind, the nodes that work there too: so never for long at once, yet
 * longer than `deadlock_timeout`, after which PostgreSQL ends an autovacuum that is in the way.
 */
const STEP_WAIT = `
SELECT set_config('lock_timeout', least(setting::int + 500, 3000)::text, true)
  FROM pg_settings WHERE name = 'deadlock_timeout'`;
/** Until the next try, in ms. */
const PAUSE = 2_000;
const LOCKED = '55P03';

/** The oldest of those who have a table of ours, which is who keeps a step from it. */
const HOLDER = `
SELECT a.pid, coalesce(nullif(a.application_name, ''), 'a client') AS name FROM pg_locks l
  JOIN pg_class c ON c.oid = l.relation AND c.relkind = 'r'
  JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = current_schema()
  JOIN pg_stat_activity a ON a.pid = l.pid
 WHERE l.granted AND l.pid <> pg_backend_pid() ORDER BY a.xact_start NULLS LAST LIMIT 1`;

/** Brings the tables to the version of this server; refuses those of a later one. */
export async function migrate(client: ClientBase, onRetry: Retrying['onRetry'] = () => {}): Promise<void> {
  const until = performance.now() + PATIENCE;
  try {
    while (!(await migrateOnce(client))) {
      const cause = await heldUp(client);
      if (performance.now() >= until) throw cause;
      onRetry(cause, PAUSE);
      await sleep(PAUSE);
    }
  } catch (error) {
    throw whyNotPrepared(error);
  }
}

async function heldUp(client: ClientBase): Promise<SyncError> {
  const { rows } = await client.query<{ pid: number; name: string }>(HOLDER);
  const [holder] = rows;
  const who = holder === undefined ? 'somebody' : `${holder.name} (process ${holder.pid} of the PostgreSQL)`;
  return new SyncError(
    'STORE_UNAVAILABLE',
    `The tables of STORE have to be changed for this version of the server, and ${who} is using them: wait until that is done, or end it. Servers that work there go on meanwhile.`,
  );
}

/** In one transaction. Returns whether the tables were free for it. */
async function migrateOnce(client: ClientBase): Promise<boolean> {
  await client.query(BEGIN);
  try {
    await client.query('SET LOCAL lock_timeout = 0');
    await client.query(patient(TAKE_TURN));
    await client.query('CREATE TABLE IF NOT EXISTS schema_version (version int NOT NULL)');
    const { rows } = await client.query<{ version: number }>('SELECT version FROM schema_version');
    const version = rows[0]?.version ?? 0;
    if (version > SCHEMA_VERSION) throw tooNew(version);
    await client.query(STEP_WAIT);
    for (const step of STEPS.slice(version)) await client.query(patient(step));
    if (rows.length === 0) await client.query('INSERT INTO schema_version VALUES ($1)', [SCHEMA_VERSION]);
    else if (version < SCHEMA_VERSION)
      await client.query('UPDATE schema_version SET version = $1', [SCHEMA_VERSION]);
    await client.query('COMMIT');
    return true;
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {});
    if (codeOf(error) === LOCKED) return false;
    throw error;
  }
}

/** The driver knows such a limit of a single query, its types do not. */
const patient = (text: string): QueryConfig & { query_timeout: number } => ({
  text,
  query_timeout: PATIENCE,
});

const tooNew = (version: number): SyncError =>
  new SyncError(
    'STORE_UNAVAILABLE',
    `The tables of STORE have version ${version}, and this server knows up to ${SCHEMA_VERSION}: start the version of the server that wrote them, or a later one.`,
  );
