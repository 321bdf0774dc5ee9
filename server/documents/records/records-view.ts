/**
 * All records of a document as JSON devices and HTTP readers are sent them: of a document in memory, or as they were
 * noted when it came to rest. Both give the same bytes.
 */
import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import type { Collections } from '../../../shared/json.js';
import type { CollectionName } from '../../../shared/names.js';
import { type RecordTexts, sizeOf } from './record-texts.js';

/** One collection. */
interface Part {
  readonly count: number;
  /** An array, as JSON. */
  readonly json: string | Uint8Array;
}
type Parts = ReadonlyMap<CollectionName, Part>;

export class RecordsView {
  readonly #parts: Parts;
  /** A function until it is asked for: few ever ask. */
  #largest: number | (() => number);

  private constructor(parts: Parts, largest: number | (() => number)) {
    this.#parts = parts;
    this.#largest = largest;
  }

  /** @param texts what of it was made before */
  static of(collections: Collections, texts?: RecordTexts | null): RecordsView {
    const parts = Object.entries(collections).map(([name, records]) => {
      const part = { count: records.length, json: texts?.arrayOf(records) ?? JSON.stringify(records) };
      return [name as CollectionName, part] as const;
    });
    return new RecordsView(new Map(parts), () => largestOf(collections));
  }

  /** As it is noted, so that nothing of it has to be parsed later. */
  static encode(collections: Collections): Uint8Array {
    const view = RecordsView.of(collections);
    return encoding.encode((encoder) => {
      encoding.writeVarUint(encoder, view.largest);
      for (const [name, { count, json }] of view.#parts) {
        encoding.writeVarString(encoder, name);
        encoding.writeVarUint(encoder, count);
        encoding.writeVarUint8Array(encoder, typeof json === 'string' ? Buffer.from(json) : json);
      }
    });
  }

  /** What `encode` made. */
  static decode(bytes: Uint8Array): RecordsView {
    const decoder = decoding.createDecoder(bytes);
    const largest = decoding.readVarUint(decoder);
    const parts = new Map<CollectionName, Part>();
    while (decoding.hasContent(decoder)) {
      const name = decoding.readVarString(decoder) as CollectionName;
      const count = decoding.readVarUint(decoder);
      parts.set(name, { count, json: decoding.readVarUint8Array(decoder) });
    }
    return new RecordsView(parts, largest);
  }

  without(names: ReadonlySet<CollectionName>): RecordsView {
    const parts = [...this.#parts].filter(([name]) => !names.has(name));
    return new RecordsView(new Map(parts), () => this.largest);
  }

  /** To be sent many times: encoded once. */
  inBytes(): RecordsView {
    const parts = [...this.#parts].map(
      ([name, { count, json }]) => [name, { count, json: Buffer.from(json) }] as const,
    );
    return new RecordsView(new Map(parts), this.#largest);
  }

  /** With the collections of another document. */
  with(other: RecordsView): RecordsView {
    const largest = () => Math.max(this.largest, other.largest);
    return new RecordsView(new Map([...this.#parts, ...other.#parts]), largest);
  }

  /** How many records each collection has. */
  get counts(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#parts].map(([name, { count }]) => [name, count]));
  }

  /** At least that of the largest record, as JSON, in bytes. */
  get largest(): number {
    if (typeof this.#largest === 'function') this.#largest = this.#largest();
    return this.#largest;
  }

  /** An object with all collections, as JSON, between what is to come before and behind it. */
  toJson(before = '', behind = ''): Buffer {
    const pieces: (string | Uint8Array)[] = [`${before}{`];
    let separator = '';
    for (const [name, { json }] of this.#parts) {
      pieces.push(`${separator}${JSON.stringify(name)}:`, json);
      separator = ',';
    }
    pieces.push(`}${behind}`);
    if (pieces.every((piece) => typeof piece === 'string')) return Buffer.from(pieces.join(''));
    return Buffer.concat(pieces.map((piece) => (typeof piece === 'string' ? Buffer.from(piece) : piece)));
  }
}

function largestOf(collections: Collections): number {
  let largest = 0;
  for (const records of Object.values(collections)) {
    for (const record of records) largest = Math.max(largest, sizeOf(record));
  }
  return largest;
}
