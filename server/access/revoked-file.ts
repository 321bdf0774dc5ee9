/** The file of revoked tokens, of a server that is stopped. */
import { readFile } from 'node:fs/promises';
import { DurableLines } from './durable-lines.js';

export class RevokedFile {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
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
