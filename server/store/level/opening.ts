import type { KeyRing } from '../encryption/key-ring.js';
import { CipherVaults, plainVaults, type Vaults } from '../encryption/vault.js';
import * as format from '../format.js';
import { type Database, del, writeDurably } from './database.js';
import type { Progress } from './document.js';
import {
  checkKeys,
  type EncryptionMark,
  encryptDatabase,
  noteKeysInUse,
  putMark,
  readMark,
} from './encryption.js';
import { removeCutOff, removeLeftovers, rewriteRanges, type Staying, unfinishedErasures } from './erasure.js';
import { openDatabase } from './folder.js';
import { checkFormat, migrate } from './migrations.js';
import { mustNotHaveMovedTo } from './moved-to.js';

export interface Opening {
  readonly folder: string;
  /** Encrypts what is stored. A database without encryption is encrypted when it is opened. */
  readonly keys?: KeyRing | undefined;
  /** Called for each document while a database gets its checksums, or is encrypted, at the first open. */
  readonly onProgress?: Progress;
  /** Called with what has to go from the folder, and can't be removed: the next open tries again. */
  readonly onStaying?: (staying: Staying) => void;
}

/** Opens a database and brings it into the form that the options ask for; changes nothing where it refuses. */
export async function prepareDatabase(options: Opening): Promise<{ db: Database; vaults: Vaults }> {
  const opened = { db: await openDatabase(options.folder) };
  try {
    const vaults = await prepare(opened, options);
    return { db: opened.db, vaults };
  } catch (error) {
    await opened.db.close();
    throw error;
  }
}

/** The database may be opened anew on the way. */
interface Opened {
  db: Database;
}

async function prepare(opened: Opened, options: Opening): Promise<Vaults> {
  const { folder, keys, onProgress = () => {}, onStaying = () => {} } = options;
  await checkFormat(opened.db, folder);
  await mustNotHaveMovedTo(folder);
  const mark = await checkKeys(opened.db, keys ?? null);
  for (const staying of await removeCutOff(folder)) onStaying(staying);
  await migrate(opened.db, onProgress);
  if (keys !== undefined) await encrypt(opened, mark, { folder, keys, onProgress, onStaying });
  await finishErasures(opened, { folder, onStaying });
  return keys === undefined ? plainVaults : new CipherVaults(keys);
}

/** Where the database is not encrypted: first all values, then what is left of them in its files. */
async function encrypt(
  opened: Opened,
  mark: EncryptionMark | null,
  { folder, keys, onProgress, onStaying }: Required<Opening> & { keys: KeyRing },
): Promise<void> {
  if (mark?.state !== 'encrypted') {
    const users = await encryptDatabase(opened.db, keys, onProgress);
    if (users > 0) {
      await opened.db.compactRange(Buffer.of(), Buffer.of(0xff));
      await openAnew(opened, { folder, onStaying });
    }
    await writeDurably(opened.db, [putMark({ state: 'encrypted', keys: [keys.current.id] })]);
  }
  const now = await readMark(opened.db);
  if (now !== null) await noteKeysInUse(folder, now);
}

async function finishErasures(opened: Opened, place: Place): Promise<void> {
  const users = await unfinishedErasures(opened.db);
  if (users.length === 0) return;
  for (const user of users) await rewriteRanges(opened.db, user);
  if (!(await openAnew(opened, place))) return;
  await writeDurably(
    opened.db,
    users.map((user) => del(format.erasingKey(user))),
  );
}

type Place = Required<Pick<Opening, 'folder' | 'onStaying'>>;

/** Returns whether nothing stays beside the tables; what does keeps no server from starting. */
async function openAnew(opened: Opened, { folder, onStaying }: Place): Promise<boolean> {
  await opened.db.close();
  opened.db = await openDatabase(folder);
  const staying = await removeLeftovers(folder);
  for (const one of staying) onStaying(one);
  return staying.length === 0;
}
