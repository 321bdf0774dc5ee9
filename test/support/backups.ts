/** What tests of backups make and look at. */
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import * as Y from 'yjs';
import { type Ending, run } from '../../server/cli/commands.js';
import type { KeyRing } from '../../server/store/encryption/key-ring.js';
import { LevelStore } from '../../server/store/level/level-store.js';
import type { StoredDocument } from '../../server/store/store.js';
import type { UserId } from '../../shared/names.js';

/** A folder that is gone when the test ends, and where data and backups are in it. */
export async function useRoom(): Promise<{ room: string; data: string; backups: string }> {
  const room = await mkdtemp(join(tmpdir(), 'backups-'));
  onTestFinished(() => rm(room, { recursive: true, force: true }));
  return { room, data: join(room, 'data'), backups: join(room, 'backups') };
}

/** What is printed by a command that comes to its end, in this process. */
export async function command(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Ending & { readonly data: Record<string, unknown> }> {
  const ending = await run([...args, '--json'], env);
  if (ending === null) throw new Error('it goes on by itself');
  return { ...ending, data: JSON.parse(ending.out) as Record<string, unknown> };
}

/** Of the records, and of all that Yjs knows of the document. */
export function documentHash(updates: StoredDocument['updates']): string {
  const doc = new Y.Doc();
  for (const update of updates) Y.applyUpdate(doc, update);
  const records = doc.getMap('data').toJSON();
  const hash = createHash('sha256').update(JSON.stringify(records));
  return hash.update(Y.encodeStateAsUpdate(doc)).digest('hex');
}

/** Behind a `restore`: nobody was erased since the backup. */
export const NOBODY_ERASED = ['--erased', '/dev/null'] as const;

interface Found {
  readonly revision: number;
  readonly hash: string;
}

/** Every document that is stored in a folder which nobody has open. */
export async function documentsIn(folder: string, keys?: KeyRing): Promise<Map<UserId, Found>> {
  const store = await LevelStore.open({ folder, keys });
  try {
    const found = new Map<UserId, Found>();
    for (const user of await store.allUsers()) {
      const { revision, updates } = await store.load(user);
      found.set(user, { revision, hash: documentHash(updates) });
    }
    return found;
  } finally {
    await store.close();
  }
}
