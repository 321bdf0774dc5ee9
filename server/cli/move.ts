/** `telemed-sync move`: all that is stored, from LevelDB to PostgreSQL or back. */
import { accessPlaces } from '../access/places.js';
import { RevokedFile } from '../access/revoked-file.js';
import { readConfig } from '../config.js';
import { SyncError } from '../errors.js';
import { levelSource, levelTarget } from '../store/move/level-side.js';
import { type Moved, move as moveAll, type Source, type Target } from '../store/move/move.js';
import { nameOf, postgresSource, postgresTarget } from '../store/move/postgres-side.js';
import {
  type Call,
  type Command,
  done,
  noMoreThan,
  type Outcome,
  textOf,
  UsageError,
  usersAre,
} from './command.js';
import { mustBeOwner } from './owner.js';
import { progressOf } from './progress.js';

const isPostgres = (place: string): boolean => /^postgres(ql)?:\/\//.test(place);

function placeIn(call: Call, option: 'from' | 'to'): string {
  const place = textOf(call, option);
  if (place === undefined || place === '')
    throw new UsageError(`Where ${option}? Give --${option} with a folder, or postgres://….`);
  return place;
}

/** The revoked tokens of a LevelDB are in `ACCESS_DIR`, as its server has it. */
function revokedBeside(folder: string, { env }: Call): RevokedFile {
  const config = readConfig({ ...env, DATA_DIR: folder, STORE: '' });
  return new RevokedFile(accessPlaces(config).revoked);
}

async function sourceOf(place: string, call: Call): Promise<Source> {
  if (isPostgres(place)) return await postgresSource(place);
  await mustBeOwner(place);
  return await levelSource(place, revokedBeside(place, call));
}

async function targetOf(place: string, call: Call): Promise<Target> {
  if (isPostgres(place)) return await postgresTarget(place);
  await mustBeOwner(place);
  return await levelTarget(place, revokedBeside(place, call));
}

async function run(call: Call): Promise<Outcome> {
  noMoreThan(0, call);
  const [from, to] = [placeIn(call, 'from'), placeIn(call, 'to')];
  const source = await sourceOf(from, call);
  try {
    const target = await targetOf(to, call);
    try {
      return outcomeOf(await moveShown(source, target), to, { source, target });
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}

async function moveShown(source: Source, target: Target): Promise<Moved> {
  const shown = { copied: progressOf('users copied'), compared: progressOf('users compared') };
  try {
    return await moveAll(source, target, (doing, ...progress) => shown[doing](...progress));
  } catch (cause) {
    if (cause instanceof SyncError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`The move was cut off (${reason}): run the same command again.`, { cause });
  }
}

interface Sides {
  readonly source: Source;
  readonly target: Target;
}

function outcomeOf({ users, copied, revoked, hash }: Moved, to: string, { source, target }: Sides): Outcome {
  const [from, into] = [source.name, target.name];
  const server = isPostgres(to) ? `STORE=${nameOf(to)} (with its user)` : `DATA_DIR=${to}, without STORE`;
  const said = [
    `${usersAre(users)} in ${into}, ${copied} parts copied by this run, and all compared: they are as they were.`,
    `${revoked} revoked ${revoked === 1 ? 'token' : 'tokens'} went along; all are in ${target.revoked.name}.`,
    `Start the server with ${server}, and the keys of before. What is in ${from} is as it was, and no server starts there any more: put it away.`,
  ];
  return done(said.join('\n'), { from, to: into, users, copied, revoked, hash });
}

export const move: Command = {
  name: 'move',
  summary: 'moves all that is stored from LevelDB to PostgreSQL, or back',
  usage: [
    'move --from ./data --to postgres://user:password@host/database',
    'move --from postgres://… --to ./data',
  ],
  details: () =>
    `Servers of both are stopped. What is encrypted stays so: no key is needed, and the same ones are needed afterwards.
Cut off at any moment, the same command goes on. The target has to be empty, and no server takes it before all is there
and was compared. Nothing of the source is changed, but it notes that it was moved, and no server starts there.
ACCESS_DIR and AUDIT_FILE are set as for the server: revoked tokens are taken along, and nothing is moved where some are
missing there; the audit trail stays where it is. A password may be in PGPASSWORD, where no list of processes shows it.`,
  options: { from: { type: 'string' }, to: { type: 'string' } },
  run,
};
