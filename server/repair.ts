import { SyncError } from '../shared/errors.js';
import { readConfig } from './config.js';
import { readKeys } from './store/key-file.js';
import { LevelStore } from './store/level.js';
import { repairDatabase } from './store/level-folder.js';

// What this process makes is for nobody else.
process.umask(0o077);

/** `npm run repair -- DATA_DIR`: repairs a damaged database and says which documents are whole. */
const say = (sentence: string): void => {
  process.stdout.write(`${sentence}\n`);
};

async function repair(folder: string): Promise<boolean> {
  await repairDatabase(folder);
  say(`The database in ${folder} was rebuilt. The files that it replaced are in ${folder}/lost.`);
  const store = await LevelStore.open({ folder, keys: readKeys(readConfig(process.env)) });
  try {
    return await report(store);
  } finally {
    await store.close();
  }
}

async function report(store: LevelStore): Promise<boolean> {
  const users = await store.users();
  const damaged: string[] = [];
  for (const user of users) {
    const problem = await store.load(user).then(
      () => null,
      (error: unknown) => reasonOf(error),
    );
    store.forget(user);
    if (problem !== null) damaged.push(`${user} (${problem})`);
  }
  say(`${users.length - damaged.length} of ${users.length} documents are whole.`);
  for (const entry of damaged) say(`Damaged, restore it from a backup: ${entry}.`);
  return damaged.length === 0;
}

function reasonOf(error: unknown): string {
  const cause = error instanceof SyncError && error.cause !== undefined ? error.cause : error;
  return cause instanceof Error ? cause.message : String(cause);
}

const [folder] = process.argv.slice(2);
if (folder === undefined) {
  say(
    'Name the folder of the database: npm run repair -- DATA_DIR. Stop the server and copy the folder first.',
  );
  process.exitCode = 2;
} else {
  try {
    if (!(await repair(folder))) process.exitCode = 1;
  } catch (error) {
    say(error instanceof Error ? error.message : String(error));
    process.exitCode = 1;
  }
}
