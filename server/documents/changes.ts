/** What the funnel takes in and gives out. */
import type { SyncError } from '../../shared/errors.js';
import type { DeviceId } from '../../shared/names.js';
import type { JsonRecord } from '../../shared/records.js';
import type { RecordKey } from './replica.js';

/** Where a change comes from. */
export interface Origin {
  readonly via: 'yjs' | 'json' | 'http';
  readonly device: DeviceId;
  /** The connection, which does not get its own change back (N5); `null` for an HTTP request. */
  readonly member: Member | null;
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
  /** The records that it changed; left out (`null`) when no connected device wants them. */
  readonly records: readonly RecordChange[] | null;
}

/** A connection that follows the document. */
export interface Member {
  readonly device: DeviceId;
  /** Whether it wants changed records as JSON. */
  readonly wantsRecords: boolean;
  deliver(change: DurableChange): void;
  /** The document can't go on; the connection has to end. */
  fail(error: SyncError): void;
}
