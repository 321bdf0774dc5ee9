/** What tests on PostgreSQL share: a schema of its own for each, in the one database of the run. */
import pg from 'pg';
import { inject, it } from 'vitest';

export const postgresUrl = (): string => inject('postgresUrl');
export const withPostgres = it.skipIf(postgresUrl() === '');

let count = 0;

export class PostgresSchema {
  readonly name = `t${process.pid}_${Date.now().toString(36)}_${count++}`;
  /** For a store, or a server: what it creates goes into this schema. */
  readonly url = urlWith(postgresUrl(), `-c search_path=${this.name}`);
  readonly #client = new pg.Client({ connectionString: this.url });

  static async create(): Promise<PostgresSchema> {
    const schema = new PostgresSchema();
    await schema.#client.connect();
    await schema.query(`CREATE SCHEMA ${schema.name}`);
    return schema;
  }

  query(text: string, values: unknown[] = []): Promise<pg.QueryResult> {
    return this.#client.query(text, values);
  }

  async remove(): Promise<void> {
    await this.query(`SET client_min_messages = warning; DROP SCHEMA ${this.name} CASCADE`);
    await this.#client.end();
  }
}

function urlWith(base: string, options: string): string {
  return `${base}${base.includes('?') ? '&' : '?'}options=${encodeURIComponent(options)}`;
}
