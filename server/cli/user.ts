/** `telemed-sync user`: all data of a user, by the server where it runs, else in its folder. */
import { createWriteStream } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { isUserId, type UserId, userIdProblem } from '../../shared/names.js';
import { type App, createApp } from '../app.js';
import { type Config, readConfig } from '../config.js';
import { silentLog } from '../log.js';
import { mustHaveStored } from '../open-store.js';
import { answerOf } from './ask-server.js';
import { type Call, type Command, done, noMoreThan, type Outcome, textOf, UsageError } from './command.js';
import { whyNotOpen } from './owner.js';

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
  const config = readConfig(call.env);
  await mustHaveStored(config);
  const refusal = await whyNotOpen(config.dataDir);
  const app = refusal === null ? await opened(config) : null;
  try {
    const way = app === null ? byServer(config, task.user) : here(app, task.user);
    return await (task.verb === 'erase' ? erase(way, task) : exportTo(way, task));
  } catch (error) {
    throw new Error(whyNot(error, task, refusal), { cause: error });
  } finally {
    await app?.close();
  }
}

/** Null where a server has the database: then that one is asked. */
const opened = (config: Config): Promise<App | null> =>
  createApp({ ...config, demo: false }, silentLog).catch((error: unknown) => {
    if (error instanceof Error && error.message.includes('in use by another process')) return null;
    throw error;
  });

/** Who does it. Both tell whether there was anything of the user. */
interface Way {
  erase(): Promise<boolean>;
  export(): AsyncGenerator<string | Buffer, boolean>;
}

const here = (app: App, user: UserId): Way => ({
  erase: () => app.erase(user),
  export: () => app.export(user),
});

function byServer(config: Config, user: UserId): Way {
  const path = `/admin/users/${encodeURIComponent(user)}`;
  const hadData = (answer: IncomingMessage) => answer.headers['had-data'] === 'true';
  return {
    erase: async () => hadData(await answerOf(config, { method: 'DELETE', path })),
    async *export() {
      const answer = await answerOf(config, { method: 'GET', path: `${path}/export` });
      yield* answer;
      return hadData(answer);
    },
  };
}

/** @param refusal why this process can't do it where the server does not run */
function whyNot(error: unknown, { out }: Task, refusal: string | null): string {
  const reason = error instanceof Error ? error.message : String(error);
  if (reason.startsWith('EEXIST')) return `${out} is there already: name another file, or delete that one.`;
  return refusal === null ? reason : `${reason} If it is stopped: ${refusal}`;
}

const nothingOf = (user: UserId): string => `There is nothing of ${user} in the database`;

async function erase(way: Way, { user }: Task): Promise<Outcome> {
  const hadData = await way.erase();
  const said = hadData
    ? `All data of ${user} is erased. Backups still have it.`
    : `${nothingOf(user)}: nothing was erased. Is the id right?`;
  return done(said, { user, erased: hadData });
}

async function exportTo(way: Way, { user, out }: Task): Promise<Outcome> {
  const to = out === undefined ? process.stdout : createWriteStream(out, { flags: 'wx', mode: 0o600 });
  let hasData = false;
  async function* pieces(): AsyncGenerator<string | Buffer> {
    hasData = yield* way.export();
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
  summary: 'exports or erases all data of a user, also while the server runs',
  usage: ['user erase ID', 'user export ID [--out FILE]'],
  details: () =>
    `The environment is set as for the server, DATA_DIR and the key above all. A server that runs is asked: that needs
HOST, PORT, ADMIN_TOKEN and TLS_CERT as it has them.`,
  options: { out: { type: 'string' } },
  run,
};
