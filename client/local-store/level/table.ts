/** The format of LevelDB's tables, read without LevelDB, which ends the process over some damaged ones (C12). */
import { crc32c } from './crc32c.js';
import { readNumber, unsnap } from './snappy.js';

export interface TableEntry {
  readonly name: string;
  /** Of two entries with one name the one with the higher number holds. */
  readonly number: bigint;
  /** Null where the key was deleted. */
  readonly value: Uint8Array | null;
}

export interface Table {
  /** All that can be read; what is in a damaged block may be anything. */
  readonly entries: readonly TableEntry[];
  readonly isWhole: boolean;
}

const FOOTER = 48;
const MAGIC = 0xdb4775248b80fb57n;
/** Behind a block: how it is compressed, and a checksum. */
const TRAILER = 5;
const SNAPPY = 1;
/** Behind the key of an entry: the number, and whether it is a deletion. */
const SUFFIX = 8;

interface Handle {
  readonly at: number;
  readonly size: number;
}

interface Block {
  readonly bytes: Uint8Array;
  readonly isWhole: boolean;
}

export function readTable(file: Uint8Array): Table {
  const handles = handlesOf(file);
  const blocks = (handles ?? foundIn(file)).map((handle) => blockAt(file, handle));
  const entries = blocks.flatMap(({ bytes }) => entriesOf(bytes));
  return {
    entries: entries.flatMap(entryOf),
    isWhole: handles !== null && blocks.every((each) => each.isWhole),
  };
}

/** Where the blocks are, by the index; null where that is damaged. */
function handlesOf(file: Uint8Array): Handle[] | null {
  if (file.length < FOOTER) return null;
  const footer = file.subarray(file.length - FOOTER);
  if (new DataView(footer.buffer, footer.byteOffset + FOOTER - 8, 8).getBigUint64(0, true) !== MAGIC)
    return null;
  const [meta, next] = handleIn(footer, 0);
  const [index] = handleIn(footer, next);
  const [metaBlock, indexBlock] = [blockAt(file, meta), blockAt(file, index)];
  if (!metaBlock.isWhole || !indexBlock.isWhole) return null;
  return entriesOf(indexBlock.bytes).map(({ value }) => handleIn(value, 0)[0]);
}

function handleIn(bytes: Uint8Array, from: number): [Handle, number] {
  const at = readNumber(bytes, from);
  const size = readNumber(bytes, at.end);
  return [{ at: at.number, size: size.number }, size.end];
}

function blockAt(file: Uint8Array, { at, size }: Handle): Block {
  const end = at + size;
  if (end + TRAILER > file.length) return { bytes: new Uint8Array(0), isWhole: false };
  const stored = new DataView(file.buffer, file.byteOffset + end + 1, 4).getUint32(0, true);
  const isRight = crc32c(file.subarray(at, end + 1)) === stored;
  const bytes = file.subarray(at, end);
  return { bytes: file[end] === SNAPPY ? unsnap(bytes) : bytes, isWhole: isRight };
}

/** Where blocks are, without the index: their checksums tell where they end. */
function foundIn(file: Uint8Array): Handle[] {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  const handles: Handle[] = [];
  let at = 0;
  for (let end = at; end + TRAILER <= file.length; end++) {
    const mayEnd = (file[end] ?? 0) <= SNAPPY;
    if (!mayEnd || crc32c(file.subarray(at, end + 1)) !== view.getUint32(end + 1, true)) continue;
    handles.push({ at, size: end - at });
    at = end + TRAILER;
    end = at - 1;
  }
  return handles;
}

/** A key may begin as the one before it does. */
function entriesOf(block: Uint8Array): { key: Uint8Array; value: Uint8Array }[] {
  if (block.length < 4) return [];
  const restarts = new DataView(block.buffer, block.byteOffset + block.length - 4, 4).getUint32(0, true);
  const limit = block.length - 4 - 4 * restarts;
  const entries: { key: Uint8Array; value: Uint8Array }[] = [];
  let key: Uint8Array = new Uint8Array(0);
  for (let at = 0; at < limit; ) {
    const shared = readNumber(block, at);
    const own = readNumber(block, shared.end);
    const length = readNumber(block, own.end);
    const [begin, end] = [length.end + own.number, length.end + own.number + length.number];
    if (end > limit || shared.number > key.length) break;
    key = Buffer.concat([key.subarray(0, shared.number), block.subarray(length.end, begin)]);
    entries.push({ key, value: block.subarray(begin, end) });
    at = end;
  }
  return entries;
}

function entryOf({ key, value }: { key: Uint8Array; value: Uint8Array }): TableEntry[] {
  if (key.length < SUFFIX) return [];
  const end = key.length - SUFFIX;
  const suffix = new DataView(key.buffer, key.byteOffset + end, SUFFIX).getBigUint64(0, true);
  const name = Buffer.from(key.buffer, key.byteOffset, end).toString('latin1');
  return [{ name, number: suffix >> 8n, value: (suffix & 255n) === 0n ? null : value }];
}
