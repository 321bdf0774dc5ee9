/** A file of lines that only grows. What was added is on disk once that is told; what failed is not there. */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { SyncError } from '../errors.js';
import { makeFolder, syncFolder } from '../folders.js';

export class DurableLines {
  readonly #file: FileHandle;
  /** Where the last line that is known to be on disk ends. */
  #end: number;
  /** What is behind `#end` is of no account. */
  #dirty = false;

  private constructor(file: FileHandle, end: number) {
    this.#file = file;
    this.#end = end;
  }

  /** Opens the file, or makes it, and its folder, for nobody else to read. */
  static async open(path: string): Promise<DurableLines> {
    await makeFolder(dirname(path));
    const file = await open(path, constants.O_RDWR | constants.O_CREAT, 0o600).catch((cause: unknown) => {
      throw new SyncError('ACCESS_UNAVAILABLE', cantWrite(path, cause), { cause });
    });
    await syncFolder(dirname(path));
    const { size } = await file.stat();
    return new DurableLines(file, size);
  }

  get size(): number {
    return this.#end;
  }

  async read(from = 0): Promise<Buffer> {
    const bytes = Buffer.alloc(this.#end - from);
    const { bytesRead } = await this.#file.read(bytes, 0, bytes.length, from);
    return bytes.subarray(0, bytesRead);
  }

  /** Cuts off what is behind this position. */
  async cut(end: number): Promise<void> {
    this.#end = end;
    await this.#file.truncate(end);
  }

  /** Writes lines, each with its end; one call at a time. */
  async append(lines: string): Promise<void> {
    if (this.#dirty) await this.cut(this.#end);
    this.#dirty = true;
    const bytes = Buffer.from(lines);
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await this.#file.write(bytes, done, bytes.length - done, this.#end + done);
      done += bytesWritten;
    }
    await this.#file.sync();
    this.#end += bytes.length;
    this.#dirty = false;
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

function cantWrite(path: string, cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? cause.code : cause;
  return `Can't write the file ${path} (${code}): set ACCESS_DIR, or AUDIT_FILE where it is that, to a place that the server may write to.`;
}

/** A file that was just made is there after a power loss only when its folder says so. */
interface Waiting<T> {
  readonly item: T;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** How long an item may wait for the disk, in ms, and how many may. */
const PATIENCE = 30_000;
const MAX_WAITING = 10_000;
const HANGS =
  'the disk of the file does not answer; look for a failing device, or a network disk that is gone';

/** Writes one batch at a time: all that came in while the last one was written. */
export class Batches<T> {
  readonly #write: (items: readonly T[]) => Promise<void>;
  readonly #patience: number;
  readonly #waiting = new Set<Waiting<T>>();
  #running: Promise<void> | null = null;
  #begunAt: number | null = null;

  constructor(write: (items: readonly T[]) => Promise<void>, patience = PATIENCE) {
    this.#write = write;
    this.#patience = patience;
  }

  /** For how long the disk has not answered, in ms. */
  get waitsFor(): number {
    return this.#begunAt === null ? 0 : performance.now() - this.#begunAt;
  }

  /** Resolves once the item is written, and rejects when its batch failed, or the disk hangs. */
  add(item: T): Promise<void> {
    if (this.#waiting.size >= MAX_WAITING) return Promise.reject(new Error(HANGS));
    return new Promise((resolve, reject) => {
      const waiting: Waiting<T> = {
        item,
        resolve: () => end(resolve),
        reject: (error) => end(() => reject(error)),
      };
      const end = (tell: () => void): void => {
        clearTimeout(late);
        this.#waiting.delete(waiting);
        tell();
      };
      const late = setTimeout(() => waiting.reject(new Error(HANGS)), this.#patience);
      this.#waiting.add(waiting);
      this.#running ??= this.#run();
    });
  }

  /** Resolves when nothing waits any more. */
  async idle(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    while (this.#waiting.size > 0) {
      const batch = [...this.#waiting];
      this.#waiting.clear();
      this.#begunAt = performance.now();
      const failed = await this.#write(batch.map(({ item }) => item)).then(
        () => null,
        (cause: unknown) => ({ cause }),
      );
      this.#begunAt = null;
      for (const { resolve, reject } of batch) {
        if (failed === null) resolve();
        else reject(failed.cause);
      }
    }
    this.#running = null;
  }
}
