/** The file of revoked tokens, of a server that is stopped. */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { SyncError } from '../errors.js';
import { DurableLines } from './durable-lines.js';
import { ACCESS_NOTE } from './places.js';

const markSchema = z.object({ revocations: z.number() });

export class RevokedFile {
  readonly name: string;
  readonly #path: string;

  constructor(path: string) {
    this.name = path;
    this.#path = path;
  }

  /** Where the server has noted more of them in its database, they are in another folder, or lost. */
  async mustBeWhole(noteOf: (name: string) => Promise<Uint8Array | null>): Promise<void> {
    const note = await noteOf(ACCESS_NOTE);
    if (note === null) return;
    const { revocations } = markSchema.parse(JSON.parse(Buffer.from(note).toString()));
    const { length } = await this.lines();
    if (length >= revocations) return;
    throw new SyncError(
      'STORE_UNAVAILABLE',
      `The database knows of ${revocations} revoked tokens, and ${this.#path} has ${length}: set ACCESS_DIR as for its server. Where that file is lost, put its newest copy back, or start the server and revoke again what is missing: without them these tokens would be good again.`,
    );
  }

  async lines(): Promise<readonly string[]> {
    const text = await readFile(this.#path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return '';
      throw error;
    });
    return wholeLines(text).split('\n').filter(Boolean);
  }

  async add(lines: readonly string[]): Promise<void> {
    if (lines.length === 0) return;
    const file = await DurableLines.open(this.#path);
    try {
      await file.cut(Buffer.byteLength(wholeLines((await file.read()).toString())));
      await file.append(lines.map((line) => `${line}\n`).join(''));
    } finally {
      await file.close();
    }
  }
}

/** Behind them is what a crash left unfinished. */
const wholeLines = (text: string): string => text.slice(0, text.lastIndexOf('\n') + 1);
