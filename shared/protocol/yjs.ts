import { ByteReader, malformed, parseJson } from './bytes.js';
import {
  AUTH,
  AWARENESS,
  type AwarenessEntry,
  CHECKPOINT,
  PERMISSION_DENIED,
  QUERY_AWARENESS,
  SYNC,
  SYNC_STEP_1,
  SYNC_STEP_2,
  UPDATE,
} from './yjs-messages.js';

export { type AwarenessEntry, messages } from './yjs-messages.js';

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

/** Far more than any document has; a state vector costs its reader an entry for each. */
const MAX_CLIENTS = 100_000;

/** The clocks of an encoded state vector, client by client. */
export function decodeStateVector(bytes: Uint8Array): Map<number, number> {
  const reader = new ByteReader(bytes);
  const clocks = new Map<number, number>();
  const count = reader.count();
  if (count > MAX_CLIENTS) malformed(`A state vector names more than ${MAX_CLIENTS} clients.`);
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
