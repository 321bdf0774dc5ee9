/** What is noted of a document so that it need not be loaded (N2), and whether that still holds. */
import type { UserId } from '../../../shared/names.js';
import { corrupt, SyncError } from '../../errors.js';
import type { Vault, Vaults } from '../encryption/vault.js';
import * as format from '../format.js';
import { decodeRest, encodeRest, isSame, type Place } from '../rest-format.js';
import type { RestRow } from '../store.js';
import { type Database, type Operation, put, readFailure } from './database.js';

/** What is noted, as it is to be kept, and what opens it. */
export interface SealedRest {
  /** Encrypted where it is stored so, else without its checksum, by which it was found to be whole. */
  readonly noted: Uint8Array;
  readonly wrapped: Uint8Array | undefined;
}

export interface FoundRest {
  readonly rest: RestRow;
  readonly place: Place;
  readonly vault: Vault;
}

/** One that was read, and holds. */
export interface ReadRest extends FoundRest {
  readonly sealed: SealedRest;
}

export function putRest(user: UserId, row: format.Row, vault: Vault, rest: RestRow): Operation {
  const key = format.restKey(user);
  return put(key, vault.seal(encodeRest(row, rest), key));
}

/** What is noted, where the row of the document is still the one of then. */
export function restOf(user: string, vault: Vault, noted: Uint8Array, row: format.Row): RestRow | undefined {
  const bytes = vault.unseal(noted, format.restKey(user));
  const decoded = bytes && decodeRest(bytes);
  return decoded && isSame(decoded.place, row) ? decoded.rest : undefined;
}

/** The same of one that was found to hold before; `null` where its key can't be opened any more. */
export function openRest(user: UserId, { noted, wrapped }: SealedRest, vaults: Vaults): FoundRest | null {
  try {
    const vault = vaults.of(user, wrapped);
    const bytes = vaults.ring === null ? noted : vault.unseal(noted, format.restKey(user));
    const decoded = bytes && decodeRest(bytes);
    return decoded ? { rest: decoded.rest, place: decoded.place, vault } : null;
  } catch {
    return null;
  }
}

/** Users of whom something is noted, whether it holds or not: at most `limit` behind this one. */
export async function restingAfter(db: Database, after: UserId | null, limit: number): Promise<UserId[]> {
  const { gte, lt } = format.RESTS;
  const range = after === null ? { gte, lt } : { gt: format.restKey(after), lt };
  return (await db.keys({ ...range, limit }).all()).map(format.userOfRest) as UserId[];
}

/** For each of these users in turn; `null` where nothing is noted, it no longer holds, or something is damaged. */
export async function readRests(
  db: Database,
  users: readonly UserId[],
  vaults: Vaults,
): Promise<(ReadRest | null)[]> {
  try {
    return await findAll(db, users, vaults);
  } catch (cause) {
    throw readFailure(cause);
  }
}

/**
 * The update that a document at rest is stored as; `null` where it is not stored as one, or is another by now.
 *
 * @param known what is at hand of it
 */
export async function readWhole(
  db: Database,
  { user, revision, known }: { user: UserId; revision: number; known: FoundRest | null },
  vaults: Vaults,
): Promise<Uint8Array | null> {
  try {
    const [found = null] = known === null ? await findAll(db, [user], vaults) : [known];
    if (!found?.rest.isWhole || found.rest.revision !== revision) return null;
    const key = format.updateKey(user, found.place.last);
    const sealed = await db.get(key);
    const update = sealed && found.vault.unseal(sealed, key);
    if (update === undefined) throw corrupt(`update ${found.place.last} is damaged or missing`);
    return update;
  } catch (cause) {
    throw cause instanceof SyncError ? cause : readFailure(cause);
  }
}

async function findAll(db: Database, users: readonly UserId[], vaults: Vaults): Promise<(ReadRest | null)[]> {
  const keys = users.flatMap(keysOf);
  const values = await db.getMany(keys);
  const perUser = keys.length / users.length;
  const found = users.map((user, index) =>
    findOne(user, values.slice(index * perUser, (index + 1) * perUser), vaults),
  );
  return vaults.ring === null ? await exceptContinued(db, users, found) : found;
}

const keysOf = (user: UserId): Uint8Array[] => [
  format.restKey(user),
  format.rowKey(user),
  format.stateVectorKey(user),
  format.wrappedKey(user),
];

function findOne(
  user: UserId,
  [noted, stored, stateVector, wrapped]: readonly (Uint8Array | undefined)[],
  vaults: Vaults,
): ReadRest | null {
  if (noted === undefined || stored === undefined) return null;
  try {
    const vault = vaults.of(user, wrapped);
    const row = format.decodeRow(user, stored);
    const bytes = vault.unseal(noted, format.restKey(user));
    const decoded = bytes && decodeRest(bytes);
    if (!row || !decoded || !isSame(decoded.place, row)) return null;
    const isPlain = vaults.ring === null;
    if (isPlain && !isOfClock(stateVector, row.last)) return null;
    const sealed = { noted: isPlain ? bytes : noted, wrapped };
    return { rest: decoded.rest, place: row, vault, sealed };
  } catch {
    return null; // a load says what is wrong
  }
}

/**
 * While the server was down y-leveldb may have written, and left the row as it is. Where it has merged the document
 * behind its last update, the state vector has a later clock; where it has deleted it, there is none.
 */
function isOfClock(stateVector: Uint8Array | undefined, last: number): boolean {
  const clock = stateVector && format.stateVectorClock(stateVector);
  return clock !== undefined && clock <= last;
}

/** Where y-leveldb has only added to the document, there is an update behind the last one. */
async function exceptContinued(
  db: Database,
  users: readonly UserId[],
  found: readonly (ReadRest | null)[],
): Promise<(ReadRest | null)[]> {
  const kept: (ReadRest | null)[] = [...found];
  const there = found.flatMap((each, index) => (each === null ? [] : [{ index, last: each.place.last }]));
  const next = await db.getMany(
    there.map(({ index, last }) => format.updateKey(users[index] as UserId, last + 1)),
  );
  for (const [at, { index }] of there.entries()) if (next[at] !== undefined) kept[index] = null;
  return kept;
}
