/** `telemed-sync restore`: a backup takes the place of the database, or is only tried. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { isUserId, type UserId } from '../../shared/names.js';
import { createApp } from '../app.js';
import { verify } from '../backup/backup.js';
import { checkKeys, makeFrom, type Restored, restore as restoreWhole } from '../backup/restore.js';
import { removeStaleScratch } from '../backup/scratch.js';
import { replaceDamaged } from '../backup/user-restore.js';
import { type Config, readConfig } from '../config.js';
import { SyncError } from '../errors.js';
import { silentLog } from '../log.js';
import { mustHaveStored } from '../open-store.js';
import { readKeys } from '../store/encryption/key-file.js';
import { askServer } from './ask-server.js';
import {
  type Call,
  type Command,
  done,
  noMoreThan,
  type Outcome,
  textOf,
  UsageError,
  usersAre,
  usersSaid,
} from './command.js';
import { mustBeOwner } from './owner.js';

async function run(call: Call): Promise<Outcome> {
  const [folder] = call.words;
  noMoreThan(1, call);
  if (folder === undefined) throw new UsageError('Which backup? Name its folder.');
  const isTrial = call.values.try === true;
  if (isTrial && (call.values.replace === true || textOf(call, 'erased') !== undefined))
    throw new UsageError('--try changes nothing: it goes with none of the others.');
  const config = readConfig(call.env);
  if (!isTrial) await mustBeOwner(config.dataDir);
  if (textOf(call, 'user') !== undefined || textOf(call, 'at') !== undefined)
    return await restoreOne(folder, config, userTaskOf(call));
  return isTrial ? await tryOut(folder, config) : await replaceBy(folder, config, call);
}

interface UserTask {
  readonly user: UserId;
  readonly at: string | undefined;
}

function userTaskOf(call: Call): UserTask {
  const [user = '', at] = [textOf(call, 'user'), textOf(call, 'at')];
  if (!isUserId(user)) throw new UsageError('--user takes the id of one user; --at goes with it.');
  if (call.values.replace === true || call.values.try === true || textOf(call, 'erased') !== undefined)
    throw new UsageError('--user goes with --at alone.');
  if (at === undefined) return { user, at };
  const time = Date.parse(at);
  if (Number.isNaN(time)) throw new UsageError('--at takes a time, such as 2026-11-29T12:00:00Z.');
  return { user, at: new Date(time).toISOString() };
}

const broughtBackSchema = z.object({ records: z.number(), changed: z.number() });

/** One user's records, as new changes: by the server where it runs. */
async function restoreOne(folder: string, config: Config, { user, at }: UserTask): Promise<Outcome> {
  await mustHaveStored(config);
  const backup = resolve(folder);
  const app = await createApp({ ...config, demo: false }, silentLog).catch((error: unknown) => {
    if (error instanceof Error && error.message.includes('in use by another process')) return null;
    throw error;
  });
  const path = `/admin/users/${encodeURIComponent(user)}/restore`;
  if (app === null) return broughtBack(user, await askServer(config, path, { backup, at }));
  try {
    const time = at === undefined ? null : Date.parse(at);
    return broughtBack(user, await app.restoreUser(user, { folder: backup, at: time }));
  } catch (error) {
    if (!(error instanceof SyncError) || error.code !== 'DOCUMENT_CORRUPT' || at !== undefined) throw error;
  } finally {
    await app.close();
  }
  const task = { folder: backup, user, keys: readKeys(config) };
  const replaced = await replaceDamaged(task, config.dataDir, Date.now());
  const said = `The document of ${user} was damaged: it is what the backup has now. Devices send what that lacks. What was there is in ${replaced}; delete it when all is well.`;
  return done(said, { user, replaced });
}

function broughtBack(user: UserId, answer: unknown): Outcome {
  const { records, changed } = broughtBackSchema.parse(answer);
  const of = records === 1 ? '1 record' : `${records} records`;
  const said = `Of ${of} of ${user} in the backup, ${changed} ${changed === 1 ? 'was' : 'were'} brought back; the others are as they were then. Records made since stay.`;
  return done(said, { user, records, changed });
}

