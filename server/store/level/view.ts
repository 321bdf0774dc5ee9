/** What connections that speak JSON need of a document at rest: its records as JSON, and what is known of a device (L1). */
import type { DeviceKey, UserId } from '../../../shared/names.js';
import { corrupt, type SyncError } from '../../errors.js';
import type { Vault, Vaults } from '../encryption/vault.js';
import * as format from '../format.js';
import { decodeView, encodeView, isSame } from '../rest-format.js';
import { type Database, type Operation, put, readFailure } from './database.js';

/** Written in one batch with what is noted of the document; it counts as long as that does. */
export function putView(user: UserId, row: format.Row, vault: Vault, view: Uint8Array): Operation {
  const key = format.viewKey(user);
  return put(key, vault.seal(encodeView(row, view), key));
}

export interface ViewQuestion {
  readonly user: UserId;
  readonly revision: number;
  /** Not where it is known that the document is as it was noted, and nothing is encrypted. */
  readonly needsRow: boolean;
}

/** For each of these in turn: the view, `null` where there is none of this revision, the error where it is damaged. */
export async function readViews(
  db: Database,
  questions: readonly ViewQuestion[],
  vaults: Vaults,
): Promise<(Uint8Array | null | SyncError)[]> {
  try {
    const keys: Uint8Array[] = [];
    for (const { user, needsRow } of questions) {
      keys.push(format.viewKey(user));
      if (needsRow) keys.push(format.rowKey(user), format.wrappedKey(user));
    }
    const values = await db.getMany(keys);
    let next = 0;
    return questions.map((question) => {
      const found = values.slice(next, next + (question.needsRow ? 3 : 1));
      next += found.length;
      return viewOf(question, found, vaults);
    });
  } catch (cause) {
    throw readFailure(cause);
  }
}

function viewOf(
  { user, revision, needsRow }: ViewQuestion,
  [sealed, stored, wrapped]: readonly (Uint8Array | undefined)[],
  vaults: Vaults,
): Uint8Array | null | SyncError {
  if (sealed === undefined || (needsRow && stored === undefined)) return null;
  // Made where it is needed: an error takes longer than all the rest.
  const damaged = () => corrupt('the view of the document is damaged');
  try {
    const bytes = vaults.of(user, wrapped).unseal(sealed, format.viewKey(user));
    const decoded = bytes && decodeView(bytes);
    const place = stored === undefined ? decoded?.place : format.decodeRow(user, stored);
    if (decoded === null) return null;
    if (decoded === undefined || place === undefined) return damaged();
    return isSame(decoded.place, place) && place.revision === revision ? decoded.view : null;
  } catch {
    return damaged();
  }
}

export interface DeviceQuestion {
  readonly user: UserId;
  readonly device: DeviceKey;
}

/** For each of these in turn; `null` for one that was never met, or whose state is damaged. */
export async function readSomeDevices(
  db: Database,
  questions: readonly DeviceQuestion[],
  vaults: Vaults,
): Promise<(Uint8Array | null)[]> {
  try {
    const wrapped =
      vaults.ring === null ? [] : await db.getMany(questions.map(({ user }) => format.wrappedKey(user)));
    const places = questions.map(({ user, device }, index) => placeOf(user, device, wrapped[index], vaults));
    const values = await db.getMany(places.map(({ key }) => key));
    return places.map(({ vault, key }, index) => {
      const { user } = questions[index] as DeviceQuestion;
      const sealed = values[index];
      return (sealed && vault?.unsealNamed(sealed, key, 'device', user)?.value) ?? null;
    });
  } catch (cause) {
    throw readFailure(cause);
  }
}

/** Where the user's key is damaged, nothing is found: a load says what is wrong. */
function placeOf(
  user: UserId,
  device: DeviceKey,
  wrapped: Uint8Array | undefined,
  vaults: Vaults,
): { vault: Vault | null; key: Uint8Array } {
  try {
    const vault = vaults.of(user, wrapped);
    return { vault, key: vault.namedKey('device', user, device) };
  } catch {
    return { vault: null, key: format.deviceKey(user, device) };
  }
}

/** By which the states of a user's devices are stored, of whom something is stored already. */
export async function readVault(db: Database, user: UserId, vaults: Vaults): Promise<Vault> {
  const wrapped = await db.get(format.wrappedKey(user));
  if (wrapped === undefined) throw new Error('the user has no key: the document has to be loaded first');
  return vaults.of(user, wrapped);
}
