/** The connections to PostgreSQL: one that writes, and some that read. `pg` is loaded here, by the first that opens one. */
import { randomUUID } from 'node:crypto';
import type { Client, ClientBase, ClientConfig, Pool, PoolConfig, QueryConfig, QueryResult } from 'pg';
import { corrupt, SyncError } from '../../errors.js';
import { isReachable } from '../../net/reachable.js';
import { Address, clientOf } from './address.js';
import { codeOf, whyNotConnected } from './failures.js';

/** Reads at once. */
const READERS = 4;
/** Between two statements that take effect together: PostgreSQL ends the connection of who sends none for so long. */
const PAUSE = '5s';
export const BEGIN = `BEGIN; SET LOCAL idle_in_transaction_session_timeout = '${PAUSE}'`;
/** A setting of our own. */
const MARK = 'telemed_sync.connection';

export interface Place {
  readonly url: string;
  /** The same, with what its files held; left out, they are read for the first time. */
  readonly known?: Address;
  /** How long nobody waits for an answer, in ms. */
  readonly timeout: number;
}

type Driver = typeof import('pg');
type Connected = (error: Error | null) => void;
type Query = QueryConfig & { values: unknown[] };
type Rows = QueryResult['rows'];
export type Ask = (text: string, values: unknown[]) => Promise<Rows>;
interface Notice {
  readonly code?: string | undefined;
  readonly message?: string | undefined;
}

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

/** One connection for itself. @throws SyncError with a sentence that names cause and cure */
export async function connected({ url, timeout }: Place): Promise<Client> {
  const { Client } = await driver();
  const client = clientOf(Client, {
    connectionString: url,
    connectionTimeoutMillis: timeout,
    keepAlive: true,
  });
  client.on('error', () => {}); // who asks next is told
  await client.connect().catch((cause: unknown) => {
    destroy(client);
    throw whyNotConnected(cause, client);
  });
  return client;
}

/** This machine, or the folder of a socket. */
const NEAR = /^(localhost|127\.[\d.]+|\[?::1\]?|\/.*)$/;

/**
 * Whether it is another machine, to which the driver speaks without TLS: it does unless it is told otherwise, by the
 * address or by `PGSSLMODE`. Who writes into the address that it is to do so knows it.
 */
export async function isPlainFar(url: string): Promise<boolean> {
  const { Client } = await driver();
  const { host, ssl } = clientOf(Client, { connectionString: url });
  return !NEAR.test(host) && !ssl && !/[?&]ssl/.test(url);
}

export class Connection {
  readonly #writer: Client;
  readonly #readers: Pool;
  /** For itself: behind reads that wait the beat would be late, and others would take the users. */
  readonly #beats: Pool;
  /** All that there are, those that are just being made too. */
  readonly #clients: ReadonlySet<ClientBase>;
  /** Who waits for an answer of a pool: of one that has ended none comes until it is too late. */
  readonly #waiting = new Set<(cause: Error) => void>();
  /** As it was found to be safe: a connection that is made later must not be less so. */
  #synchronous = 'on';
  #writing = 0;
  #isClosed = false;

  private constructor(writer: Client, readers: Pool, beats: Pool, clients: ReadonlySet<ClientBase>) {
    this.#writer = writer;
    this.#readers = readers;
    this.#beats = beats;
    this.#clients = clients;
    for (const pool of [readers, beats]) {
      pool.on('error', () => {}); // who asks next is told
      pool.on('connect', (client) => client.on('error', () => {})); // the same of one that is lent: its queries fail
    }
  }

