/** What tests on PostgreSQL share: a schema of its own for each, in the one database of the run. */
import pg from 'pg';
import { inject, it, onTestFinished } from 'vitest';
import { PostgresStore, type PostgresStoreOptions } from '../../server/store/postgres/postgres-store.js';

export const postgresUrl = (): string => inject('postgresUrl');
export const withPostgres = it.skipIf(postgresUrl() === '');

/** Where it listens. */
export function postgresAt(): { readonly path: string } | { readonly host: string; readonly port: number } {
  const { host, port } = new pg.Client({ connectionString: postgresUrl() });
  return host.startsWith('/') ? { path: `${host}/.s.PGSQL.${port}` } : { host, port };
}

let count = 0;

export class PostgresSchema {
  readonly name = `t${process.pid}_${Date.now().toString(36)}_${count++}`;
  /** For the test itself. */
  readonly ownUrl: string;
  /** For a store, or a server: what it creates goes into this schema. */
  readonly url: string;
  readonly #client: pg.Client;

  private constructor(database: string) {
    this.ownUrl = urlWith(database, `-c search_path=${this.name}`);
    this.url = `${this.ownUrl}&application_name=${this.name}`;
    this.#client = new pg.Client({ connectionString: this.ownUrl });
  }

  static async create(database = postgresUrl()): Promise<PostgresSchema> {
    const schema = new PostgresSchema(database);
    await schema.#client.connect();
    await schema.query(`CREATE SCHEMA ${schema.name}`);
    return schema;
  }

  query(text: string, values: unknown[] = []): Promise<pg.QueryResult> {
    return this.#client.query(text, values);
  }

  /** Another connection of the test. */
  async connect(): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: this.ownUrl });
    await client.connect();
    return client;
  }

  /** As another connection has it until `release`. */
  async hold(lock: string): Promise<{ release(): Promise<void> }> {
    const other = await this.connect();
    await other.query(`BEGIN; ${lock}`);
    return {
      release: async () => {
        await other.query('COMMIT');
        await other.end();
      },
    };
  }

  /** As `url`, where somebody has configured this for the database or its user: `name=value`. */
  configured(setting: string): string {
    return this.url.replace('search_path', encodeURIComponent(`${setting} -c search_path`));
  }

  close(): Promise<void> {
    return this.#client.end();
  }

  /** How many statements of stores wait for a lock. */
  async waiting(): Promise<number> {
    const text = `SELECT pid FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'`;
    return (await this.query(text, [this.name])).rowCount ?? 0;
  }

  /** Those of all stores in it. */
  async cutConnections(): Promise<void> {
    await this.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1', [
      this.name,
    ]);
  }
}

function urlWith(base: string, options: string): string {
  return `${base}${base.includes('?') ? '&' : '?'}options=${encodeURIComponent(options)}`;
}

const FREE: PostgresSchema[] = [];

/** The stores of one schema, as nodes that share it. */
export class PostgresFixture {
  readonly schema: PostgresSchema;
  #fails = false;

  private constructor(schema: PostgresSchema) {
    this.schema = schema;
  }

  static async create(): Promise<PostgresFixture> {
    return new PostgresFixture(FREE.pop() ?? (await PostgresSchema.create()));
  }

  /**
   * For a test in a database of its own, gone when it ends: PostgreSQL keeps the bytes of what a transaction that
   * began before in the same database, such as one of another test, could still see.
   */
  static async inOwnDatabase(): Promise<PostgresFixture> {
    const { schema: admin } = await PostgresFixture.create();
    const name = `${admin.name}_${count++}`;
    await admin.query(`CREATE DATABASE ${name}`);
    const url = new URL(postgresUrl());
    url.pathname = name;
    const schema = await PostgresSchema.create(url.href);
    onTestFinished(async () => {
      await schema.close();
      await admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
      FREE.push(admin);
    });
    return new PostgresFixture(schema);
  }

  open(options: Partial<PostgresStoreOptions> = {}): Promise<PostgresStore> {
    return PostgresStore.open({ url: this.schema.url, beforeWrite: () => this.#mayFail(), ...options });
  }

  /** Of the next store that writes. */
  failNextBatch(): void {
    this.#fails = true;
  }

  /** Flips a bit of the first update. */
  async damage(user: string): Promise<void> {
    await this.schema.query(
      `UPDATE update_row SET data = set_byte(data, 0, get_byte(data, 0) # 1) WHERE (doc, clock) =
       (SELECT doc, first FROM document WHERE user_id = $1)`,
      [user],
    );
  }

  /** To empty the tables takes a tenth of what it takes to make new ones. */
  async remove(): Promise<void> {
    const tables = [
      'node',
      'document',
      'update_row',
      'history_row',
      'kept',
      'erasing',
      'note',
      'master_key',
      'revocation',
    ];
    await this.schema.query(tables.map((table) => `DELETE FROM ${table}`).join(';'));
    FREE.push(this.schema);
  }

  #mayFail(): void {
    const fails = this.#fails;
    this.#fails = false;
    if (fails) throw new Error('the batch was made to fail');
  }
}

/** What the database does for each row, in PL/pgSQL; `when`: 'INSERT ON update_row'. */
export async function withTrigger(
  { schema }: PostgresFixture,
  when: string,
  does: string,
  meanwhile: () => Promise<void>,
): Promise<void> {
  await schema.query(
    `CREATE OR REPLACE FUNCTION said() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${does}; RETURN NEW; END $$`,
  );
  await schema.query(`CREATE TRIGGER said BEFORE ${when} FOR EACH ROW EXECUTE FUNCTION said()`);
  try {
    await meanwhile();
  } finally {
    await schema.query(`DROP TRIGGER said ON ${when.split(' ').at(-1)}`);
  }
}
