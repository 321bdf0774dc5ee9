import * as encoding from 'lib0/encoding';
import * as shared from '../../shared/message-encoders.js';
import {
  AUTH,
  AWARENESS,
  type AwarenessEntry,
  CHECKPOINT,
  COMING,
  EPOCH,
  MAX_TIMED,
  PERMISSION_DENIED,
  QUERY_AWARENESS,
  SYNC,
  SYNC_STEP_1,
  SYNC_STEP_2,
  TELLS,
  TIMED,
  type TimedChange,
  UPDATE,
} from '../../shared/yjs-messages.js';
import { ByteReader, encoded, malformed, parseJson } from './bytes.js';

/** In bytes of its JSON text; a larger one is passed over, and so it is not parsed. */
export const MAX_AWARENESS_STATE = 4 * 1024;
/** Entries of an awareness message: y-websocket sends those of all who are there. */
export const MAX_AWARENESS_ENTRIES = 1_000;
/**
 * Clients that a state vector may name: each session of each tab that ever wrote is one, and what the server writes
 * comes on top of as many of them as a document may have (`intake/breadth.ts`).
 */
export const MAX_STATE_VECTOR = 60_000;

export type { AwarenessEntry, TimedChange } from '../../shared/yjs-messages.js';

/**
 * The same as a client's. Made for each edit and each who comes: an encoder of its own would leave two byte arrays
 * outside the heap.
 */
function syncMessage(step: number, body: Uint8Array): Uint8Array {
  const { buffer, byteOffset, length } = encoded((encoder) => {
    encoding.writeVarUint(encoder, SYNC);
    encoding.writeVarUint(encoder, step);
    encoding.writeVarUint8Array(encoder, body);
  });
  return new Uint8Array(buffer, byteOffset, length);
}

/** Encoders of the messages that a server sends; a client's are among them. */
export const messages = {
  ...shared,
  syncStep1: (stateVector: Uint8Array): Uint8Array => syncMessage(SYNC_STEP_1, stateVector),
  syncStep2: (body: Uint8Array): Uint8Array => syncMessage(SYNC_STEP_2, body),
  update: (body: Uint8Array): Uint8Array => syncMessage(UPDATE, body),
  permissionDenied: (reason: string): Uint8Array =>
    encoding.encode((encoder) => {
      encoding.writeVarUint(encoder, AUTH);
      encoding.writeVarUint(encoder, PERMISSION_DENIED);
      encoding.writeVarString(encoder, reason);
    }),
  /** The next message has so many bytes, and takes its time (N10). */
  coming: (bytes: number): Uint8Array => shared.numbers(COMING, bytes),
  /** What had arrived before the document was written anew (P10). */
  epoch: (bytes: Uint8Array): Uint8Array =>
    encoding.encode((encoder) => {
      encoding.writeVarUint(encoder, EPOCH);
      encoding.writeVarUint8Array(encoder, bytes);
    }),
  /** The server takes timed changes, and checkpoints that tell what waits. */
  takesTimes: shared.numbers(TIMED, TELLS),
  /** Says nothing; y-websocket reconnects when it hears nothing for 30 s (N6). */
  keepAlive: shared.awareness([]),
} as const;

/** What a client sends with times. */
export interface TimedChanges {
  /** By the clock of the device, in ms since 1970. */
  readonly sentAt: number;
  readonly changes: readonly TimedChange[];
}

export type YjsMessage =
  | { readonly type: 'syncStep1'; readonly stateVector: Uint8Array }
  | { readonly type: 'syncStep2'; readonly update: Uint8Array }
  | { readonly type: 'update'; readonly update: Uint8Array }
  | { readonly type: 'awareness'; readonly entries: readonly AwarenessEntry[] }
  | { readonly type: 'queryAwareness' }
  | { readonly type: 'auth'; readonly reason: string }
  | { readonly type: 'checkpoint'; readonly n: number; readonly waiting?: Waiting }
  | ({ readonly type: 'timed' } & TimedChanges);

