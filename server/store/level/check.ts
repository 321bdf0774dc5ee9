/** Looks at every byte of a database that nobody else has open, and changes none of its values. */
import * as Y from 'yjs';
import { SyncError } from '../../errors.js';
import type { KeyRing } from '../encryption/key-ring.js';
import { CipherVaults, plainVaults, type Vault, type Vaults } from '../encryption/vault.js';
import * as format from '../format.js';
import type { Database } from './database.js';
import { type Progress, type ReadDocument, readDocument } from './document.js';
import { checkKeys } from './encryption.js';
import { openDatabase } from './folder.js';
import { readHistory } from './history.js';
import { ownerOf } from './key-owner.js';
import { checkFormat } from './migrations.js';

export type Part =
  | 'database'
  | 'document'
  | 'vector'
  | 'history'
  | 'device'
  | 'deletion'
  | 'view'
  | 'visit'
  | 'seen'
  | 'key'
  | 'note';

/** Something that is not as it was written. */
export interface Finding {
  /** Null where it is of no user. */
  readonly user: string | null;
  readonly part: Part;
  readonly reason: string;
}

export interface Checked {
  readonly users: number;
  readonly rows: number;
  readonly findings: readonly Finding[];
}

/** Rejects with a sentence where the keys are not those of the database; what is wrong with it is a finding. */
export async function checkDatabase(
  folder: string,
  keys: KeyRing | undefined,
  onProgress: Progress,
): Promise<Checked> {
  const db = await openDatabase(folder).catch((error: unknown) => {
    const reason = error instanceof Error ? error.message : String(error);
    if (reason.includes('in use by another process')) throw error;
    return reason;
  });
  if (typeof db === 'string')
    return { users: 0, rows: 0, findings: [{ user: null, part: 'database', reason: db }] };
  try {
    await checkFormat(db, folder);
    await checkKeys(db, keys ?? null);
    return await new Check(db, keys === undefined ? plainVaults : new CipherVaults(keys)).run(onProgress);
  } finally {
    await db.close();
  }
}

const PAGE = 500;

class Check {
  readonly #db: Database;
  readonly #vaults: Vaults;
  readonly #findings: Finding[] = [];
  readonly #users = new Set<string>();
  #rows = 0;

  constructor(db: Database, vaults: Vaults) {
    this.#db = db;
    this.#vaults = vaults;
  }

  async run(onProgress: Progress): Promise<Checked> {
    await this.#find(null, 'database', () => this.#readKeys());
    let done = 0;
    for (const user of this.#users) {
      await this.#find(user, 'document', () => this.#checkUser(user));
      done += 1;
      onProgress(done, this.#users.size);
    }
    return { users: this.#users.size, rows: this.#rows, findings: this.#findings };
  }

  #tell(user: string | null, part: Part, reason: string): void {
    this.#findings.push({ user, part, reason });
  }

  async #find(user: string | null, part: Part, look: () => Promise<void>): Promise<void> {
    await look().catch((error: unknown) => this.#tell(user, part, reasonOf(error)));
  }

  async #readKeys(): Promise<void> {
    for await (const [key, value] of this.#db.iterator()) {
      this.#rows += 1;
      const owner = ownerOf(key);
      if (owner === undefined) this.#tell(null, 'database', `the key ${shown(key)} is none of this program`);
      else if (owner !== null) this.#users.add(owner);
      else if (isNote(key) && format.unseal(value, key) === undefined)
        this.#tell(null, 'note', `the note ${shown(key)} is damaged`);
    }
  }

