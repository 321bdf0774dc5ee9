/** The connections to PostgreSQL: one that writes, and some that read. `pg` is loaded here, by the first that opens one. */
import type { Client, ClientConfig, Pool, QueryConfig, QueryResult } from 'pg';
import { corrupt, SyncError } from '../../errors.js';

/** Reads at once. */
const READERS = 4;

export interface Place {
  readonly url: string;
  /** How long nobody waits for an answer, in ms. */
  readonly timeout: number;
}

type Driver = typeof import('pg');

async function driver(): Promise<Driver> {
  try {
    const { default: pg } = await import('pg');
    return pg as unknown as Driver;
  } catch (cause) {
    throw new SyncError(
      'STORE_UNAVAILABLE',
      'STORE names a PostgreSQL, and the package pg is not installed: npm install pg',
      { cause },
    );
  }
}

export class Connection {
  readonly #writer: Client;
  readonly #readers: Pool;
  #isClosed = false;

  private constructor(writer: Client, readers: Pool) {
    this.#writer = writer;
    this.#readers = readers;
  }

  /**
   * @param onLost it is of no use any more, or what was written last may not be as safe as it has to be
   * @throws SyncError with a sentence, where the database would not keep what it acknowledges
   */
  static async open({ url, timeout }: Place, onLost: (cause: Error) => void): Promise<Connection> {
    const { Client, Pool } = await driver();
    const config: ClientConfig = {
      connectionString: url,
      connectionTimeoutMillis: timeout,
      query_timeout: timeout,
      keepAlive: true,
    };
    const writer = new Client(config);
    const readers = new Pool({ ...config, max: READERS });
    const opened = new Connection(writer, readers);
    const lost = (cause: Error): void => {
      if (!opened.#isClosed) onLost(cause);
    };
    writer.on('error', lost);
    writer.on('end', () => lost(new Error('PostgreSQL has ended the connection')));
    // "canceling wait for synchronous replication": it says that all is well, and it may not be.
    writer.on('notice', ({ severity, message }) => {
      if (severity === 'WARNING') lost(new Error(`PostgreSQL warns: ${message}`));
    });
    readers.on('error', () => {}); // who reads next is told
    try {
      await writer.connect();
      await opened.#prepare();
    } catch (error) {
      await opened.close();
      throw error;
    }
    return opened;
  }

  /** Everything that is written, one statement at a time. */
  write(query: QueryConfig & { values: unknown[] }): Promise<QueryResult> {
    return this.#writer.query(query);
  }

  /** For what has to be done by one connection: migrations. */
  get writer(): Client {
    return this.#writer;
  }

  /** @throws SyncError `STORE_UNAVAILABLE`, or `DOCUMENT_CORRUPT` where PostgreSQL has found the damage */
  async read(query: QueryConfig & { values: unknown[] }): Promise<QueryResult['rows']> {
    try {
      return (await this.#readers.query(query)).rows;
    } catch (cause) {
      throw codeOf(cause) === 'XX001'
        ? corrupt('PostgreSQL has found damage')
        : new SyncError('STORE_UNAVAILABLE', undefined, { cause });
    }
  }

  /** At once: what is under way fails, and nobody is told any more. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    destroy(this.#writer);
    await Promise.all([this.#writer.end().catch(() => {}), this.#readers.end().catch(() => {})]);
  }

  async #prepare(): Promise<void> {
    const settings = ['synchronous_commit', 'fsync', 'transaction_read_only'];
    const asked = `SELECT ${settings.map((name) => `current_setting('${name}') AS ${name}`).join(', ')}`;
    const { rows } = await this.#writer.query<Record<string, string>>(asked);
    const found = rows[0] ?? {};
    if (found.transaction_read_only === 'on')
      throw refused('It only reads, as a standby does: name the primary.');
    for (const name of ['synchronous_commit', 'fsync']) {
      if (!['off', 'local'].includes(found[name] ?? '')) continue;
      throw refused(`It acknowledges what may be lost: ${name} is ${found[name]}; set it to on.`);
    }
    // One plan for all batches: a plan for each would cost more than it saves.
    await this.#writer.query(
      "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET lock_timeout = '5s'",
    );
  }
}

/** Without a goodbye: the server may not answer. */
function destroy(client: Client): void {
  const { connection } = client as unknown as { connection?: { stream?: { destroy(): void } } };
  connection?.stream?.destroy();
}

export function codeOf(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? cause.code : '';
  return typeof code === 'string' ? code : '';
}

const refused = (why: string): SyncError =>
  new SyncError('STORE_UNAVAILABLE', `The PostgreSQL of STORE can't be used. ${why}`);
