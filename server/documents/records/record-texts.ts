/**
 * The JSON of records, made in steps before all of them are asked for at once: that of 20,000 would keep others waiting.
 * A record that was changed since is not among them.
 */
import type { Collections, JsonRecord } from '../../../shared/json.js';

/** What is written without a rest, in characters; a record counts as some more. */
const STEP = 64 * 1_024;
const PER_RECORD = 256;

/** Records are not changed once they are read, so each is measured once. */
const sizes = new WeakMap<JsonRecord, number>();

/** As JSON, in bytes. */
export const sizeOf = (record: JsonRecord): number =>
  sizes.get(record) ?? measured(record, JSON.stringify(record));

function measured(record: JsonRecord, text: string): number {
  const size = Buffer.byteLength(text);
  sizes.set(record, size);
  return size;
}

export class RecordTexts {
  readonly #texts = new Map<JsonRecord, string>();

  *write(collections: Collections): Generator<void> {
    let left = STEP;
    for (const records of Object.values(collections)) {
      for (const record of records) {
        left -= this.#of(record).length + PER_RECORD;
        if (left > 0) continue;
        left = STEP;
        yield;
      }
    }
  }

  /** An array of these, as `JSON.stringify` writes it. */
  arrayOf(records: readonly JsonRecord[]): string {
    return `[${records.map((record) => this.#of(record)).join(',')}]`;
  }

  /** It was replaced, and nobody asks for it any more. */
  forget(record: JsonRecord | undefined): void {
    if (record !== undefined) this.#texts.delete(record);
  }

  #of(record: JsonRecord): string {
    const known = this.#texts.get(record);
    if (known !== undefined) return known;
    const text = JSON.stringify(record);
    this.#texts.set(record, text);
    measured(record, text);
    return text;
  }
}
