/** `telemed-sync keys`: the master keys that a database is encrypted with. */
import { type Config, readConfig } from '../config.js';
import {
  addKey,
  keyStatus,
  notedKeys,
  retireKey,
  SAID,
  type UsedKeys,
} from '../store/encryption/key-file.js';
import { newKey } from '../store/encryption/key-ring.js';
import { masterKeysAt } from '../store/postgres/master-keys.js';
import { type Call, type Command, done, noMoreThan, type Outcome, UsageError } from './command.js';

const usedBy = ({ store, dataDir }: Config): Promise<UsedKeys> =>
  store === '' ? notedKeys(dataDir) : masterKeysAt(store);

async function status(config: Config, before: string): Promise<Outcome> {
  const keys = keyStatus(config.encryptionKeyFile, await usedBy(config));
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
  const config = readConfig(call.env);
  const { encryptionKeyFile: file } = config;
  if (file === '') throw new Error('Write the key to a file, and name it in ENCRYPTION_KEY_FILE.');
  if (verb === 'rotate') {
    const added = await addKey(file);
    const said = `The new key is ${added}. A server that runs takes it up by itself; back up the file.`;
    return status(config, said);
  }
  if (id === undefined) return status(config, '');
  await retireKey(file, await usedBy(config), id);
  const said = `The key ${id} is gone from ${file}. Backups that need it can't be opened any more without it.`;
  return status(config, said);
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
  details: () => 'DATA_DIR or STORE, and ENCRYPTION_KEY_FILE, are set as for the server.',
  run,
};
