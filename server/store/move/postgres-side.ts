/** A PostgreSQL, as what a move reads and writes. No server lives there meanwhile. */
import * as format from '../format.js';
import { MOVED, MOVING, mustNotBeMoving, OWN_NOTES } from '../moving.js';
import { Connection, type Place } from '../postgres/connection.js';
import { noAddress } from '../postgres/failures.js';
import { ADD as ADD_REVOKED } from '../postgres/revocations.js';
import { migrate } from '../postgres/schema.js';
import { NOTE, PUT_NOTE, USERS } from '../postgres/statements.js';
import type { CopiedRow } from '../store.js';
import type { Begun, Part, Revoked, Rows, Source, Target } from './move.js';
import { Hold } from './postgres-hold.js';
import { type Ask, putUser, removeUser, rowsOf } from './postgres-rows.js';
import { keysIn, keysRow, noteIn } from './user-rows.js';

const SOME = 1_000;
const COUNT = 'SELECT count(*) AS users FROM document WHERE version > 0 OR revision > 0';
const NOTES = 'SELECT name, value FROM note WHERE name <> ALL($1::text[]) ORDER BY name COLLATE "C"';
const KEYS = 'SELECT id FROM master_key';
const PUT_KEY = 'INSERT INTO master_key (id) VALUES ($1::text)';
const REVOKED = 'SELECT line FROM revocation ORDER BY seq';

/** PostgreSQL may take so long for one answer, in ms. */
const TIMEOUT = 60_000;
const placeOf = (url: string): Place => ({ url, timeout: TIMEOUT });

function parsed(url: string): URL {
  try {
    return new URL(url);
  } catch (cause) {
    throw noAddress(cause);
  }
}

/** Without user and password. */
export function nameOf(url: string): string {
  const { host, pathname, searchParams } = parsed(url);
  const kept = ['host', 'options'].flatMap((name) => {
    const value = searchParams.get(name);
    return value === null ? [] : [`${name}=${encodeURIComponent(value)}`];
  });
  return `postgres://${host}${pathname}${kept.length === 0 ? '' : `?${kept.join('&')}`}`;
}

/** @throws SyncError where it can't be reached, or servers live there */
export async function postgresSource(url: string): Promise<PostgresSource> {
  const hold = await Hold.take(placeOf(url), nameOf(url), ['node', 'document', 'note', 'revocation']);
  const source = new PostgresSource(nameOf(url), hold);
  try {
    mustNotBeMoving(await source.from(), source.name);
    return source;
  } catch (error) {
    await source.close();
    throw error;
  }
}

/** The same; makes the tables where there are none. */
export async function postgresTarget(url: string): Promise<PostgresTarget> {
  const lost = new AbortController();
  const connection = await Connection.open(placeOf(url), (cause) => lost.abort(cause));
  try {
    await migrate(connection.writer);
    const hold = await Hold.take(placeOf(url), nameOf(url), ['node']);
    return new PostgresTarget(nameOf(url), hold, { connection, lost: lost.signal });
  } catch (error) {
    await connection.close();
    throw error;
  }
}

class PostgresSource implements Source {
  readonly name: string;
  protected readonly hold: Hold;

  constructor(name: string, hold: Hold) {
    this.name = name;
    this.hold = hold;
  }

  /** Over the connection that holds the lock, so that what is read is of one moment. */
  protected ask: Ask = (text, values) => this.hold.query(text, values);

  async from(): Promise<Uint8Array | null> {
    return (await this.#noted(MOVING)) ?? null;
  }

  /** `null` where there is none, `undefined` where it is damaged. */
  async #noted(name: string): Promise<Uint8Array | null | undefined> {
    const [note] = await this.ask(NOTE, [name]);
    const value = note?.value;
    return value instanceof Uint8Array ? format.unseal(value, format.noteKey(name)) : null;
  }

  async count(): Promise<number> {
    const [answer] = await this.ask(COUNT, []);
    return Number(answer?.users);
  }