/** In a folder of its own, which is gone afterwards. */
async function tryOut(folder: string, config: Config): Promise<Outcome> {
  const task = { backup: await verify(folder), keys: readKeys(config) };
  checkKeys(task);
  await removeStaleScratch(Date.now());
  const beside = await mkdtemp(join(tmpdir(), 'telemed-sync-restore-'));
  try {
    const made = await makeFrom({ ...task, now: Date.now }, join(beside, 'data'), new Map());
    const said = `${usersSaid(made.users)} could be restored as of ${task.backup.manifest.createdAt}; nothing was changed.`;
    return outcome(made, said);
  } finally {
    await rm(beside, { recursive: true, force: true });
  }
}

async function replaceBy(folder: string, config: Config, call: Call): Promise<Outcome> {
  const file = textOf(call, 'erased');
  const erased = file === undefined ? null : await usersIn(file);
  const backup = await verify(folder);
  const restored = await restoreWhole({
    backup,
    dataDir: config.dataDir,
    keys: readKeys(config),
    replace: call.values.replace === true,
    eraseMore: erased && ((dataDir) => eraseIn(dataDir, config, erased)),
    now: Date.now,
  });
  if (restored === null)
    return done(
      `The restore of the backup of ${backup.manifest.createdAt} into ${config.dataDir} that was cut off is complete now. Start the server.`,
      { completed: true },
    );
  const { users, erased: again, replaced } = restored;
  const knownBy = [...restored.knownBy, ...(file === undefined ? [] : [file])];
  const lines = [
    `${usersAre(users)} restored in ${config.dataDir}, ${again} of them erased again. Start the server: devices send what the backup lacks.`,
    ...(knownBy.length === 0 ? [] : [`Who was erased since the backup is known by ${knownBy.join(', ')}.`]),
    ...(replaced === null ? [] : [`The database of before is in ${replaced}; delete it when all is well.`]),
  ];
  return outcome(restored, lines.join('\n'), { erased: again, replaced, knownBy });
}

function outcome(
  { users, damaged }: Pick<Restored, 'users' | 'damaged'>,
  said: string,
  more: Outcome['data'] = {},
): Outcome {
  const lines = damaged.map((user) => `Damaged, as it was when the backup was made: ${user}.`);
  return {
    code: damaged.length === 0 ? 0 : 1,
    said: [said, ...lines].join('\n'),
    data: { users, damaged, ...more },
  };
}

async function usersIn(file: string): Promise<UserId[]> {
  const lines = (await readFile(file, 'utf8')).split('\n').map((line) => line.trim());
  return lines
    .filter((line) => line !== '')
    .map((line) => {
      if (!isUserId(line)) throw new Error(`'${line}' in ${file} is no user id: one in each line.`);
      return line;
    });
}

/** As `user erase` does. */
async function eraseIn(dataDir: string, config: Config, users: readonly UserId[]): Promise<number> {
  if (users.length === 0) return 0;
  // Who gets in, and what is kept of that, is no part of the backup.
  const app = await createApp({ ...config, dataDir, auth: 'none', demo: false }, silentLog);
  try {
    let count = 0;
    for (const user of users) if (await app.erase(user)) count += 1;
    return count;
  } finally {
    await app.close();
  }
}

export const restore: Command = {
  name: 'restore',
  summary: 'puts a backup in the place of the database',
  usage: [
    'restore BACKUP [--replace] [--erased FILE]  into DATA_DIR, while the server is stopped',
    'restore BACKUP --user ID [--at TIME]        the records of one user, as new changes, also while it runs',
    'restore BACKUP --try                        only tries it, in a folder that is gone afterwards',
  ],
  details: () =>
    `BACKUP is the folder of one backup. The environment is set as for the server, DATA_DIR and the key above all.
Who was erased since the backup stays erased, by the database that is replaced and the newer backups beside this one;
--erased names a file with further users, an id in each line. Where neither goes on from the backup, it is asked for, and
may be empty. Tokens that were taken back, and the audit trail, stay as they are.`,
  options: {
    replace: { type: 'boolean' },
    erased: { type: 'string' },
    user: { type: 'string' },
    at: { type: 'string' },
    try: { type: 'boolean' },
  },
  run,
};