  async #checkUser(user: string): Promise<void> {
    const vault = await this.#vaultOf(user);
    if (vault === null) return;
    await this.#find(user, 'document', async () => {
      const document = await readDocument(this.#db, user, this.#vaults);
      mustLoad(document);
      await this.#find(user, 'vector', () => this.#checkStateVector(user, document));
      await this.#find(user, 'history', () => this.#checkHistory(user, document.row));
    });
    for (const [part, range] of partsOf(user))
      await this.#find(user, part, () => this.#checkValues(user, vault, range));
    await this.#find(user, 'visit', () => this.#checkVisit(user));
  }

  /** Null where nothing of the user can be opened. */
  async #vaultOf(user: string): Promise<Vault | null> {
    const wrapped = await this.#db.get(format.wrappedKey(user));
    try {
      const vault = this.#vaults.of(user, wrapped);
      if (this.#vaults.ring === null || wrapped !== undefined || !(await this.#hasValues(user))) return vault;
      this.#tell(user, 'key', "the user's key is missing");
    } catch (error) {
      this.#tell(user, 'key', reasonOf(error));
    }
    return null;
  }

  async #hasValues(user: string): Promise<boolean> {
    for (const range of format.valueRanges(user)) {
      if ((await this.#db.keys({ ...range, limit: 1 }).all()).length > 0) return true;
    }
    return false;
  }

  /** y-leveldb, and nobody else, lists a document by it. */
  async #checkStateVector(user: string, { row, vault, stored }: ReadDocument): Promise<void> {
    const key = format.stateVectorKey(user);
    const value = await this.#db.get(key);
    // Of what is encrypted y-leveldb reads nothing, and there is none of what came from another store.
    if (value === undefined && (stored.updates.length === 0 || !vault.takesBare)) return;
    const bytes = value && (vault.takesBare ? value : vault.unseal(value, key));
    const clock = bytes && format.stateVectorClock(bytes);
    if (bytes === undefined || clock === undefined) throw new Error('the state vector is damaged or missing');
    const update = stored.updates[clock - row.first];
    if (update === undefined) return;
    const expected = format.encodeStateVectorValue(clock, Y.encodeStateVectorFromUpdate(update));
    if (!isSameVector(expected, bytes)) throw new Error('the state vector is not that of its update');
  }

  async #checkHistory(user: string, { revision, historyFrom }: format.Row): Promise<void> {
    for (let below = revision + 1; below > historyFrom + 1; ) {
      const rows = await readHistory(this.#db, user, this.#vaults, { below, limit: PAGE });
      const oldest = rows.at(-1)?.revision;
      if (oldest === undefined) throw new Error(`the history ends at revision ${below}`);
      below = oldest;
    }
    for await (const key of this.#db.keys(format.historyRange(user))) {
      const at = format.revisionOf(key);
      if (at <= historyFrom || at > revision)
        throw new Error(`an entry for revision ${at} should not be there`);
    }
  }

  async #checkValues(user: string, vault: Vault, range: format.KeyRange): Promise<void> {
    for await (const [key, sealed] of this.#db.iterator(range)) {
      const kind = format.namedKindOf(key, user);
      const value =
        kind === null ? vault.unseal(sealed, key) : vault.unsealNamed(sealed, key, kind, user)?.value;
      if (value === undefined) throw new Error(`what is stored at ${shown(key)} is damaged`);
    }
  }

  async #checkVisit(user: string): Promise<void> {
    const key = format.plainVisitKey(user);
    const value = await this.#db.get(key);
    if (value !== undefined && format.unseal(value, key) === undefined)
      throw new Error('the last visit of a plain device is damaged');
  }
}

/** What a load leaves out where it is damaged, or does not read. */
const partsOf = (user: string): readonly (readonly [Part, format.KeyRange])[] => [
  ['view', format.onlyKey(format.restKey(user))],
  ['view', format.onlyKey(format.viewKey(user))],
  ['seen', format.onlyKey(format.seenKey(user))],
  ['device', format.namedRange('device', user)],
  ['deletion', format.namedRange('deleted', user)],
];

function mustLoad({ stored }: ReadDocument): void {
  const doc = new Y.Doc();
  for (const [index, update] of stored.updates.entries()) {
    try {
      Y.applyUpdate(doc, update);
    } catch (cause) {
      throw new Error(`update ${index + 1} of ${stored.updates.length} is whole, but can't be applied`, {
        cause,
      });
    }
  }
  doc.destroy();
}

function isSameVector(one: Uint8Array, other: Uint8Array): boolean {
  const listed = (value: Uint8Array) =>
    JSON.stringify([...Y.decodeStateVector(format.stateVectorIn(value))].sort(([a], [b]) => a - b));
  return listed(one) === listed(other);
}

const isNote = (key: Uint8Array): boolean => Buffer.from(key).indexOf(format.noteKey('')) === 0;

/** Names are in keys, and no contents. */
const shown = (key: Uint8Array): string => JSON.stringify(Buffer.from(key).toString('latin1'));

function reasonOf(error: unknown): string {
  const cause = error instanceof SyncError && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error ? cause.message : String(cause);
}
