/** `telemed-sync check`: looks at every byte of the database of a stopped server. */
import { readConfig } from '../config.js';
import { mustHaveStored } from '../open-store.js';
import { readKeys } from '../store/encryption/key-file.js';
import { type Checked, checkDatabase, type Finding } from '../store/level/check.js';
import { type Call, type Command, noMoreThan, type Outcome, usersSaid } from './command.js';
import { mustBeOwner } from './owner.js';
import { progressOf } from './progress.js';

async function run(call: Call): Promise<Outcome> {
  noMoreThan(0, call);
  const config = readConfig(call.env);
  await mustHaveStored(config);
  await mustBeOwner(config.dataDir);
  return outcomeOf(await checkDatabase(config.dataDir, readKeys(config), progressOf('users')));
}

function outcomeOf({ users, rows, findings }: Checked): Outcome {
  const said =
    findings.length === 0
      ? `All is well: ${usersSaid(users)}, ${rows} values.`
      : [
          `${findings.length} findings, in ${usersSaid(users)} and ${rows} values:`,
          ...findings.map(lineOf),
        ].join('\n');
  return { code: findings.length === 0 ? 0 : 1, said, data: { users, rows, findings } };
}

/** What each means for who has it, and what to do. */
const MEANING: Readonly<Record<Finding['part'], string>> = {
  database: 'the server may not start',
  document: 'refused until it is restored: telemed-sync restore BACKUP --user ID',
  vector: 'y-leveldb would take the document for another one; the server does not read it',
  history: 'not shown from there back; the records are whole',
  device: 'a JSON device counts as never met',
  deletion: 'a late write may bring a record back',
  view: 'made anew when the user comes',
  visit: 'counts as none',
  seen: 'the list of devices begins anew',
  key: 'nothing of the user can be read: restore a backup',
  note: 'counts as none',
};

export const lineOf = ({ user, part, reason }: Finding): string =>
  `${user === null ? 'Of no user' : `User ${user}`}, ${part}: ${reason} (${MEANING[part]}).`;

export const check: Command = {
  name: 'check',
  summary: 'looks at every byte of the database of a stopped server',
  usage: ['check'],
  details: () =>
    `The environment is set as for the server, DATA_DIR and the key above all. Every checksum is compared, every document
loaded, and the history has to be without gaps; no value is changed. Exit code 1: something is damaged. A server that runs
looks by itself once a day; to check a backup, use restore --try.`,
  run,
};
