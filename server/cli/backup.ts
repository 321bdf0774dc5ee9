/** `telemed-sync backup`: of a database, whether its server runs or not. */
import { access } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { backUp, backupsIn, verify } from '../backup/backup.js';
import { type MadeBackup, PRODUCT, told } from '../backup/backups.js';
import { MANIFEST } from '../backup/manifest.js';
import { type Config, readConfig } from '../config.js';
import { mustHaveStored } from '../open-store.js';
import { duration, NEVER } from '../option-kinds.js';
import { copyStopped } from '../store/level/stopped.js';
import { LAST_BACKUP } from '../store/moving.js';
import { askServer } from './ask-server.js';
import {
  type Call,
  type Command,
  done,
  noMoreThan,
  type Outcome,
  textOf,
  UsageError,
  usersSaid,
} from './command.js';
import { whyNotOpen } from './owner.js';

interface Task {
  readonly into: string;
  readonly keep: number | undefined;
  /** In ms; undefined for once. */
  readonly every: number | undefined;
}

const MINUTE = 60_000;
const everyOption = duration(MINUTE, NEVER, { fallback: '', line: '' });

function taskOf(call: Call): Task {
  const [into] = call.words;
  noMoreThan(1, call);
  if (into === undefined) throw new UsageError('Into which folder?');
  const keep = textOf(call, 'keep');
  if (keep !== undefined && !/^[1-9]\d{0,5}$/.test(keep))
    throw new UsageError('--keep takes how many backups stay, such as 14.');
  const every = textOf(call, 'every');
  const ms = every === undefined ? undefined : everyOption.parse(every);
  if (every !== undefined && ms === undefined)
    throw new UsageError('--every takes a time from 1m to 24d, such as 1d.');
  return { into: resolve(into), keep: keep === undefined ? undefined : Number(keep), every: ms };
}

const madeSchema = z.object({
  folder: z.string(),
  createdAt: z.string(),
  users: z.number(),
  rows: z.number(),
  bytes: z.number(),
  encrypted: z.boolean(),
  warnings: z.array(z.string()),
});

/** By the server where it runs, which has its database alone; else from the folder. */
async function make(config: Config, { into, keep }: Task): Promise<MadeBackup> {
  await mustHaveStored(config);
  const refusal = await whyNotOpen(config.dataDir);
  const stopped = refusal === null ? await copyStopped(config.dataDir) : null;
  if (stopped === null) return madeSchema.parse(await asked(config, { dir: into, keep }, refusal));
  try {
    const { dataDir } = config;
    const made = told(
      await backUp({ copy: stopped.copy, into, dataDir, now: Date.now, product: PRODUCT, keep }),
    );
    await stopped.note(LAST_BACKUP, Buffer.from(made.createdAt));
    return made;
  } finally {
    await stopped.close();
  }
}

/** @param refusal why this process can't make it where the server does not run */
async function asked(config: Config, body: object, refusal: string | null): Promise<unknown> {
  try {
    return await askServer(config, '/admin/backup', body);
  } catch (error) {
    if (refusal === null || !(error instanceof Error)) throw error;
    throw new Error(`${error.message} If it is stopped: ${refusal}`, { cause: error });
  }
}

const sizeOf = (bytes: number): string =>
  bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;

const saidOf = ({ folder, users, bytes, encrypted, warnings }: MadeBackup): string =>
  [
    `${folder}: ${usersSaid(users)}, ${sizeOf(bytes)}, ${encrypted ? 'encrypted' : 'not encrypted'}, read back and whole.`,
    ...warnings,
  ].join('\n');

/** When the next one is due: a start of the machine does not begin the time anew. */
export function dueIn(every: number, last: number | null, now: number): number {
  return last === null || last > now ? 0 : Math.max(0, last + every - now);
}

async function lastIn(into: string): Promise<number | null> {
  const all = await backupsIn(into).catch(() => []);
  const last = all.at(-1);
  const found = last === undefined ? null : await verify(last).catch(() => null);
  return found && Date.parse(found.manifest.createdAt);
}

/** After one that failed, a tenth of the time passes, so that a night without the server is made up for. */
const RETRY = 10;

async function goOn(config: Config, task: Task, every: number): Promise<void> {
  let wait = dueIn(every, await lastIn(task.into), Date.now());
  for (;;) {
    await new Promise((resume) => setTimeout(resume, wait));
    wait = await make(config, task).then(
      (made) => {
        process.stdout.write(`${saidOf(made)}\n`);
        return every;
      },
      (error: unknown) => {
        process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
        return every / RETRY;
      },
    );
  }
}

async function verifyAll(call: Call): Promise<Outcome> {
  const [, folder = ''] = call.words;
  noMoreThan(2, call);
  const isOne = await access(join(folder, MANIFEST)).then(
    () => true,
    () => false,
  );
  const all = isOne ? [folder] : await backupsIn(folder);
  if (all.length === 0) throw new Error(`There is no backup in ${folder}.`);
  const found = await Promise.all(all.map(looked));
  const isGood = found.every(({ problem }) => problem === null);
  const said = found.map(({ folder: name, problem, users }) =>
    problem === null ? `${name}: whole, ${usersSaid(users)}.` : problem,
  );
  return { code: isGood ? 0 : 1, said: said.join('\n'), data: { backups: found } };
}

const looked = (folder: string) =>
  verify(folder).then(
    ({ manifest }) => ({ folder, problem: null, users: manifest.users, createdAt: manifest.createdAt }),
    (error: unknown) => ({
      folder,
      problem: error instanceof Error ? error.message : String(error),
      users: null,
      createdAt: null,
    }),
  );

async function run(call: Call): Promise<Outcome | null> {
  if (call.words[0] === 'verify') {
    if (call.words.length < 2) throw new UsageError('Which backup is to be verified?');
    return verifyAll(call);
  }
  const task = taskOf(call);
  const config = readConfig(call.env);
  if (task.every !== undefined) return goOn(config, task, task.every).then(() => null);
  const made = await make(config, task);
  return done(saidOf(made), { ...made });
}

export const backup: Command = {
  name: 'backup',
  summary: 'makes a backup, also while the server runs',
  usage: [
    'backup DIR [--keep 14] [--every 1d]  into a folder of its own in DIR; with --every again and again',
    'backup verify DIR                    reads a backup, or all in DIR, and says whether they are whole',
  ],
  details: () =>
    `The environment is set as for the server: DATA_DIR, and where it runs also HOST, PORT, ADMIN_TOKEN and TLS_CERT.
No key is needed: what is encrypted stays so. Keep the key elsewhere. --keep removes the oldest once the new one is whole.`,
  options: { keep: { type: 'string' }, every: { type: 'string' } },
  run,
};
