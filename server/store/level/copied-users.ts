/** What the rows of a copied database say without any key: whose documents there are, how far, and what opens them. */
import { createHash } from 'node:crypto';
import * as format from '../format.js';
import type { CopiedRow } from '../store.js';

export class CopiedUsers {
  readonly #revisions = createHash('sha256');
  #users = 0;
  #keys: readonly string[] | null = null;

  /** In the order of the keys. */
  see([key, value]: CopiedRow): void {
    if (format.isIn(key, format.ROWS)) this.#seeDocument(format.userOfRow(key), value);
    else if (format.ENCRYPTION_KEY.equals(key)) this.#keys = keysOf(value);
  }

  get users(): number {
    return this.#users;
  }

  /** The master keys without which nothing can be read; null where nothing is encrypted. */
  get keys(): readonly string[] | null {
    return this.#keys;
  }

  /** The same for the same users with the same revisions. */
  revisions(): string {
    return this.#revisions.copy().digest('hex');
  }

  #seeDocument(user: string, value: Uint8Array): void {
    this.#users += 1;
    const revision = format.decodeRow(user, value)?.revision ?? 'damaged';
    this.#revisions.update(`${JSON.stringify(user)} ${revision}\n`);
  }
}

function keysOf(sealed: Uint8Array): readonly string[] {
  const bytes = format.unseal(sealed, format.ENCRYPTION_KEY);
  return bytes === undefined ? [] : (JSON.parse(Buffer.from(bytes).toString()) as { keys: string[] }).keys;
}