  /**
   * @param onLost it is of no use any more, or what was written last may not be as safe as it has to be
   * @throws SyncError with a sentence, where the database would not keep what it acknowledges
   */
  static async open(
    { url, timeout, known = new Address(url) }: Place,
    onLost: (cause: Error) => void,
  ): Promise<Connection> {
    const { Client: Plain, Pool } = await driver();
    known.configNow(Plain); // else what is wrong with it would be taken for a fault of the client below
    const clients = new Set<ClientBase>();
    const Client = noting(Plain, clients, () => known.configNow(Plain));
    const config: ClientConfig = {
      connectionTimeoutMillis: timeout,
      query_timeout: timeout,
      keepAlive: true,
    };
    const writer = clientOf(Client, config);
    // Of each new one, before anybody has it.
    const verify: PoolConfig['verify'] = (client, done) =>
      client.query(opened.#settings, (error: Error | null) => done(error ?? undefined));
    const poolOf = (max: number): Pool => new Pool({ ...config, Client, max, verify });
    const opened: Connection = new Connection(writer, poolOf(READERS), poolOf(1), clients);
    const lost = (cause: Error): void => {
      if (!opened.#isClosed) onLost(cause);
    };
    writer.on('error', lost);
    writer.on('end', () => lost(new Error('PostgreSQL has ended the connection')));
    // What it warns of when it is connected is of no change.
    writer.on('notice', (notice) => {
      if (opened.#writing > 0 && isWarning(notice)) lost(warned(notice));
    });
    try {
      await writer.connect().catch((cause: unknown) => {
        throw whyNotConnected(cause, writer);
      });
      await opened.#prepare();
      await opened.#mustKeepWhatIsSet();
    } catch (error) {
      await opened.close();
      throw error;
    }
    return opened;
  }

  /** Whether anything gets to its machine and back, to this one it does; `null` where nobody can tell. */
  async isReached(): Promise<boolean | null> {
    const { host, port } = this.#writer;
    return host.startsWith('/') || (await isReachable({ host, port }));
  }

  /** Everything that is written, one statement at a time. */
  async write(query: Query): Promise<QueryResult> {
    this.#writing += 1;
    try {
      return await this.#writer.query(query);
    } finally {
      this.#writing -= 1;
    }
  }

  /** For what has to be done by one connection: migrations. */
  get writer(): Client {
    return this.#writer;
  }

  /** @throws SyncError `STORE_UNAVAILABLE`, or `DOCUMENT_CORRUPT` where PostgreSQL has found the damage */
  read(query: Query): Promise<Rows> {
    return rowsOf(this.#whileOpen(this.#readers.query(query)));
  }

  /** @throws SyncError `STORE_UNAVAILABLE` */
  beat(query: Query): Promise<Rows> {
    return rowsOf(this.#whileOpen(this.#beats.query(query)));
  }

  /**
   * What is written beside the batches.
   *
   * @throws SyncError as `read` does, and where it may not be as safe as it has to be
   */
  change(query: Query): Promise<Rows> {
    return rowsOf(this.#changed(query));
  }

  async #changed(query: Query): Promise<QueryResult> {
    const client = await this.#whileOpen(this.#readers.connect());
    let failure: Error | undefined;
    const onNotice = (notice: Notice): void => {
      if (isWarning(notice)) failure = warned(notice);
    };
    client.on('notice', onNotice);
    try {
      const result = await client.query(query);
      if (failure !== undefined) throw failure;
      return result;
    } catch (error) {
      failure ??= error instanceof Error ? error : new Error(String(error));
      throw error;
    } finally {
      client.off('notice', onNotice);
      client.release(failure);
    }
  }

  /**
   * Several statements that take effect together, in turns with the same of other nodes. A node that stops in between
   * holds up nobody for long: PostgreSQL ends its connection.
   *
   * @throws SyncError as `change` does, and what `task` throws
   */
  async inTurn<T>(turn: string, task: (ask: Ask) => Promise<T>): Promise<T> {
    const client = await this.#whileOpen(this.#readers.connect()).catch((cause: unknown) => {
      throw new SyncError('STORE_UNAVAILABLE', undefined, { cause });
    });
    const ask: Ask = (text, values) => rowsOf(client.query(text, values));
    let failure: Error | undefined;
    try {
      await ask(`${BEGIN}; ${turn}`, []);
      const result = await task(ask);
      await ask('COMMIT', []);
      return result;
    } catch (error) {
      failure = error instanceof Error ? error : new Error(String(error));
      throw error;
    } finally {
      client.release(failure); // which ends the transaction with the connection
    }
  }

  /** At once: what is under way fails, and nobody is told any more. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const fail of this.#waiting) fail(new Error('the connections to PostgreSQL were closed'));
    for (const client of [...this.#clients]) destroy(client);
    const all = [this.#writer, this.#readers, this.#beats];
    await Promise.all(all.map((each) => each.end().catch(() => {})));
  }

  #whileOpen<T>(task: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#waiting.add(reject);
      task.then(resolve, reject).finally(() => this.#waiting.delete(reject));
    });
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
    // It stays so where the configuration is changed and read anew.
    this.#synchronous = found.synchronous_commit ?? 'on';
    await this.#writer.query(this.#settings);
    await this.#writer.query(
      "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET lock_timeout = '5s'",
    );
  }

  /**
   * Of each connection. Who waits for a lock goes on with what was stored until it has it; at a higher level, as a
   * database or its user may have it by default, that would be what was stored before it began to wait.
   */
  get #settings(): string {
    return `SET synchronous_commit = ${this.#synchronous}; SET default_transaction_isolation = 'read committed'`;
  }

  /**
   * A pooler that hands a connection to somebody else after each transaction hands on what was set for the writer, too:
   * then another one sees what is set here.
   */
  async #mustKeepWhatIsSet(): Promise<void> {
    const mark = randomUUID();
    await this.#writer.query('SELECT set_config($1, $2, false)', [MARK, mark]);
    const [seen] = await this.read({ text: 'SELECT current_setting($1, true) AS mark', values: [MARK] });
    if (seen?.mark !== mark) return;
    throw refused(
      'A pooler before it lends each connection for a transaction only: have it lend them for a session (PgBouncer: pool_mode=session), or name the PostgreSQL itself.',
    );
  }
}

/** Of which each is in this set until it has ended, and ends where it can't be connected: a pool only forgets it then. */
function noting(
  Client: Driver['Client'],
  clients: Set<ClientBase>,
  addressed: () => ClientConfig,
): Driver['Client'] {
  return class extends Client {
    constructor(config?: ClientConfig) {
      super({ ...config, ...addressed() });
      clients.add(this);
      this.once('end', () => clients.delete(this));
    }

    override connect(): Promise<Client>;
    override connect(done: Connected): void;
    override connect(done?: Connected): Promise<Client> | undefined {
      if (done === undefined) return super.connect();
      super.connect((error: Error | null) => {
        if (error !== null) destroy(this);
        done(error);
      });
      return undefined;
    }
  };
}

/** Without a goodbye: the server may not answer. */
function destroy(client: ClientBase): void {
  const { connection } = client as unknown as { connection?: { stream?: { destroy(): void } } };
  connection?.stream?.destroy();
}

/** "canceling wait for synchronous replication": it says that all is well, and it may not be. Its severity may be translated. */
const isWarning = ({ code }: Notice): boolean => !(code ?? '').startsWith('00');
const warned = ({ message }: Notice): Error => new Error(`PostgreSQL warns: ${message}`);

async function rowsOf(result: Promise<QueryResult>): Promise<Rows> {
  try {
    return (await result).rows;
  } catch (cause) {
    throw codeOf(cause) === 'XX001'
      ? corrupt('PostgreSQL has found damage')
      : new SyncError('STORE_UNAVAILABLE', undefined, { cause });
  }
}

const refused = (why: string): SyncError =>
  new SyncError('STORE_UNAVAILABLE', `The PostgreSQL of STORE can't be used. ${why}`);
