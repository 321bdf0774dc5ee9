/** Reads what a server sends. It is trusted more than a client is: only lengths are checked here, the rest by Yjs. */
import * as decoding from 'lib0/decoding';
import { decodeUtf8 } from 'lib0/string';
import * as Y from 'yjs';
import type { Exchange } from '../../shared/exchange.js';
import {
  AUTH,
  AWARENESS,
  type AwarenessEntry,
  CHECKPOINT,
  COMING,
  EPOCH,
  PERMISSION_DENIED,
  SYNC,
  SYNC_STEP_1,
  SYNC_STEP_2,
  TELLS,
  TIMED,
  UPDATE,
} from '../../shared/yjs-messages.js';

export type ServerMessage =
  | { readonly type: 'syncStep1'; readonly stateVector: Uint8Array }
  | { readonly type: 'syncStep2'; readonly update: Uint8Array }
  | { readonly type: 'update'; readonly update: Uint8Array }
  | { readonly type: 'awareness'; readonly entries: readonly AwarenessEntry[] }
  | { readonly type: 'denied'; readonly reason: string }
  | { readonly type: 'checkpoint'; readonly n: number }
  | { readonly type: 'takesTimes'; readonly tells: boolean }
  | { readonly type: 'coming'; readonly bytes: number }
  | { readonly type: 'epoch'; readonly epoch: Uint8Array };

/** Reads a message; null for one of a type that this client does not know. Throws where the bytes are no message. */
export function readServerMessage(bytes: Uint8Array): ServerMessage | null {
  const decoder = decoding.createDecoder(bytes);
  switch (decoding.readVarUint(decoder)) {
    case SYNC:
      return readSync(decoder);
    case AWARENESS:
      return { type: 'awareness', entries: readEntries(decoding.createDecoder(block(decoder))) };
    case AUTH:
      return decoding.readVarUint(decoder) === PERMISSION_DENIED
        ? { type: 'denied', reason: text(decoder) }
        : null;
    case CHECKPOINT:
      return { type: 'checkpoint', n: decoding.readVarUint(decoder) };
    case TIMED:
      return { type: 'takesTimes', tells: decoding.readVarUint(decoder) >= TELLS };
    case COMING:
      return { type: 'coming', bytes: decoding.readVarUint(decoder) };
    case EPOCH:
      return { type: 'epoch', epoch: block(decoder) };
    default:
      return null;
  }
}

/**
 * Reads the answer of an HTTP exchange (H3). Throws where the bytes are none: it confirms changes, and the page of
 * a hotel's network, which answers everything with 200, must not.
 */
export function readExchange(bytes: Uint8Array): Exchange {
  const decoder = decoding.createDecoder(bytes);
  const answer: Exchange = {
    stateVector: block(decoder),
    update: block(decoder),
    epoch: decoding.hasContent(decoder) ? block(decoder) : undefined,
  };
  if (decoding.hasContent(decoder)) throw new Error('The answer is too long.');
  Y.decodeStateVector(answer.stateVector);
  return answer;
}

function readSync(decoder: decoding.Decoder): ServerMessage | null {
  switch (decoding.readVarUint(decoder)) {
    case SYNC_STEP_1:
      return { type: 'syncStep1', stateVector: block(decoder) };
    case SYNC_STEP_2:
      return { type: 'syncStep2', update: block(decoder) };
    case UPDATE:
      return { type: 'update', update: block(decoder) };
    default:
      return null;
  }
}

function readEntries(decoder: decoding.Decoder): AwarenessEntry[] {
  const entries: AwarenessEntry[] = [];
  for (let left = decoding.readVarUint(decoder); left > 0; left--) {
    entries.push({
      id: decoding.readVarUint(decoder),
      clock: decoding.readVarUint(decoder),
      state: text(decoder),
    });
  }
  return entries;
}

/** lib0 itself would read on in the buffer behind the bytes. */
function block(decoder: decoding.Decoder): Uint8Array {
  const length = decoding.readVarUint(decoder);
  const end = decoder.pos + length;
  if (end > decoder.arr.length) throw new Error('The message ends too early.');
  const bytes = decoder.arr.subarray(decoder.pos, end);
  decoder.pos = end;
  return bytes;
}

const text = (decoder: decoding.Decoder): string => decodeUtf8(block(decoder));
