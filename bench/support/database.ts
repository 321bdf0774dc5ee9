/** A PostgreSQL for one round: empty tables, and what it costs. That of `TEST_POSTGRES`, or one of our own from npm. */
import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import pg from 'pg';
import { NO_POSTGRES, startPostgres } from '../../test/support/postgres-server.js';
import type { Scope } from './scope.js';
import { type ProcessTimes, timesIn } from './server-process.js';

export class Database {
  readonly url: string;
  readonly #client: pg.Client;
  /** The process that all others of it are children of. */
  readonly #first: number;

  private constructor(url: string, client: pg.Client, first: number) {
    this.url = url;
    this.#client = client;
    this.#first = first;
  }

  /** On the disk, as LevelDB is: the tests keep theirs in memory. */
  static async start(scope: Scope): Promise<Database> {
    const given = process.env.TEST_POSTGRES;
    const own = given ? null : await startPostgres(tmpdir());
    scope.atEnd(() => own?.stop());
    const url = given || own?.url;
    if (url === undefined) throw new Error(NO_POSTGRES.replace('The tests on PostgreSQL need', 'This needs'));
    const schema = `bench_${process.pid}_${Date.now().toString(36)}`;
    const ownUrl = `${url}${url.includes('?') ? '&' : '?'}options=${encodeURIComponent(`-c search_path=${schema}`)}`;
    const client = new pg.Client({ connectionString: ownUrl });
    await client.connect();
    await client.query(`CREATE SCHEMA ${schema}`);
    scope.atEnd(async () => {
      await client.query(`DROP SCHEMA ${schema} CASCADE`).catch(() => {}); // a server may still be ending
      await client.end();
    });
    const { rows } = await client.query('SELECT pg_backend_pid() AS pid');
    return new Database(ownUrl, client, timesOf(String(rows[0]?.pid)).parent);
  }

  /** Of all its processes, those that have ended and this benchmark's own questions included, in ms. */
  cpu(): number {
    const first = timesOf(String(this.#first));
    const children = readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .flatMap((name) => {
        try {
          return [timesOf(name)];
        } catch {
          return []; // it has ended meanwhile
        }
      })
      .filter(({ parent }) => parent === this.#first);
    return [first, ...children].reduce((sum, { user, kernel }) => sum + user + kernel, first.ended);
  }

  /** Batches that wrote something into the history: each is a transaction of its own. */
  batches(): Promise<number> {
    return this.#number('SELECT count(DISTINCT xmin::text) FROM history_row');
  }

  /** Bytes of its log, from the beginning on. */
  log(): Promise<number> {
    return this.#number("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn");
  }

  /** Bytes of the tables and their indexes. */
  size(): Promise<number> {
    return this.#number(
      "SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace",
    );
  }

  async #number(question: string): Promise<number> {
    const { rows } = await this.#client.query({ text: question, rowMode: 'array' });
    return Number(rows[0]?.[0]);
  }
}

const timesOf = (pid: string): ProcessTimes => timesIn(`/proc/${pid}/stat`);
