/** `telemed-sync user`: all data of a user, in the folder of a server that is stopped. */
import { createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { isUserId, type UserId, userIdProblem } from '../../shared/names.js';
import { type App, createApp } from '../app.js';
import { readConfig } from '../config.js';
import { silentLog } from '../log.js';
import { mustHaveStored } from '../open-store.js';
import { type Call, type Command, done, noMoreThan, type Outcome, textOf, UsageError } from './command.js';
import { mustBeOwner } from './owner.js';

interface Task {
  readonly verb: 'erase' | 'export';
  readonly user: UserId;
  /** Where the export goes; undefined for standard output. */
  readonly out: string | undefined;
}

function taskOf(call: Call): Task {
  const [verb, user] = call.words;
  noMoreThan(2, call);
  if (verb !== 'erase' && verb !== 'export')
    throw new UsageError(verb === undefined ? 'What is to be done?' : `'${verb}' is none of these.`);
  if (user === undefined) throw new UsageError(`Which user? Give the id: user ${verb} ID.`);
  if (!isUserId(user)) throw new UsageError(`'${user}' is no user id: it ${userIdProblem(user)}.`);
  const out = textOf(call, 'out');
  if (verb === 'erase' && out !== undefined) throw new UsageError('An erasure has no --out.');
  return { verb, user, out };
}

async function run(call: Call): Promise<Outcome> {
  const task = taskOf(call);
  try {
    const config = readConfig(call.env);
    await mustHaveStored(config);
    await mustBeOwner(config.dataDir);
    const app = await createApp({ ...config, demo: false }, silentLog);
    try {
      return await (task.verb === 'erase' ? erase(app, task) : exportTo(app, task));
    } finally {
      await app.close();
    }
  } catch (error) {
    throw new Error(whyNot(error, task), { cause: error });
  }
}

function whyNot(error: unknown, { verb, user, out }: Task): string {
  const reason = error instanceof Error ? error.message : String(error);
  if (reason.startsWith('EEXIST')) return `${out} is there already: name another file, or delete that one.`;
  if (!reason.includes('in use by another process')) return reason;
  const place = `/admin/users/${encodeURIComponent(user)}`;
  return `${reason}\nOr ask the server that runs: ${verb === 'erase' ? `DELETE ${place}` : `GET ${place}/export`}.`;
}

const nothingOf = (user: UserId): string => `There is nothing of ${user} in the database`;

async function erase(app: App, { user }: Task): Promise<Outcome> {
  const hadData = await app.erase(user);
  const said = hadData
    ? `All data of ${user} is erased. Backups still have it.`
    : `${nothingOf(user)}: nothing was erased. Is the id right?`;
  return done(said, { user, erased: hadData });
}

async function exportTo(app: App, { user, out }: Task): Promise<Outcome> {
  const to = out === undefined ? process.stdout : createWriteStream(out, { flags: 'wx', mode: 0o600 });
  let hasData = false;
  async function* pieces(): AsyncGenerator<string> {
    hasData = yield* app.export(user);
  }
  await pipeline(Readable.from(pieces()), to, { end: out !== undefined });
  // An id that was typed wrong must not pass for a person of whom nothing is known.
  const said = hasData
    ? `All data of ${user} is in ${out}.`
    : `${nothingOf(user)}: the export is empty. Is the id right?`;
  if (out === undefined && !hasData) process.stderr.write(`${said}\n`);
  return done(out === undefined ? null : said, { user, file: out, found: hasData });
}

export const user: Command = {
  name: 'user',
  summary: 'exports or erases all data of a user',
  usage: ['user erase ID', 'user export ID [--out FILE]'],
  details: () =>
    `The environment is set as for the server, DATA_DIR and the key above all. While the server runs, ask it instead:
DELETE /admin/users/ID and GET /admin/users/ID/export.`,
  options: { out: { type: 'string' } },
  run,
};
