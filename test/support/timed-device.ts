import * as Y from 'yjs';
import type { Origin } from '../../server/documents/changes.js';
import type { MadeAt } from '../../server/documents/later-wins/made-at.js';
import type { UserDocument } from '../../server/documents/user-document.js';
import type { DeviceId } from '../../shared/names.js';

/** A native device without its connection: it keeps each change with its time until it is told to give it. */
export class TimedDevice {
  readonly doc = new Y.Doc();
  readonly origin: Origin;
  pending: { readonly update: Uint8Array; readonly madeAt: MadeAt }[] = [];
  #madeAt: MadeAt = null;

  constructor(name: string, clientId: number) {
    this.doc.clientID = clientId;
    this.origin = { via: 'yjs', device: name as DeviceId, actor: null, subscriber: null };
    this.doc.on('update', (update: Uint8Array, origin: unknown) => {
      if (origin !== this) this.pending.push({ update, madeAt: this.#madeAt });
    });
  }

  record(id = 'a'): Y.Map<unknown> {
    return this.doc.getMap<Y.Map<unknown>>('appointments').get(id) as Y.Map<unknown>;
  }

  /** One change, made at this time. */
  write(madeAt: MadeAt, change: (doc: Y.Doc) => void): void {
    this.#madeAt = madeAt;
    this.doc.transact(() => change(this.doc));
  }

  set(madeAt: MadeAt, fields: Record<string, unknown>, id = 'a'): void {
    this.write(madeAt, () => {
      for (const [key, value] of Object.entries(fields)) {
        if (value === undefined) this.record(id).delete(key);
        else this.record(id).set(key, value);
      }
    });
  }

  /** Gives the first changes, all unless told. */
  async give(document: UserDocument, count = this.pending.length): Promise<void> {
    for (const { update, madeAt } of this.pending.splice(0, count)) {
      await new Promise<void>((resolve, reject) => {
        document.whenReady(() => {
          try {
            const { missing, tried } = document.receive(this.origin, update, null, madeAt);
            if (missing !== null) throw new Error('A change is missing.');
            (tried ?? Promise.resolve()).then(resolve, reject);
          } catch (error) {
            reject(error);
          }
        });
      });
    }
  }

  take(document: UserDocument): void {
    Y.applyUpdate(this.doc, document.diff(Y.encodeStateVector(this.doc)), this);
  }
}
