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

/** Clients of a step. */
const STEP = 32_768;

/** In short steps, of many clients. */
export function* encodeEpoch({ revision, mark, retired }: EpochNote): Generator<void, Uint8Array> {
  const encoder = encoding.createEncoder();
  const write = (number: number): void => encoding.writeVarUint(encoder, number);
  for (const number of [VERSION, revision, mark, retired.length]) write(number);
  let before = 0;
  for (const [index, { client, upTo, living }] of retired.entries()) {
    if (index % STEP === STEP - 1) yield;
    write(client - before);
    write(upTo);
    write(living === null ? 0 : 1 + living.length / 2);
    before = client;
  }
  for (const { living } of retired) {
    let last = 0;
    for (const clock of living ?? []) {
      write(clock - last);
      last = clock;
    }
  }
  return encoding.toUint8Array(encoder);
}

/**
 * Passes by the clients in ascending order, and keeps nothing of them; `runs` is below 0 where it is not known what was
 * alive. What is to be read then are the clocks of all runs.
 */
export function readEpoch(
  bytes: Uint8Array,
  each: (client: number, upTo: number, runs: number) => void,
): Omit<EpochNote, 'retired'> & { readonly read: () => number } {
  const decoder = decoding.createDecoder(bytes);
  const read = (): number => decoding.readVarUint(decoder);
  if (read() !== VERSION) throw new Error('An epoch of another version.');
  const [revision, mark, length] = [read(), read(), read()];
  let client = 0;
  for (let n = 0; n < length; n++) {
    client += read();
    each(client, read(), read() - 1);
  }
  return { revision, mark, read };
}

export function decodeEpoch(bytes: Uint8Array): EpochNote {
  const clients: Parameters<Parameters<typeof readEpoch>[1]>[] = [];
  const { revision, mark, read } = readEpoch(bytes, (...each) => clients.push(each));
  const livingOf = (runs: number): number[] | null => {
    let clock = 0;
    return runs < 0 ? null : Array.from({ length: 2 * runs }, () => (clock += read()));
  };
  const retired = clients.map(([client, upTo, runs]) => ({ client, upTo, living: livingOf(runs) }));
  return { revision, mark, retired };
}
