/**
 * What is kept of the documents that a rewritten one took the place of (P10): which Yjs clients had written them, so
 * that nothing that is built on them comes in any more.
 */
import { crc32 } from 'node:zlib';
import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import { SyncError } from '../../errors.js';
import type { UpdateScan } from '../../protocol/scan.js';

const VERSION = 1;

/** The document before this one, when it was last seen. */
export interface Former {
  readonly revision: number;
  /** Of its state vector: the tag of an answer that showed it has both (H1). */
  readonly mark: number;
}

export const markOf = (stateVector: Uint8Array): number => crc32(stateVector);

/** Whether the document has anything of a client. */
type Has = (client: number) => boolean;

export class Epoch {
  /** In ascending order. */
  readonly #retired: Float64Array;
  readonly former: Former;

  private constructor(retired: Float64Array, former: Former) {
    this.#retired = retired;
    this.former = former;
  }

  /** The one that begins when a document of these clients is rewritten. */
  static after(old: Epoch | null, clients: Iterable<number>, former: Former): Epoch {
    return new Epoch(Float64Array.from(new Set([...(old?.retired ?? []), ...clients])).sort(), former);
  }

  get retired(): Iterable<number> {
    return this.#retired;
  }

  retires(client: number): boolean {
    let [low, high] = [0, this.#retired.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#retired[middle] ?? 0) < client) low = middle + 1;
      else high = middle;
    }
    return this.#retired[low] === client;
  }

  /** Refuses an update that has, deletes or builds on something of an old document. */
  checkUpdate({ ranges, needs }: Pick<UpdateScan, 'ranges' | 'needs'>, has: Has): void {
    for (const { client } of ranges) this.#check(client, has);
    for (const client of needs.keys()) this.#check(client, has);
  }

  /** Refuses a device that still has something of an old document. */
  checkStateVector(stateVector: ReadonlyMap<number, number>, has: Has): void {
    for (const client of stateVector.keys()) this.#check(client, has);
  }

  /** While the server was down, y-leveldb may have brought an old client in again: then it is one of this document. */
  #check(client: number, has: Has): void {
    if (this.retires(client) && !has(client)) throw new SyncError('REWRITTEN');
  }

  /** Some 3 bytes for each client. */
  encode(): Uint8Array {
    return encoding.encode((encoder) => {
      const { revision, mark } = this.former;
      for (const number of [VERSION, revision, mark, this.#retired.length])
        encoding.writeVarUint(encoder, number);
      let before = 0;
      for (const client of this.#retired) {
        encoding.writeVarUint(encoder, client - before);
        before = client;
      }
    });
  }

  static decode(bytes: Uint8Array): Epoch {
    const decoder = decoding.createDecoder(bytes);
    decoding.readVarUint(decoder); // the version; there is one
    const former = { revision: decoding.readVarUint(decoder), mark: decoding.readVarUint(decoder) };
    const retired = new Float64Array(decoding.readVarUint(decoder));
    let client = 0;
    for (let index = 0; index < retired.length; index++) {
      client += decoding.readVarUint(decoder);
      retired[index] = client;
    }
    return new Epoch(retired, former);
  }
}
