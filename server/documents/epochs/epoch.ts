/**
 * What is kept of the documents that a rewritten one took the place of (P10): which Yjs clients had written them, so
 * that nothing that is built on them comes in any more, and what had arrived of each, for devices that never heard so.
 */
import { crc32 } from 'node:zlib';
import * as Y from 'yjs';
import { decodeEpoch, type EpochNote, encodeEpoch, type Retired } from '../../../shared/epoch.js';
import { SyncError } from '../../errors.js';
import type { UpdateScan } from '../../protocol/scan.js';

/** The document before this one, when it was last seen; an answer that showed it has its mark in the tag (H1). */
export type Former = Omit<EpochNote, 'retired'>;

export const markOf = (stateVector: Uint8Array): number => crc32(stateVector);

/** What was alive is known of all documents before while that takes no more than so many bytes, else of the last one. */
const WITH_ALL_LIVING = 64 * 1024;

/** Whether the document has anything of a client. */
type Has = (client: number) => boolean;

export class Epoch {
  /** In ascending order. */
  readonly #retired: Float64Array;
  readonly former: Former;
  readonly #bytes: Uint8Array;

  private constructor({ retired, ...former }: EpochNote, bytes: Uint8Array) {
    this.#retired = Float64Array.from(retired, ({ client }) => client);
    this.former = former;
    this.#bytes = bytes;
  }

  /** The one that begins when a document of these clients is rewritten. */
  static after(old: Epoch | null, clients: readonly Retired[], former: Former): Epoch {
    const noteWith = (withLiving: boolean): [EpochNote, Uint8Array] => {
      const before = old === null ? [] : decodeEpoch(old.encode(), withLiving).retired;
      const all = new Map([...before, ...clients].map((each) => [each.client, each]));
      const retired = [...all.values()].sort((one, two) => one.client - two.client);
      const note = { ...former, retired };
      return [note, encodeEpoch(note)];
    };
    const whole = noteWith(true);
    return new Epoch(...(whole[1].length <= WITH_ALL_LIVING ? whole : noteWith(false)));
  }

  get retired(): Iterable<number> {
    return this.#retired;
  }

  /** How many clients wrote the documents before. */
  get size(): number {
    return this.#retired.length;
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

  /** Some 5 bytes for each client, and as many for each run of what was alive. A device is told the same. */
  encode(): Uint8Array {
    return this.#bytes;
  }

  static decode(bytes: Uint8Array): Epoch {
    return new Epoch(decodeEpoch(bytes, false), bytes);
  }
}

/** What a document has of each of its clients. */
export function retiredIn(doc: Y.Doc): Retired[] {
  return [...doc.store.clients].map(([client, structs]) => {
    const living: number[] = [];
    for (const struct of structs) {
      if (!(struct instanceof Y.Item) || struct.deleted) continue;
      const { clock } = struct.id;
      if (living.at(-1) === clock) living.pop();
      else living.push(clock);
      living.push(clock + struct.length);
    }
    return { client, upTo: Y.getState(doc.store, client), living };
  });
}
