import * as decoding from 'lib0/decoding';
import { wholeRecords } from './log.js';

/** What the entries of a manifest begin with (`db/version_edit.cc`). */
const COMPARATOR = 1;
const LOG_NUMBER = 2;
const NEXT_FILE = 3;
const LAST_SEQUENCE = 4;
const COMPACT_POINTER = 5;
const DELETED_FILE = 6;
const NEW_FILE = 7;
const PREVIOUS_LOG_NUMBER = 9;

/**
 * The number of the oldest log whose changes are in no table yet; LevelDB ignores and removes those before it.
 * `null` where the manifest does not say it, which LevelDB refuses by itself. A last entry that is cut off counts as
 * never written, as it does for LevelDB: nothing was removed because of it.
 */
export function oldestLog(manifest: Buffer): number | null {
  let oldest: number | null = null;
  try {
    for (const record of wholeRecords(manifest)) oldest = logNumberIn(record) ?? oldest;
  } catch {
    return null;
  }
  return oldest;
}

function logNumberIn(record: Uint8Array): number | null {
  const decoder = decoding.createDecoder(record);
  let number: number | null = null;
  while (decoding.hasContent(decoder)) {
    const tag = decoding.readVarUint(decoder);
    if (tag === LOG_NUMBER) number = decoding.readVarUint(decoder);
    else skip(decoder, tag);
  }
  return number;
}

function skip(decoder: decoding.Decoder, tag: number): void {
  const [numbers, slices] = shapeOf(tag);
  for (let left = numbers; left > 0; left -= 1) decoding.readVarUint(decoder);
  for (let left = slices; left > 0; left -= 1) decoding.readVarUint8Array(decoder);
}

function shapeOf(tag: number): readonly [numbers: number, slices: number] {
  switch (tag) {
    case COMPARATOR:
      return [0, 1];
    case NEXT_FILE:
    case LAST_SEQUENCE:
    case PREVIOUS_LOG_NUMBER:
      return [1, 0];
    case COMPACT_POINTER:
      return [1, 1];
    case DELETED_FILE:
      return [2, 0];
    case NEW_FILE:
      return [3, 2];
    default:
      throw new Error(`the manifest has an entry of the unknown kind ${tag}`);
  }
}
