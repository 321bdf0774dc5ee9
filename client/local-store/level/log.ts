/**
 * The format of LevelDB's log files, of which its manifest is one. LevelDB passes over a damaged record together
 * with all that follows it in its block of 32 KiB; here only what is damaged is lost (C12).
 */
import { crc32c } from './crc32c.js';

export interface LogRecord {
  readonly bytes: Uint8Array;
  /**
   * `damaged`: perhaps with parts of its neighbours. `torn`: it goes on behind the end of the file, as where the
   * machine stopped in a write.
   */
  readonly state: 'whole' | 'damaged' | 'torn';
}

const BLOCK = 32_768;
/** Checksum, length and type. */
const HEADER = 7;
const TYPE_AT = 6;
const [FULL, FIRST, MIDDLE, LAST] = [1, 2, 3, 4] as const;

interface Frame {
  /** 0 for what is no frame. */
  readonly type: number;
  readonly bytes: Uint8Array;
  readonly end: number;
}

const NONE = new Uint8Array(0);

export function readLog(file: Uint8Array): LogRecord[] {
  const records: LogRecord[] = [];
  let parts: Uint8Array[] = [];
  let state: LogRecord['state'] = 'whole';
  const end = (): void => {
    if (parts.length > 0) records.push({ bytes: Buffer.concat(parts), state });
    parts = [];
    state = 'whole';
  };
  for (let at = 0; at < file.length; ) {
    const frame = frameAt(file, at);
    const { type, bytes, end: next } = frame ?? damagedAt(file, at);
    if (type === FULL || type === FIRST) end();
    if (frame === null) state = next === file.length && goesBeyond(file, at) ? 'torn' : 'damaged';
    else if (parts.length === 0 && (type === MIDDLE || type === LAST)) state = 'damaged';
    if (bytes.length > 0) parts.push(bytes);
    if (type === FULL || type === LAST) end();
    at = next;
  }
  if (state === 'whole') state = 'torn';
  end();
  return records;
}

/** The frame that begins here, or what fills a block; null where there is neither. */
function frameAt(file: Uint8Array, at: number): Frame | null {
  const left = Math.min(BLOCK - (at % BLOCK), file.length - at);
  if (left < HEADER) return at + left === file.length ? null : { type: 0, bytes: NONE, end: at + left };
  const view = new DataView(file.buffer, file.byteOffset + at, left);
  const [length, type] = [view.getUint16(4, true), view.getUint8(TYPE_AT)];
  const end = at + HEADER + length;
  if (type < FULL || type > LAST || HEADER + length > left) return null;
  if (crc32c(file.subarray(at + TYPE_AT, end)) !== view.getUint32(0, true)) return null;
  return { type, bytes: file.subarray(at + HEADER, end), end };
}

/** All up to the next frame that is whole: which of its bytes is damaged is not known, nor its length. */
function damagedAt(file: Uint8Array, at: number): Frame {
  const limit = Math.min(at - (at % BLOCK) + BLOCK, file.length);
  let end = at + 1;
  while (end < limit && (frameAt(file, end)?.type ?? 0) === 0) end++;
  return { type: 0, bytes: file.subarray(Math.min(at + HEADER, end), end), end };
}

function goesBeyond(file: Uint8Array, at: number): boolean {
  if (at + HEADER > file.length) return true;
  return at + HEADER + new DataView(file.buffer, file.byteOffset + at).getUint16(4, true) > file.length;
}
