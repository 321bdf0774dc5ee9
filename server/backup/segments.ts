/** Rows in files: the lengths of key and value, 32 bits each, and both, one row behind the other. */
import { createHash, type Hash } from 'node:crypto';
import { type FileHandle, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { CopiedRow } from '../store/store.js';
import { notWhole, type Segment } from './manifest.js';

/** A file is begun anew behind so many bytes, and read as a whole. */
const SEGMENT_BYTES = 2 * 1024 * 1024;
const HEAD_BYTES = 8;
/** Others have their turn after so many bytes. */
const SLICE = 256 * 1024;

async function hashInSlices(hash: Hash, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; at += SLICE) {
    hash.update(bytes.subarray(at, at + SLICE));
    await setImmediate();
  }
}

function encodedRows(rows: readonly CopiedRow[]): Buffer {
  return Buffer.concat(
    rows.flatMap(([key, value]) => {
      const head = Buffer.allocUnsafe(HEAD_BYTES);
      head.writeUInt32BE(key.length, 0);
      head.writeUInt32BE(value.length, 4);
      return [head, key, value];
    }),
  );
}

function* decodedRows(bytes: Buffer): Generator<CopiedRow> {
  let at = 0;
  while (at < bytes.length) {
    if (at + HEAD_BYTES > bytes.length) throw new Error('a row is cut off');
    const keyEnd = at + HEAD_BYTES + bytes.readUInt32BE(at);
    const end = keyEnd + bytes.readUInt32BE(at + 4);
    if (end > bytes.length) throw new Error('a row is cut off');
    yield [bytes.subarray(at + HEAD_BYTES, keyEnd), bytes.subarray(keyEnd, end)];
    at = end;
  }
}

/** Writes rows into the files of a folder, durably. */
export class SegmentWriter {
  readonly #folder: string;
  readonly #done: Segment[] = [];
  #open: { readonly file: string; readonly handle: FileHandle; readonly hash: Hash } | null = null;
  #rows = 0;
  #bytes = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async add(rows: readonly CopiedRow[]): Promise<void> {
    this.#open ??= await this.#begin();
    const bytes = encodedRows(rows);
    await hashInSlices(this.#open.hash, bytes);
    await this.#open.handle.writeFile(bytes);
    this.#rows += rows.length;
    this.#bytes += bytes.length;
    if (this.#bytes >= SEGMENT_BYTES) await this.#end();
  }

  /** What was written. */
  async finish(): Promise<readonly Segment[]> {
    await this.#end();
    return this.#done;
  }

  async close(): Promise<void> {
    await this.#open?.handle.close();
    this.#open = null;
  }

  async #begin() {
    const file = `${String(this.#done.length + 1).padStart(6, '0')}.rows`;
    const handle = await open(join(this.#folder, file), 'wx', 0o600);
    return { file, handle, hash: createHash('sha256') };
  }

  async #end(): Promise<void> {
    if (this.#open === null) return;
    const { file, handle, hash } = this.#open;
    await handle.sync();
    await this.close();
    this.#done.push({ file, rows: this.#rows, bytes: this.#bytes, sha256: hash.digest('hex') });
    [this.#rows, this.#bytes] = [0, 0];
  }
}

/** The rows of one file, once all of it is known to be what was written. */
export async function readSegment(folder: string, segment: Segment): Promise<readonly CopiedRow[]> {
  const path = join(folder, segment.file);
  const bytes = await readFile(path).catch((cause) => {
    throw notWhole(`The backup ${folder} is not whole, ${segment.file} can't be read`, cause);
  });
  const hash = createHash('sha256');
  await hashInSlices(hash, bytes);
  if (hash.digest('hex') !== segment.sha256)
    throw notWhole(`The backup ${folder} is damaged, in ${segment.file}`);
  const rows = [...decodedRows(bytes)];
  if (rows.length !== segment.rows) throw notWhole(`The backup ${folder} is damaged, in ${segment.file}`);
  return rows;
}
