import * as Y from 'yjs';
import type { SyncSource } from '../connection/sync-source.js';
import { EMPTY_STATE } from '../replica/stored-bytes.js';

/** A document that the server has written anew, while it comes in (P10). It has nothing of this device's own. */
export class NewDocument implements SyncSource {
  readonly #doc = new Y.Doc();
  /** What had arrived before; null where the server does not tell. */
  epoch: Uint8Array | null = null;
  readonly asksForEpoch = true;
  readonly stateVector = (): Uint8Array => Y.encodeStateVector(this.#doc);

  get isEmpty(): boolean {
    return this.#doc.store.clients.size === 0;
  }

  get state(): Uint8Array {
    return Y.encodeStateAsUpdate(this.#doc);
  }

  hearEpoch(epoch: Uint8Array): void {
    this.epoch = epoch;
  }

  async applyRemote(update: Uint8Array): Promise<void> {
    Y.applyUpdate(this.#doc, update);
  }

  readonly diff = (): Uint8Array => EMPTY_STATE;
  readonly pendingAfter = (): [] => [];
  readonly onPending = (): (() => void) => nothing;
  readonly settled = nothing;
  readonly confirm = nothing;
  readonly closeGaps = nothing;
  readonly setAside = nothing;
}

async function nothing(): Promise<void> {}