/**
 * Reads one message of a native client; anything but exactly one is MALFORMED_UPDATE. A state vector is checked,
 * an update is not: that is the work of `scanUpdate`.
 *
 * State vectors and updates are views of `bytes`. Who keeps them longer than the receive buffer hands in a copy
 * of it, which is the socket's work (S2).
 */
export function decodeMessage(bytes: Uint8Array): YjsMessage {
  const reader = new ByteReader(bytes);
  const message = readMessage(reader);
  reader.end();
  return message;
}

/** The clocks of an encoded state vector, client by client. */
export function decodeStateVector(bytes: Uint8Array): Map<number, number> {
  const reader = new ByteReader(bytes);
  const clocks = new Map<number, number>();
  const count = reader.count();
  if (count > MAX_STATE_VECTOR) malformed('A state vector names too many clients.');
  for (let left = count; left > 0; left--) clocks.set(reader.uint(), reader.uint());
  reader.end();
  return clocks.size === count ? clocks : malformed('A state vector names a client twice.');
}

function readMessage(reader: ByteReader): YjsMessage {
  const type = reader.uint();
  switch (type) {
    case SYNC:
      return readSync(reader);
    case AWARENESS:
      return { type: 'awareness', entries: decodeAwareness(reader.block()) };
    case AUTH:
      return readAuth(reader);
    case QUERY_AWARENESS:
      return { type: 'queryAwareness' };
    case CHECKPOINT:
      return readCheckpoint(reader);
    case TIMED:
      return { type: 'timed', ...readTimed(reader, MAX_TIMED) };
    default:
      return malformed(`The message type ${type} is not known.`);
  }
}

/** What a client tells of its changes with a checkpoint. */
export interface Waiting {
  /** Changes that are not confirmed, as it is sent. */
  readonly now: number;
  /** Those of them that are not when it is answered. */
  readonly later: number;
  /** Of the oldest, in ms. */
  readonly age: number;
}

function readCheckpoint(reader: ByteReader): YjsMessage {
  const n = reader.uint();
  if (reader.pos === reader.bytes.length) return { type: 'checkpoint', n };
  return { type: 'checkpoint', n, waiting: { now: reader.uint(), later: reader.uint(), age: reader.uint() } };
}

/** Reads to the end of the bytes. */
export function readTimed(reader: ByteReader, max: number): TimedChanges {
  const sentAt = reader.uint();
  const changes: TimedChange[] = [];
  while (reader.pos < reader.bytes.length) {
    if (changes.length === max) malformed(`There are more than ${max} changes with times.`);
    const time = reader.uint();
    changes.push({ madeAt: time === 0 ? null : time - 1, update: reader.block() });
  }
  return { sentAt, changes };
}

function readSync(reader: ByteReader): YjsMessage {
  const step = reader.uint();
  const body = reader.block();
  switch (step) {
    case SYNC_STEP_1:
      decodeStateVector(body);
      return { type: 'syncStep1', stateVector: body };
    case SYNC_STEP_2:
      return { type: 'syncStep2', update: body };
    case UPDATE:
      return { type: 'update', update: body };
    default:
      return malformed(`The sync message type ${step} is not known.`);
  }
}

function readAuth(reader: ByteReader): YjsMessage {
  const kind = reader.uint();
  if (kind !== PERMISSION_DENIED) malformed(`The auth message type ${kind} is not known.`);
  return { type: 'auth', reason: reader.text() };
}

function decodeAwareness(bytes: Uint8Array): AwarenessEntry[] {
  const reader = new ByteReader(bytes);
  const entries: AwarenessEntry[] = [];
  const count = reader.count();
  if (count > MAX_AWARENESS_ENTRIES) malformed('An awareness message has too many entries.');
  for (let left = count; left > 0; left--) {
    const entry = { id: reader.uint(), clock: reader.uint(), state: reader.text() };
    if (entry.state.length <= MAX_AWARENESS_STATE) parseJson(entry.state);
    entries.push(entry);
  }
  reader.end();
  return entries;
}
