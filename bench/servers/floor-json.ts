/** The records of one user as the floor server keeps them for JSON devices. */
import * as Y from 'yjs';

interface Message {
  readonly type: string;
  readonly deviceId: string;
  readonly data: { readonly collection: string; readonly document: Readonly<Record<string, unknown>> };
}

interface Written {
  readonly update: Uint8Array;
  readonly message: string;
}

export class Records {
  readonly #doc: Y.Doc;
  readonly #known = new Map<string, Readonly<Record<string, unknown>>>();
  #update: Uint8Array | null = null;

  constructor(doc: Y.Doc) {
    this.#doc = doc;
    doc.on('update', (update: Uint8Array) => {
      this.#update = update;
    });
  }

  /** Writes the fields of a whole record that differ; `null` where none does. */
  write(bytes: Buffer): Written | null {
    const { type, deviceId, data } = JSON.parse(bytes.toString()) as Message;
    if (type !== 'DATA_UPDATE') return null;
    const { collection, document } = data;
    const id = String(document.id);
    const known = this.#known.get(id);
    this.#update = null;
    this.#doc.transact(() => {
      const map = this.#mapOf(collection, id);
      for (const [field, value] of Object.entries(document)) {
        if (known === undefined || !same(known[field], value)) map.set(field, value);
      }
    });
    this.#known.set(id, document);
    if (this.#update === null) return null;
    const shown = { type, data: { collection, document }, timestamp: Date.now(), fromDevice: deviceId };
    return { update: this.#update, message: JSON.stringify(shown) };
  }

  #mapOf(collection: string, id: string): Y.Map<unknown> {
    const records = this.#doc.getMap<Y.Map<unknown>>(collection);
    return records.get(id) ?? records.set(id, new Y.Map());
  }
}

const same = (a: unknown, b: unknown): boolean =>
  a === b || (typeof a === 'object' && typeof b === 'object' && JSON.stringify(a) === JSON.stringify(b));
