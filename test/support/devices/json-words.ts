/** What JSON devices say and keep, whatever carries it. */
import type { Collections, JsonRecord } from '../../../shared/json.js';
import { type ById, byId } from '../clinic.js';

/** A message of the server to a JSON device; which fields there are depends on `type`. */
export interface ServerMessage {
  readonly type: 'FULL_SYNC' | 'DATA_UPDATE' | 'DATA_DELETE' | 'CONNECTION_CONFIRMED' | 'ERROR' | 'ACK';
  readonly data: { collection: string; document: JsonRecord; documentId: string };
  readonly timestamp: number;
  readonly fromDevice: string;
  readonly userId: string;
  readonly deviceId: string;
  readonly code: string;
  readonly message: string;
  readonly ack: string;
}

/** A whole record as a device wrote it, or the id of one that it deleted. */
export interface Change {
  readonly collection: string;
  readonly document?: JsonRecord;
  readonly documentId?: string;
  /** By the clock of the device. */
  readonly madeAt: number;
}

/**
 * Which timestamps a device gives its messages: when the change was made and when it is sent; `stored`: the time of
 * the change as both of them; or none.
 */
export type Stamps = 'both' | 'stored' | 'none';

/** A change as it is sent, but for who sends it. */
export interface ChangeMessage {
  readonly type: 'DATA_UPDATE' | 'DATA_DELETE';
  readonly data: Omit<Change, 'madeAt'> & { readonly timestamp?: number };
  readonly timestamp?: number;
}

export function messageOf({ madeAt, ...data }: Change, stamps: Stamps, sentAt: number): ChangeMessage {
  const type = data.document === undefined ? 'DATA_DELETE' : 'DATA_UPDATE';
  if (stamps === 'none') return { type, data };
  return { type, data: { ...data, timestamp: madeAt }, timestamp: stamps === 'stored' ? madeAt : sentAt };
}

/** Makes a change in a device's own records. */
export function apply(records: ById, { collection, document, documentId }: Partial<Change>): void {
  if (collection === undefined) return;
  if (document === undefined) delete records[collection]?.[`${documentId}`];
  else records[collection] = { ...records[collection], [`${document.id}`]: document };
}

/** A device's records after a message of the server: what it says replaces, and a full sync replaces all. */
export function taken(records: ById, { type, data }: Pick<ServerMessage, 'type' | 'data'>): ById {
  if (type === 'FULL_SYNC') return byId(data as unknown as Collections);
  if (type === 'DATA_UPDATE' || type === 'DATA_DELETE') apply(records, data);
  return records;
}
