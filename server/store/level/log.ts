/**
 * LevelDB opens a write-ahead log with a damaged record as if that record, and the rest of its block, had never
 * been written: saved changes would be gone without a word. So logs are checked before LevelDB sees them.
 */
const BLOCK = 32_768;
const HEADER = 7;
const FULL = 1;
const FIRST = 2;
const LAST = 4;

/**
 * The position of the first damaged record, or `null` when there is none. Damage at the end of the last log does not
 * count, as a write that a power loss cut off looks the same. Batches are written one at a time and each is synced,
 * so a later batch proves that an earlier damaged record was whole once; it may be in a later log.
 */
export function findLogDamage(log: Buffer, isLast = true): number | null {
  let damage: number | null = null;
  let unfinished: number | null = null;
  let pos = 0;
  while (pos + HEADER <= log.length) {
    if (BLOCK - (pos % BLOCK) < HEADER) {
      pos += BLOCK - (pos % BLOCK);
      continue;
    }
    const type = recordTypeAt(log, pos);
    if (type === null) {
      damage ??= pos;
      pos += 1;
      continue;
    }
    if (damage !== null && (type === FULL || type === FIRST)) return damage;
    if (type === FIRST) unfinished = pos;
    if (type === LAST) unfinished = null;
    pos += HEADER + log.readUInt16LE(pos + 4);
  }
  if (isLast) return null;
  return damage ?? unfinished ?? (pos < log.length ? pos : null);
}

/** Whether a log begins with something that was written whole. */
export const holdsRecord = (log: Buffer): boolean => log.length >= HEADER && recordTypeAt(log, 0) !== null;

/** What was written to a log or a manifest, one by one, up to the first record that is damaged or cut off. */
export function* wholeRecords(log: Buffer): Generator<Buffer> {
  let parts: Buffer[] = [];
  for (let pos = 0; pos + HEADER <= log.length; ) {
    if (BLOCK - (pos % BLOCK) < HEADER) {
      pos += BLOCK - (pos % BLOCK);
      continue;
    }
    const type = recordTypeAt(log, pos);
    if (type === null) return;
    const end = pos + HEADER + log.readUInt16LE(pos + 4);
    parts.push(log.subarray(pos + HEADER, end));
    pos = end;
    if (type !== FULL && type !== LAST) continue;
    yield Buffer.concat(parts);
    parts = [];
  }
}

/** The type of the whole record at `pos`, or `null` when there is none. */
function recordTypeAt(log: Buffer, pos: number): number | null {
  const type = log[pos + 6] ?? 0;
  const end = pos + HEADER + log.readUInt16LE(pos + 4);
  if (type < FULL || type > LAST || end > log.length) return null;
  if (end > pos - (pos % BLOCK) + BLOCK) return null;
  return log.readUInt32LE(pos) === mask(crc32c(log, pos + 6, end)) ? type : null;
}

/** LevelDB stores checksums rotated and shifted, so that a checksum of checksums stays a good one. */
const mask = (crc: number): number => (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;

const TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let crc = index;
  for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

function crc32c(bytes: Buffer, from: number, to: number): number {
  let crc = 0xffffffff;
  for (let pos = from; pos < to; pos += 1) {
    crc = (crc >>> 8) ^ (TABLE[(crc ^ (bytes[pos] ?? 0)) & 0xff] ?? 0);
  }
  return ~crc >>> 0;
}
