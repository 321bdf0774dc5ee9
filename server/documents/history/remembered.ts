/** What is remembered of a document's records when their history is gone (L7, L8), as the store has it. */
import type { JsonObject } from '../../../shared/json.js';
import type { Path } from '../../../shared/merge/merge.js';
import type { CollectionName, RecordId } from '../../../shared/names.js';
import type { Deletion } from '../../store/store.js';
import { keyOf, type RecordKey } from '../records/record-key.js';
import { type AwayDevice, PastChanges, UNKNOWN } from './past-changes.js';

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

export class Remembered {
  readonly #rows: ReadonlyMap<string, Deletion>;
  readonly #changes = new Map<string, PastChanges>();

  constructor(rows: readonly Deletion[]) {
    this.#rows = new Map(rows.map((row) => [keyOf(row as Deletion & RecordKey), row]));
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

  get untold(): Untold {
    const row = this.#rows.get(keyOf(UNTOLD));
    if (row?.changes === undefined) return { upTo: 0, at: 0, until: 0 };
    return { upTo: row.revision, at: row.at, until: Number(Buffer.from(row.changes).toString()) };
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
  ): (JsonObject | null)[] {
    return device.from < this.untold.upTo ? [] : this.changes(key).versions(device, oldest, known);
  }
}

export const untoldRow = ({ upTo, at, until }: Untold): Deletion => ({
  ...UNTOLD,
  revision: upTo,
  at,
  changes: Buffer.from(String(until)),
});

export const removal = (revision: number, madeAt: number) => ({
  path: [],
  revision,
  madeAt,
  before: UNKNOWN,
  since: 0,
  by: null,
});