  async *users(): AsyncGenerator<string> {
    for (let last: string | null = null; ; ) {
      const some: string[] = (await this.ask(USERS, [last, SOME])).map(({ user_id }) => String(user_id));
      yield* some;
      last = some.at(-1) ?? null;
      if (last === null) return;
    }
  }

  rows(part: Part): Rows {
    return part === null ? this.#own() : rowsOf(this.ask, part);
  }

  async *#own(): Rows {
    const ids = (await this.ask(KEYS, [])).map(({ id }) => String(id));
    if (ids.length > 0) yield [keysRow(ids)];
    const notes = await this.ask(NOTES, [OWN_NOTES]);
    yield notes.map(({ name, value }): CopiedRow => [format.noteKey(String(name)), value as Uint8Array]);
  }

  readonly revoked: Revoked = {
    name: 'the table revocation',
    lines: async () => (await this.ask(REVOKED, [])).map(({ line }) => String(line)),
    add: async (lines) => {
      for (const line of lines) await this.ask(ADD_REVOKED, [line]);
    },
  };

  async leftFor(): Promise<string | null> {
    const target = await this.#noted(MOVED);
    if (target === null) return null;
    return target === undefined ? 'another store' : Buffer.from(target).toString();
  }

  /** With the lock, so that no node gets in between. */
  async leave(target: string): Promise<void> {
    await this.ask(PUT_NOTE, [MOVED, format.seal(Buffer.from(target), format.noteKey(MOVED))]);
    await this.ask('COMMIT', []);
  }

  async close(): Promise<void> {
    await this.hold.release();
  }
}

interface Writing {
  readonly connection: Connection;
  /** Aborted where nobody can tell what becomes of what was written. */
  readonly lost: AbortSignal;
}

class PostgresTarget extends PostgresSource implements Target {
  readonly #writing: Writing;

  constructor(name: string, hold: Hold, writing: Writing) {
    super(name, hold);
    this.#writing = writing;
  }

  /** What another connection has written meanwhile is seen by a new question alone. */
  protected override ask: Ask = async (text, values) => {
    this.hold.mustHold();
    this.#writing.lost.throwIfAborted();
    return (await this.#writing.connection.write({ text, values })).rows;
  };

  async begun(): Promise<Begun> {
    const from = await this.from();
    if (from !== null) return { from: Buffer.from(from).toString() };
    return (await this.count()) === 0 ? 'empty' : 'used';
  }

  async begin(from: string): Promise<void> {
    await this.ask(PUT_NOTE, [MOVING, format.seal(Buffer.from(from), format.noteKey(MOVING))]);
  }

  /** It need not be durable before the end is, which makes all durable that came before it. */
  async replace(part: Part, rows: Rows): Promise<void> {
    await this.ask('BEGIN', []);
    try {
      await this.ask('SET LOCAL synchronous_commit = off', []);
      if (part === null) await this.#replaceOwn(rows);
      else {
        await removeUser(this.ask, part);
        await putUser(this.ask, part, rows);
      }
      await this.ask('COMMIT', []);
    } catch (error) {
      await this.ask('ROLLBACK', []).catch(() => {});
      throw error;
    }
  }

  async #replaceOwn(rows: Rows): Promise<void> {
    await this.ask('DELETE FROM master_key', []);
    await this.ask('DELETE FROM note WHERE name <> $1::text', [MOVING]);
    for await (const some of rows) {
      for (const [key, value] of some) {
        if (!format.ENCRYPTION_KEY.equals(key)) await this.ask(PUT_NOTE, [noteIn(key), value]);
        else for (const id of keysIn(value)) await this.ask(PUT_KEY, [id]);
      }
    }
  }

  async flush(): Promise<void> {}

  async complete(): Promise<void> {
    await this.ask('DELETE FROM note WHERE name = ANY($1::text[])', [[MOVING, MOVED]]);
    this.#writing.lost.throwIfAborted();
  }

  override async close(): Promise<void> {
    await super.close();
    await this.#writing.connection.close();
  }
}
