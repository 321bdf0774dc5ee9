import * as Y from 'yjs';
import type { SyncSource } from '../connection/sync-source.js';
import { ClientError } from '../errors.js';
import { EMPTY_STATE } from '../replica/stored-bytes.js';

/** A document that the server has written anew, while it comes in (P10). It has nothing of this device's own. */
export class NewDocument implements SyncSource {
  readonly #doc = new Y.Doc();
  readonly stateVector = (): Uint8Array => Y.encodeStateVector(this.#doc);

  get isEmpty(): boolean {
    return this.#doc.store.clients.size === 0;
  }

  get state(): Uint8Array {
    return Y.encodeStateAsUpdate(this.#doc);
  }

  async applyRemote(update: Uint8Array): Promise<void> {
    Y.applyUpdate(this.#doc, update);
  }

  diff(): Uint8Array {
    return EMPTY_STATE;
  }

  pendingAfter(): [] {
    return [];
  }

  async settled(): Promise<void> {}

  confirm(): void {}

  async closeGaps(): Promise<void> {}

  async setAside(): Promise<void> {
    throw new ClientError('CLOSED');
  }

  onPending(): () => void {
    return () => {};
  }
}
