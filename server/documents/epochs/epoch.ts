/**
 * What is kept of the documents that a rewritten one took the place of (P10): which Yjs clients had written them, so
 * that nothing that is built on them comes in any more, and what had arrived of each, for devices that never heard so.
 */
import { crc32 } from 'node:zlib';
import * as Y from 'yjs';
import { decodeEpoch, type EpochNote, encodeEpoch, type Retired, readEpoch } from '../../../shared/epoch.js';
import { SyncError } from '../../errors.js';
import type { UpdateScan } from '../../protocol/scan.js';
import { hasId } from './sorted-ids.js';

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

  private constructor(retired: Float64Array, former: Former, bytes: Uint8Array) {
    this.#retired = retired;
    this.former = former;
    this.#bytes = bytes;
  }

  /** The one that begins when a document of these clients is rewritten. */
  static after(old: Epoch | null, clients: readonly Retired[], former: Former): Epoch {
    const steps = Epoch.inSteps(old, clients, former);
    for (;;) {
      const { done, value } = steps.next();
      if (done === true) return value;
    }
  }

  /** The same in short steps, where there were many before. */
  static *inSteps(old: Epoch | null, clients: readonly Retired[], former: Former): Generator<void, Epoch> {
    const fresh = [...clients].sort((one, two) => one.client - two.client);
    if (old === null) return yield* Epoch.#of(fresh, former);
    // A larger one gets larger still.
    if (old.#bytes.length <= WITH_ALL_LIVING) {
      const whole = yield* Epoch.#of(merged(decodeEpoch(old.#bytes).retired, fresh), former);
      if (whole.#bytes.length <= WITH_ALL_LIVING) return whole;
    }
    yield;
    const before = old.#withoutLiving();
    yield;
    const retired = merged(before, fresh);
    yield;
    return yield* Epoch.#of(retired, former);
  }

  static *#of(retired: readonly Retired[], former: Former): Generator<void, Epoch> {
    const ids = new Float64Array(retired.map(({ client }) => client));
    return new Epoch(ids, former, yield* encodeEpoch({ ...former, retired }));
  }

  #withoutLiving(): Retired[] {
    const retired: Retired[] = [];
    readEpoch(this.#bytes, (client, upTo) => retired.push({ client, upTo, living: null }));
    return retired;
  }

  get retired(): Iterable<number> {
    return this.#retired;
  }

  /** How many clients wrote the documents before. */
  get size(): number {
    return this.#retired.length;
  }

  retires(client: number): boolean {
    return hasId(this.#retired, client);
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
    const retired: number[] = [];
    const { revision, mark } = readEpoch(bytes, (client) => retired.push(client));
    return new Epoch(new Float64Array(retired), { revision, mark }, bytes);
  }
}

/** Both, and their union, in ascending order; of a client in both, the fresh one counts. */
function merged(before: readonly Retired[], fresh: readonly Retired[]): Retired[] {
  const all: Retired[] = [];
  let at = 0;
  for (const each of before) {
    let next = fresh[at];
    for (; next !== undefined && next.client < each.client; next = fresh[++at]) all.push(next);
    if (next?.client !== each.client) all.push(each);
  }
  return all.concat(fresh.slice(at));
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
