/** `telemed-sync repair DATA_DIR`: repairs a damaged database and says which documents are whole. */

import { readConfig } from '../config.js';
import { SyncError } from '../errors.js';
import { readKeys } from '../store/encryption/key-file.js';
import { repairDatabase } from '../store/level/folder.js';
import { LevelStore } from '../store/level/level-store.js';
import { type Call, type Command, noMoreThan, type Outcome, UsageError } from './command.js';

interface Damaged {
  readonly user: string;
  readonly reason: string;
}

async function run(call: Call): Promise<Outcome> {
  const [folder] = call.words;
  noMoreThan(1, call);
  if (folder === undefined) throw new UsageError('Which folder is to be repaired?');
  await repairDatabase(folder);
  const store = await LevelStore.open({ folder, keys: readKeys(readConfig(call.env)) });
  try {
    return await report(store, folder);
  } finally {
    await store.close();
  }
}

async function report(store: LevelStore, folder: string): Promise<Outcome> {
  const users = await store.allUsers();
  const damaged: Damaged[] = [];
  for (const user of users) {
    const reason = await store.load(user).then(
      () => null,
      (error: unknown) => reasonOf(error),
    );
    store.forget(user);
    if (reason !== null) damaged.push({ user, reason });
  }
  const whole = users.length - damaged.length;
  const lines = [
    `The database in ${folder} was rebuilt. The files that it replaced are in ${folder}/lost.`,
    `${whole} of ${users.length} documents are whole.`,
    ...damaged.map(({ user, reason }) => `Damaged, restore it from a backup: ${user} (${reason}).`),
  ];
  const data = { documents: users.length, whole, damaged, replaced: `${folder}/lost` };
  return { code: damaged.length === 0 ? 0 : 1, said: lines.join('\n'), data };
}

function reasonOf(error: unknown): string {
  const cause = error instanceof SyncError && error.cause !== undefined ? error.cause : error;
  return cause instanceof Error ? cause.message : String(cause);
}

export const repair: Command = {
  name: 'repair',
  summary: 'rebuilds a damaged database and says which documents are whole',
  usage: ['repair DATA_DIR'],
  details: () =>
    'Stop the server and copy the folder first. Keys are set as for the server. Exit code 1: a document is damaged.',
  run,
};
