import * as encoding from 'lib0/encoding';
import { ByteReader, malformed, parseJson } from './bytes.js';

/** Message types of y-protocols; 100 is our own (N4). */
const SYNC = 0;
const AWARENESS = 1;
const AUTH = 2;
const QUERY_AWARENESS = 3;
const CHECKPOINT = 100;

const SYNC_STEP_1 = 0;
const SYNC_STEP_2 = 1;
const UPDATE = 2;

const PERMISSION_DENIED = 0;

export interface AwarenessEntry {
  /** Yjs client id that the state belongs to. */
  readonly id: number;
  readonly clock: number;
  /** JSON text as it came, `null` for a client that left. It parses, nothing else is known of it. */
  readonly state: string;
}

export type YjsMessage =
  | { readonly type: 'syncStep1'; readonly stateVector: Uint8Array }
  | { readonly type: 'syncStep2'; readonly update: Uint8Array }
  | { readonly type: 'update'; readonly update: Uint8Array }
  | { readonly type: 'awareness'; readonly entries: readonly AwarenessEntry[] }
  | { readonly type: 'queryAwareness' }
  | { readonly type: 'auth'; readonly reason: string }
  | { readonly type: 'checkpoint'; readonly n: number };

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
  for (let left = count; left > 0; left--) clocks.set(reader.uint(), reader.uint());
  reader.end();
  return clocks.size === count ? clocks : malformed('A state vector names a client twice.');
}

/** Encoders of the messages that a server sends; a client's are among them. */
export const messages = {
  syncStep1: (stateVector: Uint8Array): Uint8Array => syncMessage(SYNC_STEP_1, stateVector),
  syncStep2: (update: Uint8Array): Uint8Array => syncMessage(SYNC_STEP_2, update),
  update: (update: Uint8Array): Uint8Array => syncMessage(UPDATE, update),
  awareness: (entries: readonly AwarenessEntry[]): Uint8Array => awarenessMessage(entries),
  permissionDenied: (reason: string): Uint8Array =>
    encoding.encode((encoder) => {
      encoding.writeVarUint(encoder, AUTH);
      encoding.writeVarUint(encoder, PERMISSION_DENIED);
      encoding.writeVarString(encoder, reason);
    }),
  checkpoint: (n: number): Uint8Array =>
    encoding.encode((encoder) => {
      encoding.writeVarUint(encoder, CHECKPOINT);
      encoding.writeVarUint(encoder, n);
    }),
  /** Says nothing; y-websocket reconnects when it hears nothing for 30 s (N6). */
  keepAlive: awarenessMessage([]),
} as const;

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
      return { type: 'checkpoint', n: reader.uint() };
    default:
      return malformed(`The message type ${type} is not known.`);
  }
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
  for (let left = reader.count(); left > 0; left--) {
    const entry = { id: reader.uint(), clock: reader.uint(), state: reader.text() };
    parseJson(entry.state);
    entries.push(entry);
  }
  reader.end();
  return entries;
}

function syncMessage(step: number, body: Uint8Array): Uint8Array {
  return encoding.encode((encoder) => {
    encoding.writeVarUint(encoder, SYNC);
    encoding.writeVarUint(encoder, step);
    encoding.writeVarUint8Array(encoder, body);
  });
}

function awarenessMessage(entries: readonly AwarenessEntry[]): Uint8Array {
  const body = encoding.encode((encoder) => {
    encoding.writeVarUint(encoder, entries.length);
    for (const { id, clock, state } of entries) {
      encoding.writeVarUint(encoder, id);
      encoding.writeVarUint(encoder, clock);
      encoding.writeVarString(encoder, state);
    }
  });
  return encoding.encode((encoder) => {
    encoding.writeVarUint(encoder, AWARENESS);
    encoding.writeVarUint8Array(encoder, body);
  });
}
