/** What is kept, and told, of the documents before one that was written anew (P10), in bytes. */
import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';

const VERSION = 2;

/** A Yjs client of a document before. */
export interface Retired {
  readonly client: number;
  /** What it wrote below this clock had arrived. */
  readonly upTo: number;
  /**
   * What of that was not deleted in the end: the clock at which each run of it begins, and the one at which it ends.
   * Null where that is not known any more: the document was written anew once more since, and was a large one.
   */
  readonly living: readonly number[] | null;
}

export interface EpochNote {
  /** Of the document before, when it was last seen. */
  readonly revision: number;
  /** Of its state vector. */
  readonly mark: number;
  /** In ascending order. */
  readonly retired: readonly Retired[];
}

export function encodeEpoch({ revision, mark, retired }: EpochNote): Uint8Array {
  return encoding.encode((encoder) => {
    const write = (number: number): void => encoding.writeVarUint(encoder, number);
    for (const number of [VERSION, revision, mark, retired.length]) write(number);
    let before = 0;
    for (const { client, upTo, living } of retired) {
      for (const number of [client - before, upTo, living === null ? 0 : 1 + living.length / 2])
        write(number);
      before = client;
    }
    for (const { living } of retired) {
      let last = 0;
      for (const clock of living ?? []) {
        write(clock - last);
        last = clock;
      }
    }
  });
}

/** @param withLiving false: what was alive is passed over, and told as not known */
export function decodeEpoch(bytes: Uint8Array, withLiving = true): EpochNote {
  const decoder = decoding.createDecoder(bytes);
  const read = (): number => decoding.readVarUint(decoder);
  if (read() !== VERSION) throw new Error('An epoch of another version.');
  const [revision, mark, length] = [read(), read(), read()];
  let client = 0;
  const retired = Array.from({ length }, () => {
    client += read();
    return { client, upTo: read(), runs: read() - 1 };
  });
  const livingOf = (runs: number): number[] | null => {
    if (!withLiving || runs < 0) return null;
    let clock = 0;
    return Array.from({ length: 2 * runs }, () => (clock += read()));
  };
  return {
    revision,
    mark,
    retired: retired.map(({ client, upTo, runs }) => ({ client, upTo, living: livingOf(runs) })),
  };
}
