/** `telemed-sync repair DATA_DIR`: repairs a damaged database and says which documents are whole. */

import { readConfig } from '../config.js';
import { readKeys } from '../store/encryption/key-file.js';
import { type Checked, checkDatabase } from '../store/level/check.js';
import { checkNotedKeys } from '../store/level/encryption.js';
import { repairDatabase } from '../store/level/folder.js';
import { LevelStore } from '../store/level/level-store.js';
import { lineOf } from './check.js';
import { type Call, type Command, noMoreThan, type Outcome, UsageError } from './command.js';
import { mustBeOwner } from './owner.js';

async function run(call: Call): Promise<Outcome> {
  const [folder] = call.words;
  noMoreThan(1, call);
  if (folder === undefined) throw new UsageError('Which folder is to be repaired?');
  const keys = readKeys(readConfig(call.env));
  await mustBeOwner(folder);
  await checkNotedKeys(folder, keys ?? null);
  await repairDatabase(folder);
  // What an open finishes, such as an erasure that was cut off.
  await (await LevelStore.open({ folder, keys })).close();
  return report(folder, await checkDatabase(folder, keys, () => {}));
}

function report(folder: string, { users, findings }: Checked): Outcome {
  const damaged = findings.filter(({ part }) => part === 'document' || part === 'key');
  const others = findings.filter((finding) => !damaged.includes(finding));
  const lost = new Set(damaged.map(({ user }) => user));
  const whole = users - lost.size;
  const lines = [
    `The database in ${folder} was rebuilt. The files that it replaced are in ${folder}/lost.`,
    `${whole} of ${users} documents are whole.`,
    ...damaged.map(({ user, reason }) => `Damaged, restore it from a backup: ${user} (${reason}).`),
    ...others.map(lineOf),
  ];
  const data = {
    documents: users,
    whole,
    damaged: damaged.map(({ user, reason }) => ({ user, reason })),
    findings: others,
    replaced: `${folder}/lost`,
  };
  return { code: damaged.length === 0 ? 0 : 1, said: lines.join('\n'), data };
}

export const repair: Command = {
  name: 'repair',
  summary: 'rebuilds a damaged database and says which documents are whole',
  usage: ['repair DATA_DIR'],
  details: () =>
    'Stop the server and copy the folder first. Keys are set as for the server, and looked at before anything is changed.\nWhat else is damaged is named, too. Exit code 1: a document is damaged.',
  run,
};
