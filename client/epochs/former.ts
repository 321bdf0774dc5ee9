/** What this device has of the documents before one that the server has written anew (P10). */
import * as Y from 'yjs';
import { decodeEpoch, type Retired } from '../../shared/epoch.js';
import { endsIn, namedIn, rangesOf } from '../refused/update-places.js';

export class FormerDocuments {
  readonly #retired: ReadonlyMap<number, Retired> | null;

  /** @param epoch as the server told it; null where it did not */
  constructor(epoch: Uint8Array | null) {
    this.#retired = epoch && new Map(decodeEpoch(epoch).retired.map((each) => [each.client, each]));
  }

  /**
   * The server had got it, whether it said so or not; of one that only deletes: or others had deleted the same. What a
   * deletion leaves of a state vector is nothing, so that is told by what it names; null where what was alive there is
   * not known any more.
   */
  had(update: Uint8Array): boolean | null {
    const { structs, ds } = Y.decodeUpdate(update);
    if (structs.length > 0) return structs.every(({ id, length }) => this.#has(id.client, id.clock + length));
    const ranges = rangesOf(ds);
    if (ranges.some(({ client }) => this.#livingOf(client) === null)) return null;
    return ranges.every(
      ({ client, clock, len }) => this.#has(client, clock + len) && !this.#isAlive(client, clock, len),
    );
  }

  /** It names nothing of them and fits to this document: as it is, the server has it already or takes it. */
  isAfter(update: Uint8Array, doc: Y.Doc): boolean {
    const retired = this.#retired;
    const ends = endsIn(update, doc);
    if (retired === null || ends === null) return false;
    return namedIn(update).every(
      ({ client, clock }) =>
        !retired.has(client) && clock < (ends.get(client) ?? Y.getState(doc.store, client)),
    );
  }

  /** It has, builds on or deletes something of them. */
  isNamedIn(update: Uint8Array): boolean {
    return this.hasAny(namedIn(update).map(({ client }) => client));
  }

  hasAny(clients: Iterable<number>): boolean {
    return [...clients].some((client) => this.#retired?.has(client));
  }

  #has(client: number, end: number): boolean {
    return end <= (this.#retired?.get(client)?.upTo ?? 0);
  }

  #isAlive(client: number, clock: number, length: number): boolean {
    const living = this.#livingOf(client) ?? [];
    return living.some((end, i) => i % 2 === 1 && clock < end && (living[i - 1] ?? 0) < clock + length);
  }

  #livingOf(client: number): readonly number[] | null | undefined {
    return this.#retired?.get(client)?.living;
  }
}
