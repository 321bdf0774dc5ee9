/** What is remembered of a document's records when their history is gone (L7, L8), as the store has it. */
import type { JsonObject } from '../../../shared/json.js';
import type { Path } from '../../../shared/merge/merge.js';
import type { CollectionName, RecordId } from '../../../shared/names.js';
import { resting } from '../../resting.js';
import type { Deletion } from '../../store/store.js';
import { keyOf, type RecordKey } from '../records/record-key.js';
import { Digests, UNKNOWN } from './digests.js';
import { type AwayDevice, PastChanges, type PastVersion } from './past-changes.js';
import { KnownValues } from './past-record.js';

/** Of the row that says which changes are not remembered; no record has an empty name. */
const UNTOLD = { collection: '' as CollectionName, id: '' as RecordId };

/** No write is later; it can be stored. */
const AFTER_ALL = Number.MAX_SAFE_INTEGER;

/** Changes of which nothing is remembered: those up to a revision, and after another one. */
export interface Untold {
  readonly upTo: number;
  /** They were made then at the latest. */
  readonly at: number;
  /** Everything between `upTo` and this is remembered. */
  readonly until: number;
}

/** How that is stored; an earlier version had `until` alone. */
type SavedUntold = readonly [until: number, secret: string];

export class Remembered {
  readonly #rows: ReadonlyMap<string, Deletion>;
  readonly #changes = new Map<string, PastChanges>();
  readonly untold: Untold;
  readonly digests: Digests;

  constructor(rows: readonly Deletion[] | ReadonlyMap<string, Deletion>) {
    this.#rows = 'map' in rows ? new Map(rows.map((row) => [nameOf(row), row])) : rows;
    const row = this.#rows.get(keyOf(UNTOLD));
    const { until, secret } = savedUntold(row?.changes);
    this.untold = { upTo: row?.revision ?? 0, at: row?.at ?? 0, until };
    this.digests = new Digests(secret);
  }

  /** Of many rows; others have their turns meanwhile. */
  static async inTurns(rows: readonly Deletion[], rest = resting()): Promise<Remembered> {
    const byName = new Map<string, Deletion>();
    for (const row of rows) {
      byName.set(nameOf(row), row);
      await rest();
    }
    return new Remembered(byName);
  }

  /** The rows of an earlier version, which made digests without a secret, with such that have one. */
  *withSecret(): Generator<Deletion> {
    const anew = Digests.anew();
    yield untoldRow(this.untold, anew);
    for (const [key, row] of this.#rows) if (key !== keyOf(UNTOLD)) yield withDigests(row, anew);
  }

  /** The last deletion of a record, of those that are remembered. */
  deletion(key: RecordKey): Deletion | null {
    const row = this.#rows.get(keyOf(key));
    return row === undefined || row.revision === 0 ? null : row;
  }

  /** What is remembered of its changes; what was deleted last has changed as a whole. */
  changes(key: RecordKey): PastChanges {
    const known = this.#changes.get(keyOf(key));
    if (known !== undefined) return known;
    const changes = this.#read(key);
    this.#changes.set(keyOf(key), changes);
    return changes;
  }

  #read(key: RecordKey): PastChanges {
    const row = this.#rows.get(keyOf(key));
    if (row?.changes !== undefined) return this.#decoded(row.changes);
    const deletion = this.deletion(key);
    return new PastChanges(deletion === null ? [] : [removal(deletion.revision, deletion.at)]);
  }

  /** Of what can't be read it is only known that it was before all that is not remembered yet. */
  #decoded(bytes: Uint8Array): PastChanges {
    try {
      return PastChanges.decode(bytes);
    } catch {
      return new PastChanges([removal(this.untold.until, AFTER_ALL)]);
    }
  }

  /** When the value at a path was last changed; `null`: what is remembered does not tell. */
  changedAt(key: RecordKey, path: Path, isThere: boolean): number {
    const { upTo, at } = this.untold;
    const last = this.changes(key).last(path, isThere);
    const told = last?.madeAt ?? Number.NEGATIVE_INFINITY;
    return upTo === 0 || (last !== null && last.revision > upTo) ? told : Math.max(told, at);
  }

  /** The versions of a record that a device may have been looking at; empty where one is not known. */
  versions(
    key: RecordKey,
    device: AwayDevice,
    oldest: JsonObject | null,
    known: readonly (JsonObject | null)[],
  ): PastVersion[] {
    if (device.from < this.untold.upTo) return [];
    return this.changes(key).versions(device, oldest, new KnownValues(known, this.digests));
  }
}

export const untoldRow = ({ upTo, at, until }: Untold, { secret }: Digests): Deletion => ({
  ...UNTOLD,
  revision: upTo,
  at,
  changes: Buffer.from(JSON.stringify(secret === null ? until : ([until, secret] satisfies SavedUntold))),
});

/** Where that can't be read, nothing is remembered. */
function savedUntold(bytes: Uint8Array | undefined): { until: number; secret: string | null } {
  try {
    const saved: unknown = bytes === undefined ? 0 : JSON.parse(Buffer.from(bytes).toString());
    if (!Array.isArray(saved)) return { until: Number(saved), secret: null };
    return { until: Number(saved[0]), secret: String(saved[1]) };
  } catch {
    return { until: 0, secret: null };
  }
}

/** What can't be read stays as it is. */
function withDigests(row: Deletion, digests: Digests): Deletion {
  if (row.changes === undefined) return row;
  try {
    const changes = PastChanges.decode(row.changes).withDigests((plain) => digests.from(plain));
    return { ...row, changes: changes.encode() };
  } catch {
    return row;
  }
}

const nameOf = (row: Deletion): string => keyOf(row as Deletion & RecordKey);

export const removal = (revision: number, madeAt: number) => ({
  path: [],
  revision,
  madeAt,
  before: UNKNOWN,
  since: 0,
  by: null,
});
