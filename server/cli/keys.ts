/** `telemed-sync keys`: the master keys that a database is encrypted with. */
import { readConfig } from '../config.js';
import { addKey, keyStatus, retireKey, SAID } from '../store/encryption/key-file.js';
import { newKey } from '../store/encryption/key-ring.js';
import { type Call, type Command, done, noMoreThan, type Outcome, UsageError } from './command.js';

async function status(file: string, dataDir: string, before: string): Promise<Outcome> {
  const keys = await keyStatus(file, dataDir);
  const lines = keys.map(({ id, state }) => `${id}: ${SAID[state]}`);
  return done([before, ...lines].filter((line) => line !== '').join('\n'), { keys });
}

async function run(call: Call): Promise<Outcome> {
  const [verb, id] = call.words;
  noMoreThan(verb === 'retire' ? 2 : 1, call);
  if (verb === 'new') {
    const key = newKey();
    return done(key, { key });
  }
  if (verb !== 'rotate' && verb !== 'status' && verb !== 'retire')
    throw new UsageError(verb === undefined ? 'What is to be done?' : `'${verb}' is none of these.`);
  if (verb === 'retire' && id === undefined) throw new UsageError('Which key is to be retired?');
  const { encryptionKeyFile: file, dataDir } = readConfig(call.env);
  if (file === '') throw new Error('Write the key to a file, and name it in ENCRYPTION_KEY_FILE.');
  if (verb === 'rotate') {
    const added = await addKey(file);
    const said = `The new key is ${added}. A server that runs takes it up by itself; back up the file.`;
    return status(file, dataDir, said);
  }
  if (id === undefined) return status(file, dataDir, '');
  await retireKey(file, dataDir, id);
  const said = `The key ${id} is gone from ${file}. Backups that need it can't be opened any more without it.`;
  return status(file, dataDir, said);
}

export const keys: Command = {
  name: 'keys',
  summary: 'makes, changes and retires keys of encryption',
  usage: [
    'keys new        a new key, for ENCRYPTION_KEY or a file of keys',
    'keys rotate     puts a new key before those of ENCRYPTION_KEY_FILE; a server that runs takes it up',
    'keys status     which keys of the file are still in use',
    'keys retire ID  takes a key that is not in use any more out of the file',
  ],
  details: () => 'DATA_DIR and ENCRYPTION_KEY_FILE are set as for the server.',
  run,
};
