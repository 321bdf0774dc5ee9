/** `telemed-sync audit verify`: whether the audit trail is as it was written. */
import { verifyAudit } from '../access/audit.js';
import { accessPlaces } from '../access/places.js';
import { readConfig } from '../config.js';
import {
  type Call,
  type Command,
  done,
  type Environment,
  noMoreThan,
  type Outcome,
  UsageError,
} from './command.js';

function fileOf(env: Environment): string {
  return accessPlaces(readConfig({ ...env, NODE_ENV: 'development' })).audit;
}

async function run(call: Call): Promise<Outcome> {
  const [verb, named] = call.words;
  noMoreThan(2, call);
  if (verb !== 'verify')
    throw new UsageError(verb === undefined ? 'What is to be done?' : `'${verb}' is none of these.`);
  const file = named ?? fileOf(call.env);
  const { head, brokenLine, unfinished } = await verifyAudit(file).catch((error: unknown) => {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    // Not 1, which says that it was changed.
    throw new UsageError(missing ? `There is no audit trail at ${file}.` : String(error));
  });
  const data = { file, lines: head.number, hash: head.hash, brokenLine, unfinished };
  if (brokenLine !== null) {
    const said = `${file}: line ${brokenLine} is not the one that was written there; the ${head.number} before it are in order.`;
    return { code: 1, said, data };
  }
  const torn =
    unfinished > 0 ? ` Behind them are ${unfinished} bytes of a line that a crash left unfinished.` : '';
  const said = `${file}: ${head.number} lines in order, the last has the hash ${head.hash}.${torn} That none is missing at the end, the server's log tells: it names lines and hash at each start.`;
  return done(said, data);
}

export const audit: Command = {
  name: 'audit',
  summary: 'checks the trail of who came to the documents of others',
  usage: ['audit verify [FILE]'],
  details: () =>
    'Without FILE it is that of AUDIT_FILE, ACCESS_DIR or DATA_DIR, set as for the server. Exit code 1: it was changed.',
  run,
};
