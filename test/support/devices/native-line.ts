import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import * as syncProtocol from 'y-protocols/sync';
import type * as Y from 'yjs';
import type { SyncError } from '../../../server/errors.js';
import { YjsSession, type YjsSessionOptions } from '../../../server/gateways/yjs/session.js';
import type { DeviceId } from '../../../shared/names.js';
import { yjsOutbox } from './outbox.js';

export interface NativeLineOptions extends Pick<YjsSessionOptions, 'document' | 'now' | 'asksForTimes'> {
  readonly device: string;
  readonly closed: (error: SyncError) => void;
}

/** A native device's end of a real session, without a socket: what comes waits until it is taken. */
export class NativeLine {
  readonly frames: Uint8Array[] = [];
  readonly #session: YjsSession;

  constructor({ device, closed, ...options }: NativeLineOptions) {
    this.#session = new YjsSession({
      ...options,
      device: device as DeviceId,
      maxPending: 256 * 1024,
      pendingTimeout: 30_000,
      outbox: yjsOutbox({ send: (frame) => this.frames.push(frame), close: closed }),
    });
    this.#session.start();
  }

  say(bytes: Uint8Array): void {
    this.#session.receive(bytes);
  }

  /** The server notices that the connection is gone. */
  leave(): void {
    this.#session.leave();
  }
}

/** What y-websocket does with a message of the sync protocol; `null`: there is nothing to answer. */
export function answerTo(message: Uint8Array, doc: Y.Doc, origin: unknown): Uint8Array | null {
  const decoder = decoding.createDecoder(message);
  if (decoding.readVarUint(decoder) !== 0) return null;
  const answer = encoding.encode((encoder) => {
    encoding.writeVarUint(encoder, 0);
    syncProtocol.readSyncMessage(decoder, encoder, doc, origin);
  });
  return answer.length > 1 ? answer : null;
}
