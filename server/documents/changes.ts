/** What the funnel takes in and gives out. */

import type { JsonRecord } from '../../shared/json.js';
import type { DeviceId } from '../../shared/names.js';
import type { SyncError } from '../errors.js';
import type { HistoryEntry, Via } from './history/history-entry.js';
import type { ImageChange } from './records/record-images.js';
import type { RecordKey } from './records/record-key.js';

/** Where a change comes from. */
export interface Origin {
  readonly via: Via;
  readonly device: DeviceId;
  /** The person the device acts for, where that is known. */
  readonly actor: string | null;
  /** The connection, which does not get its own change back (N5); `null` for an HTTP request. */
  readonly subscriber: Subscriber | null;
}

/** What one call changed; all of it goes into one commit. */
export interface Written {
  /** The new part of the update that came in, as it came or re-encoded; `null` when nothing of it was new. */
  readonly incoming: Uint8Array | null;
  /** Both together, as one update. */
  readonly update: Uint8Array | null;
  /** What the server wrote itself, which the author of `incoming` does not have; `null` if nothing. */
  readonly made: Uint8Array | null;
  /** The records that are not what they were. */
  readonly records: readonly ImageChange[];
  /** Records as they would be with what came in and was overruled at once, before everything else. */
  readonly lost: readonly ImageChange[];
  /** The document's memory, when it changed. */
  readonly memory: Uint8Array | undefined;
}

/** A record after a change; `record` is `null` when it was deleted. */
export interface RecordChange extends RecordKey {
  readonly record: JsonRecord | null;
}

/** A change that is durable. */
export interface DurableChange {
  readonly origin: Origin;
  /** The user's change counter after it. */
  readonly revision: number;
  /** Everything that is new, as one Yjs update. */
  readonly update: Uint8Array;
  /** The part that the origin does not have; `null` when it has everything. */
  readonly made: Uint8Array | null;
  /** The records that it changed. */
  readonly records: readonly RecordChange[];
}

export function durableChange(
  origin: Origin,
  revision: number,
  { update, made }: Written,
  entries: readonly HistoryEntry[],
): DurableChange {
  const records = entries.map(({ collection, id, after }) => ({
    collection,
    id,
    record: after?.json ?? null,
  }));
  return { origin, revision, update: update ?? new Uint8Array(0), made, records };
}

/** A connection that follows the document. */
export interface Subscriber {
  readonly device: DeviceId;
  deliver(change: DurableChange): void;
  /** The document can't go on; the connection has to end. */
  fail(error: SyncError): void;
}
