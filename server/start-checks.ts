/** What is looked at when the server starts, beside the database itself. */

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Access } from './access/access.js';
import { ACCESS_NOTE, accessPlaces } from './access/places.js';
import type { Config } from './config.js';
import { tighten } from './file-modes.js';
import type { Log } from './log.js';
import type { Store } from './store/store.js';

const REVOKE =
  'Put its newest copy back, or revoke again what is missing: until then those tokens are good. This is said until a token is revoked.';
const PUT_BACK = 'Put its newest copy back, or keep both: a line in it says what is missing.';

/** How far the revoked tokens and the audit trail are, as the database has it noted. */
interface Mark {
  readonly revocations: number;
  readonly lines: number;
  readonly hash: string;
}

/** Holds the files of the access against the database: either may have been restored from a backup. */
export class AccessMarks {
  readonly #access: Access;
  readonly #store: Store;
  /** Where several servers share the store, each has files of its own. */
  readonly #name: string;
  #expected = 0;

  /** @param node what tells this server from others of the store; empty where it is alone */
  constructor(access: Access, store: Store, node: string) {
    this.#access = access;
    this.#store = store;
    this.#name = `${ACCESS_NOTE} ${node}`.trim();
    if (access.kept !== null) access.kept.revocations.onAdded = () => void this.note().catch(() => {});
  }

  /** Tells where a file is older than the database. */
  async compare(config: Config, log: Log): Promise<void> {
    const { kept } = this.#access;
    if (kept !== null && accessPlaces(config).isInData)
      log('accessInData', { file: accessPlaces(config).audit });
    const note = await this.#store.note(this.#name);
    if (kept === null || note === null) return;
    const mark = JSON.parse(Buffer.from(note).toString()) as Mark;
    const places = accessPlaces(config);
    const { count } = kept.revocations;
    this.#expected = mark.revocations;
    if (count < mark.revocations)
      log('accessOlder', { file: places.revoked, lines: count, expected: mark.revocations, cure: REVOKE });
    const { number, hash } = kept.audit.head;
    const isSetBack = number < mark.lines || (number === mark.lines && hash !== mark.hash);
    if (!isSetBack) return;
    log('accessOlder', { file: places.audit, lines: number, expected: mark.lines, cure: PUT_BACK });
    await kept.audit.noteSetBack(mark.lines);
  }

  /** Notes how far they are. What is missing of the revoked tokens stays so until somebody acts on it. */
  async note(): Promise<void> {
    const { kept } = this.#access;
    if (kept === null) return;
    const { count, hasGrown } = kept.revocations;
    const { number, hash } = kept.audit.head;
    const mark: Mark = {
      revocations: hasGrown ? count : Math.max(count, this.#expected),
      lines: number,
      hash,
    };
    await this.#store.setNote(this.#name, Buffer.from(JSON.stringify(mark)));
  }
}

/** @param ownsData whether the database in `DATA_DIR` is this server's */
export async function tightenModes(config: Config, log: Log, ownsData: boolean): Promise<void> {
  const { revoked, audit, folder } = accessPlaces(config);
  const own = ownsData ? [config.dataDir] : [];
  const alone = (await holdsNothingBut(folder, [revoked, audit])) ? [folder] : [];
  const { done, failed } = await tighten([...own, ...alone, revoked, audit, config.encryptionKeyFile]);
  if (done > 0) log('modesTightened', { done });
  if (failed !== null) log('modesLoose', { path: failed });
}

/** A folder that was named may be one of many: what others keep there is theirs. */
async function holdsNothingBut(folder: string, files: readonly string[]): Promise<boolean> {
  const names = await readdir(folder).catch(() => []);
  return names.every((name) => files.includes(join(folder, name)));
}
