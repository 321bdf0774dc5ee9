/**
 * LevelDB opens a write-ahead log with a damaged record as if that record, and the rest of its block, had never
 * been written: saved changes would be gone without a word. So logs are checked before LevelDB sees them.
 */
const BLOCK = 32_768;
const HEADER = 7;
const FULL = 1;
const FIRST = 2;
const LAST_TYPE = 4;

/**
 * The position of the first damaged record, or `null` when there is none. Damage at the end of the log does not
 * count, as a write that a power loss cut off looks the same. Batches are written one at a time and each is
 * synced, so a later batch proves that an earlier damaged record was whole once.
 */
export function findLogDamage(log: Buffer): number | null {
  let damage: number | null = null;
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
    pos += HEADER + log.readUInt16LE(pos + 4);
  }
  return null;
}

/** The type of the whole record at `pos`, or `null` when there is none. */
function recordTypeAt(log: Buffer, pos: number): number | null {
  const type = log[pos + 6] ?? 0;
  const end = pos + HEADER + log.readUInt16LE(pos + 4);
  if (type < FULL || type > LAST_TYPE || end > log.length) return null;
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
