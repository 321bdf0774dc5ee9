/** Keeps servers out of a PostgreSQL for as long as a move needs it: a lock that ends with its connection. */
import type { Client, QueryResultRow } from 'pg';
import { SyncError } from '../../errors.js';
import { connected, type Place } from '../postgres/connection.js';
import { codeOf } from '../postgres/failures.js';
import { MOVE_LOCK } from '../postgres/moves.js';
import { SCHEMA_VERSION } from '../postgres/schema.js';
import { DEAD_AFTER } from '../postgres/statements.js';

/** One that hangs and goes on later would write what the move has not seen. */
const FENCE = `UPDATE node SET fenced = true WHERE NOT fenced AND beat <= now() - interval '${DEAD_AFTER}'`;
const LIVING = `
SELECT address, ceil(extract(epoch FROM clock_timestamp() - beat))::int AS ago FROM node WHERE NOT fenced ORDER BY id`;
const VERSION = 'SELECT version FROM schema_version';
const NO_TABLE = '42P01';
const LOCKED = '55P03';

export class Hold {
  readonly #client: Client;
  readonly #name: string;
  #lost: unknown = null;

  private constructor(client: Client, name: string) {
    this.#client = client;
    this.#name = name;
    const lose = (cause?: unknown): void => {
      this.#lost ??= cause ?? new Error('PostgreSQL has ended the connection');
    };
    client.on('error', lose);
    client.on('end', () => lose());
  }

  /**
   * @param tables what nobody else may change, with the nodes, which none can be added to
   * @throws SyncError with a sentence, where a server lives there, or another move goes on
   */
  static async take(place: Place, name: string, tables: readonly string[]): Promise<Hold> {
    const hold = new Hold(await connected(place), name);
    try {
      await hold.#begin(tables);
      return hold;
    } catch (error) {
      await hold.release();
      throw error;
    }
  }

  async #begin(tables: readonly string[]): Promise<void> {
    await this.#mustBeOfThisVersion();
    await this.query(`SET lock_timeout = '5s'`);
    try {
      // By itself, so that it stays when the move is over, however it ends.
      await this.#client.query(FENCE);
      // One moment for all that is read: it begins with the first question behind the lock.
      await this.#client.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
      await this.#client.query('SET LOCAL idle_in_transaction_session_timeout = 0');
      await this.#client.query(`LOCK TABLE ${tables.join(', ')} IN ${MOVE_LOCK} MODE`);
    } catch (cause) {
      if (codeOf(cause) !== LOCKED) throw cause;
      throw refused(`${this.#name} is in use, by a server or another move: stop it first.`, cause);
    }
    const living = await this.query<{ address: string; ago: number }>(LIVING);
    const [node] = living;
    if (node === undefined) return;
    const at = node.address === '' ? '' : ` at ${node.address}`;
    throw refused(
      `${this.#name} is served by ${living.length === 1 ? `a server${at}` : `${living.length} servers, one of them${at}`}, heard of ${node.ago} s ago: stop it first; of one that was killed, wait for ten seconds.`,
    );
  }

  async #mustBeOfThisVersion(): Promise<void> {
    let version: number | undefined;
    try {
      [{ version }] = (await this.query<{ version: number }>(VERSION)) as [{ version: number }];
    } catch (cause) {
      if (codeOf(cause) !== NO_TABLE) throw cause;
      throw refused(`${this.#name} holds no records: name the database of the servers.`, cause);
    }
    if (version === SCHEMA_VERSION) return;
    const cure =
      version < SCHEMA_VERSION ? 'start this server with it once' : 'take the version that wrote them';
    throw refused(
      `The tables of ${this.#name} have version ${version}, and this program has ${SCHEMA_VERSION}: ${cure}.`,
    );
  }

  /** Rejects, too, where the lock is lost. */
  async query<R extends QueryResultRow>(text: string, values: unknown[] = []): Promise<R[]> {
    this.mustHold();
    return (await this.#client.query<R>(text, values)).rows;
  }

  /** @throws SyncError where somebody else may be there by now */
  mustHold(): void {
    if (this.#lost === null) return;
    throw refused(`The connection to ${this.#name} is lost: run the same command again.`, this.#lost);
  }

  async release(): Promise<void> {
    await this.#client.end().catch(() => {});
  }
}

const refused = (sentence: string, cause?: unknown): SyncError =>
  new SyncError('STORE_UNAVAILABLE', sentence, { cause });
