import { createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { isUserId, type UserId } from '../shared/names.js';
import { type App, createApp } from './app.js';
import { readConfig } from './config.js';
import { silentLog } from './log.js';

// What this process makes is for nobody else.
process.umask(0o077);

/** `npm run user -- erase|export ID [--out FILE]`: all data of a user, in the folder of a server that is stopped. */
const USAGE = `npm run user -- erase ID
npm run user -- export ID [--out FILE]

DATA_DIR and the key are set as for the server. While the server runs, ask it instead:
DELETE /admin/users/ID and GET /admin/users/ID/export.`;

const say = (sentence: string): void => void process.stderr.write(`${sentence}\n`);

interface Command {
  readonly verb: 'erase' | 'export';
  readonly user: UserId;
  /** Where the export goes; `null` for standard output. */
  readonly out: string | null;
}

function parse([verb, user, option, out, ...more]: readonly string[]): Command | null {
  if ((verb !== 'erase' && verb !== 'export') || !isUserId(user) || more.length > 0) return null;
  if (option === undefined) return { verb, user, out: null };
  return verb === 'export' && option === '--out' && out !== undefined ? { verb, user, out } : null;
}

async function run(command: Command): Promise<void> {
  const config = readConfig(process.env);
  const app = await createApp({ ...config, demo: false }, silentLog);
  try {
    await carryOut(app, command);
  } finally {
    await app.close();
  }
}

async function carryOut(app: App, { verb, user, out }: Command): Promise<void> {
  if (verb === 'erase') {
    const hadData = await app.erase(user);
    say(
      hadData
        ? `All data of ${user} is erased. Backups still have it.`
        : `There is nothing of ${user} in the database: nothing was erased. Is the id right?`,
    );
    return;
  }
  const to = out === null ? process.stdout : createWriteStream(out, { flags: 'wx', mode: 0o600 });
  await pipeline(Readable.from(app.export(user)), to, { end: out !== null });
  if (out !== null) say(`All data of ${user} is in ${out}.`);
}

const command = parse(process.argv.slice(2));
if (command === null) {
  say(USAGE);
  process.exitCode = 2;
} else {
  await run(command).catch((error: unknown) => {
    const reason = error instanceof Error ? error.message : String(error);
    say(reason);
    const { verb, user } = command;
    const place = `/admin/users/${encodeURIComponent(user)}`;
    const address = verb === 'erase' ? `DELETE ${place}` : `GET ${place}/export`;
    if (reason.includes('in use by another process')) say(`Or ask the server that runs: ${address}.`);
    process.exitCode = 1;
  });
}
