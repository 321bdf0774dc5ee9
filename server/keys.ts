import { readConfig } from './config.js';
import { addKey, keyStatus, retireKey, SAID } from './store/key-file.js';
import { newKey } from './store/key-ring.js';

// What this process makes is for nobody else.
process.umask(0o077);

/** `npm run keys -- new|rotate|status|retire ID`: the master keys that a database is encrypted with. */
const USAGE = `npm run keys -- new        a new key, for ENCRYPTION_KEY or a file of keys
npm run keys -- rotate     puts a new key before those of ENCRYPTION_KEY_FILE; a server that runs takes it up
npm run keys -- status     which keys of the file are still in use
npm run keys -- retire ID  takes a key that is not in use any more out of the file

DATA_DIR and ENCRYPTION_KEY_FILE are set as for the server.`;

const say = (sentence: string): void => void process.stdout.write(`${sentence}\n`);

class UsageError extends Error {}

async function run([verb, id, ...more]: readonly string[]): Promise<void> {
  if (more.length > 0 || (verb === 'retire') !== (id !== undefined)) throw new UsageError();
  if (verb === 'new') return say(newKey());
  const { encryptionKeyFile: file, dataDir } = readConfig(process.env);
  if (verb !== 'rotate' && verb !== 'status' && verb !== 'retire') throw new UsageError();
  if (file === '') throw new Error('Write the key to a file, and name it in ENCRYPTION_KEY_FILE.');
  if (verb === 'rotate') {
    say(`The new key is ${await addKey(file)}. A server that runs takes it up by itself; back up the file.`);
  }
  if (verb === 'retire' && id !== undefined) {
    await retireKey(file, dataDir, id);
    say(`The key ${id} is gone from ${file}. Backups that need it can't be opened any more without it.`);
  }
  for (const key of await keyStatus(file, dataDir)) say(`${key.id}: ${SAID[key.state]}`);
}

await run(process.argv.slice(2)).catch((error: unknown) => {
  say(error instanceof UsageError ? USAGE : error instanceof Error ? error.message : String(error));
  process.exitCode = error instanceof UsageError ? 2 : 1;
});
