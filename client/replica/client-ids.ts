import * as Y from 'yjs';
import type { DeviceStorage, SlotClaim } from '../local-store/store.js';

export interface ClientIdsOptions {
  readonly doc: Y.Doc;
  readonly storage: DeviceStorage;
  /** That of the store. */
  readonly name: string;
  /** Resolves when the document has all that is stored. */
  readonly settled: () => Promise<void>;
  /** Whether what is written is stored now. */
  readonly isStored: () => boolean;
}

/**
 * Under which Yjs client id this device writes. Each id that ever wrote something costs every later transaction, so
 * that of an earlier start is taken again where all that was written under it is known to be here: while no other tab
 * has it, and once the server has said that it has no more of it (C9).
 */
export class ClientIds {
  readonly #options: ClientIdsOptions;
  /** Drawn at this start. */
  readonly #fresh: number;
  #earlier: Promise<number | null> = Promise.resolve(null);
  #claim: SlotClaim | null = null;
  /** The earlier one, while it is in use. */
  #again: number | null = null;
  #isDecided = false;

  constructor(options: ClientIdsOptions) {
    this.#options = options;
    this.#fresh = options.doc.clientID;
    options.doc.on('afterTransaction', ({ origin, beforeState, afterState }: Y.Transaction) => {
      const again = this.#again;
      if (again === null || origin === 'local' || beforeState.get(again) === afterState.get(again)) return;
      // Somebody else writes under it, such as a copy of the whole device.
      this.letGo();
      this.#keep(this.#fresh);
    });
  }

  /** The store is open, and the document has what is in it. */
  begin(): void {
    this.#earlier = this.#readEarlier().catch(() => {
      this.end();
      return null;
    });
  }

  /** The server has everything up to this state vector, and at that time had nothing else. */
  async heard(serverHas: Uint8Array): Promise<void> {
    const earlier = await this.#earlier;
    const { doc, isStored } = this.#options;
    // What is incomplete here may be completed by what the server sends next.
    if (this.#isDecided || !isStored() || doc.store.pendingStructs !== null) return;
    this.#isDecided = true;
    const here = earlier === null ? 0 : Y.getState(doc.store, earlier);
    const there = Y.decodeStateVector(serverHas).get(earlier ?? 0) ?? 0;
    if (earlier === null || here === 0 || there > here) this.#keep(this.#fresh);
    else this.#again = doc.clientID = earlier;
  }

  /** What is written from here on has an id of its own: it may be missing at the next start. */
  letGo(): void {
    this.#isDecided = true;
    if (this.#again === null) return;
    this.#again = null;
    this.#options.doc.clientID = this.#fresh;
  }

  /** Nothing is written any more: another tab may take the id. */
  end(): void {
    this.#isDecided = true;
    this.#again = null;
    this.#claim?.release();
  }

  async #readEarlier(): Promise<number | null> {
    const { storage, name, settled } = this.#options;
    const claim = (await storage.claimSlot?.(name)) ?? null;
    if (claim === null || this.#isDecided) {
      claim?.release();
      this.#isDecided = true;
      return null;
    }
    this.#claim = claim;
    // A tab that has just ended may have left a transaction under way: this comes after it.
    await settled();
    return Number(await storage.readSetting(this.#setting(claim))) || null;
  }

  /** It is taken at the next start. */
  #keep(id: number): void {
    const claim = this.#claim;
    if (claim !== null) this.#options.storage.writeSetting(this.#setting(claim), String(id)).catch(() => {}); // then a new one
  }

  #setting({ slot }: SlotClaim): string {
    return `clientId:${this.#options.name}:${slot}`;
  }
}
