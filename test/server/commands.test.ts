/** The commands of the admin: keys of encryption, erasure and export in the folder of a stopped server. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { type Ending, run as runHere } from '../../server/cli/commands.js';
import { KeyRing, newKey } from '../../server/store/encryption/key-ring.js';
import { LevelStore } from '../../server/store/level/level-store.js';
import { findInFiles } from '../support/raw-files.js';
import { ServerProcess } from '../support/server-process.js';
import { useJson } from '../support/use.js';
import { PATIENCE, Watched } from '../support/wait.js';

let folder: string;
let data: string;
let keyFile: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'commands-'));
  data = join(folder, 'data');
  keyFile = join(folder, 'keys');
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
});

interface Answer {
  readonly status: number | null;
  readonly out: string;
  readonly said: string;
}

/** The built program. */
function run(name: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Answer {
  const { PATH = '' } = process.env;
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['packages/server/dist/server/cli/main.cjs', name, ...args],
    {
      env: { PATH, DATA_DIR: data, ...env },
      encoding: 'utf8',
    },
  );
  return { status, out: stdout, said: stdout + stderr };
}

/** The same without a process of its own, whose start takes longer than most commands. */
async function ending(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ending> {
  const ending = await runHere(args, { DATA_DIR: data, ...env });
  if (ending === null) throw new Error('it goes on by itself');
  return ending;
}

const told = (...args: readonly string[]): Promise<Ending> => ending(args);

async function answer(args: readonly string[], env: Readonly<Record<string, string>>): Promise<Answer> {
  const { code, out, err } = await ending(args, env);
  return { status: code, out, said: out + err };
}

async function start(options: Readonly<Record<string, string>> = {}): Promise<ServerProcess> {
  const server = await ServerProcess.start({ DATA_DIR: data, ...options });
  onTestFinished(() => server.dispose());
  return server;
}

function signal({ pid }: ServerProcess, name: NodeJS.Signals): void {
  if (pid === undefined) throw new Error('the server does not run');
  process.kill(pid, name);
}

async function write(server: ServerProcess, id: string): Promise<void> {
  const json = await useJson(server, 'anna', 'phone');
  json.update('appointments', { id, note: 'value-of-anna' }, { ack: id });
  await json.next('ACK');
}

const records = async ({ url }: ServerProcess): Promise<unknown> =>
  (await fetch(`${url}/api/sync/anna`)).json();

describe('telemed-sync keys', () => {
  test('[P7] new makes a key that a server takes; a wrong way to call it is explained', async () => {
    const made = run('keys', ['new']);
    expect(KeyRing.parse(made.out).ids).toHaveLength(1);
    expect((await told('keys', 'new')).out).not.toBe(made.out);
    for (const args of [[], ['what'], ['retire'], ['rotate', 'x']]) {
      expect(await told('keys', ...args)).toMatchObject({
        code: 2,
        err: expect.stringContaining('telemed-sync keys rotate'),
      });
    }
    expect(run('keys', ['rotate'])).toMatchObject({
      status: 1,
      said: expect.stringContaining('ENCRYPTION_KEY_FILE'),
    });
  });

  test('[P7] [O4] rotate, while the server runs: it takes the new key up, and the old one can be retired', async () => {
    const old = newKey();
    await writeFile(keyFile, `# keys of the practice\n${old}\n`, { mode: 0o600 });
    const env = { ENCRYPTION_KEY_FILE: keyFile };
    const [oldId = ''] = KeyRing.parse(old).ids;
    expect((await answer(['keys', 'status'], env)).out).toBe(`${oldId}: the current one\n`);
    const server = await start(env);
    await write(server, 'a1');
    const from = server.lines.length;
    signal(server, 'SIGSTOP'); // so that it has not taken the new key up yet
    const rotated = run('keys', ['rotate'], env);
    expect([rotated.status, rotated.said]).toEqual([0, expect.stringContaining('The new key is')]);
    expect((await answer(['keys', 'retire', oldId], env)).status).toBe(1);
    signal(server, 'SIGCONT');
    const newId = KeyRing.parse(await readFile(keyFile, 'utf8')).current.id;
    await server.line(new RegExp(`Encrypted with the key ${newId}; no other one is needed`), from);
    await write(server, 'a2');
    expect((await answer(['keys', 'status'], env)).out).toBe(
      `${newId}: the current one\n${oldId}: not in use any more\n`,
    );
    expect(await answer(['keys', 'retire', newId], env)).toMatchObject({
      status: 1,
      said: expect.stringContaining('it stays'),
    });
    expect((await answer(['keys', 'retire', 'ffffffff'], env)).status).toBe(1);
    expect((await answer(['keys', 'retire', oldId], env)).status).toBe(0);
    const text = await readFile(keyFile, 'utf8');
    expect(text).toContain('# keys of the practice');
    expect(text).not.toContain(old);
    expect((await stat(keyFile)).mode & 0o777).toBe(0o600);
    expect(server.lines.join('\n')).not.toContain(old.slice(0, 12));
    await server.stop();
    await server.restart();
    expect(await records(server)).toMatchObject({ appointments: [{ id: 'a1' }, { id: 'a2' }] });
    expect(await findInFiles(data, ['value-of-anna'])).toEqual([]);
  });

  test('[P5] a changed file that lacks a key in use, or is none, is refused, and the server goes on', async () => {
    await writeFile(keyFile, newKey());
    const server = await start({ ENCRYPTION_KEY_FILE: keyFile });
    await write(server, 'a1');
    await writeFile(keyFile, 'no key');
    await server.line(/changed keys can't be used.*Line 1 is not a key/);
    await writeFile(keyFile, newKey());
    await server.line(/changed keys can't be used.*not among those given/);
    await write(server, 'a2');
  });

  test('[P5] [O1] the server refuses to start with a sentence that shows no key', async () => {
    const key = newKey();
    const server = await start({ ENCRYPTION_KEY: key });
    await write(server, 'a1');
    await server.stop();
    await writeFile(keyFile, key);
    const cases: [Record<string, string>, RegExp][] = [
      [{}, /Cannot start: The database is encrypted \(key [0-9a-f]{8}\): set ENCRYPTION_KEY or/],
      [{ ENCRYPTION_KEY: newKey() }, /is not among those given/],
      [{ ENCRYPTION_KEY: key.slice(1) }, /ENCRYPTION_KEY is not one\. Allowed: 32 bytes/],
      [{ ENCRYPTION_KEY: key, ENCRYPTION_KEY_FILE: keyFile }, /not both/],
      [{ ENCRYPTION_KEY_FILE: join(folder, 'nowhere') }, /nowhere, can't be read \(ENOENT\)/],
    ];
    for (const [env, sentence] of cases) {
      const ended = spawnSync(process.execPath, ['packages/server/dist/server/main.js'], {
        env: { PATH: process.env.PATH ?? '', DATA_DIR: data, PORT: '0', ...env },
        encoding: 'utf8',
      });
      expect([ended.status, ended.stderr]).toEqual([1, expect.stringMatching(sentence)]);
      expect(ended.stdout + ended.stderr).not.toContain(key.slice(1, 12));
    }
    await server.restart();
    expect(await records(server)).toMatchObject({ appointments: [{ id: 'a1' }] });
  });
});

describe('telemed-sync user', () => {
  test.each([
    ['plain', {}],
    ['encrypted', { ENCRYPTION_KEY: newKey() }],
  ])('[P7] exports and erases in the folder of a stopped server: %s', async (_, options) => {
    const env: Record<string, string> = options;
    const server = await start(env);
    await write(server, 'a1');
    await server.stop();
    const exported = run('user', ['export', 'anna'], env);
    expect(JSON.parse(exported.out)).toMatchObject({
      userId: 'anna',
      collections: { appointments: [{ id: 'a1', note: 'value-of-anna' }] },
      history: [{ revision: 1, after: { note: 'value-of-anna' } }],
    });
    const out = join(folder, 'anna.json');
    expect(exported.said).toBe(exported.out);
    expect(await answer(['user', 'export', 'anna', '--out', out], env)).toMatchObject({
      status: 0,
      said: `All data of anna is in ${out}.\n`,
    });
    expect(JSON.parse(await readFile(out, 'utf8'))).toMatchObject({ userId: 'anna' });
    expect((await stat(out)).mode & 0o777).toBe(0o600);
    expect(await answer(['user', 'erase', 'anna'], env)).toMatchObject({
      status: 0,
      said: expect.stringContaining('Backups'),
    });
    expect(await findInFiles(data, ['value-of-anna'])).toEqual([]);
    const empty = run('user', ['export', 'anna'], env);
    expect(JSON.parse(empty.out)).toMatchObject({ history: [], devices: [] });
    expect(empty.said).toContain('There is nothing of anna in the database: the export is empty.');
    for (const nobody of ['anna', 'nobody', 'auth0|64f0']) {
      const { status, said } = await answer(['user', 'erase', nobody], env);
      expect([status, said]).toEqual([0, expect.stringContaining(`There is nothing of ${nobody}`)]);
      expect(said).not.toContain('is erased');
    }
  });

  test('[P7] asks the server that runs, which has the database alone', async () => {
    const ADMIN_TOKEN = 'the-token-of-the-operator-of-this-server';
    const server = await start({ ADMIN_TOKEN });
    await write(server, 'a1');
    const env = { ADMIN_TOKEN, PORT: new URL(server.url).port };
    const out = join(folder, 'anna.json');
    expect(await answer(['user', 'export', 'anna', '--out', out], env)).toMatchObject({
      status: 0,
      said: `All data of anna is in ${out}.\n`,
    });
    expect(JSON.parse(await readFile(out, 'utf8'))).toMatchObject({
      userId: 'anna',
      history: [{ revision: 1 }],
    });
    const other = { ...env, ADMIN_TOKEN: 'another-token-than-that-of-the-operator' };
    const guess = await answer(['user', 'erase', 'anna'], other);
    expect([guess.status, guess.said]).toEqual([
      1,
      'The server refuses the token: set ADMIN_TOKEN as it has it.\n',
    ]);
    expect(run('user', ['erase', 'anna'], env).said).toBe(
      'All data of anna is erased. Backups still have it.\n',
    );
    expect(await findInFiles(data, ['value-of-anna'])).toEqual([]);
    expect((await answer(['user', 'erase', 'anna'], env)).said).toContain(
      'There is nothing of anna in the database',
    );
    expect(run('user', ['export', 'nobody'], env).said).toContain('the export is empty. Is the id right?');
  });

  test('[P7] a wrong way to call it is explained, and nothing is made', async () => {
    for (const args of [
      [],
      ['erase'],
      ['erase', 'a b'],
      ['export', 'anna', '--out'],
      ['erase', 'anna', '--out', 'x'],
    ]) {
      expect(await told('user', ...args)).toMatchObject({
        code: 2,
        err: expect.stringContaining('telemed-sync user erase ID'),
      });
    }
    expect(await readdir(folder)).toEqual([]);
  });
});

test('[P7] in a folder without a database nothing is made, and a misspelt option is told', async () => {
  const { code, err } = await told('user', 'erase', 'anna');
  expect([code, err]).toEqual([
    1,
    `The folder ${data} holds no database: set DATA_DIR to that of the server.\n`,
  ]);
  expect(await runHere(['user', 'export', 'anna'], { DATADIR: data, DATA_DIR: folder })).toMatchObject({
    code: 1,
    err: expect.stringMatching(
      /^There is no option DATADIR, it has no effect; did you mean DATA_DIR\?\nThe folder /,
    ),
  });
  expect(await readdir(folder)).toEqual([]);
});

describe('telemed-sync', () => {
  const NAMES = ['start', 'health', 'keys', 'repair', 'user', 'audit', 'token'];

  test('[O1] --help names every command, and each tells how it is called', async () => {
    const { code, out } = await told('--help');
    expect([code, NAMES.filter((name) => !out.includes(`\n  ${name} `))]).toEqual([0, []]);
    for (const name of NAMES) {
      const help = await told(name, '--help');
      expect([help.code, help.err, help.out]).toEqual([
        0,
        '',
        expect.stringContaining(`telemed-sync ${name}`),
      ]);
    }
    expect(await told('--version')).toEqual({
      code: 0,
      out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
      err: '',
    });
    expect((await told('start', '--help')).out).toMatch(/MAX_DOCUMENT \(32 MiB\)\n {6}Largest document/);
  });

  test.each([
    [['kesy'], /There is no command 'kesy'\. Is 'keys' meant\?/],
    [['usr', 'erase', 'anna'], /Is 'user' meant\?/],
    [['frobnicate'], /There is no command 'frobnicate'\.\n/],
    [['keys', 'new', '--jsno'], /--jsno/],
    [
      ['--prot', '80'],
      /^Unknown option '--prot'\. Options of the server are environment variables: PORT=4000\.\n/,
    ],
    [['user', 'erase'], /^Which user\? Give the id: user erase ID\./],
    [['user', 'export', 'a b'], /'a b' is no user id: it has white space\./],
    [['token', '--usr', 'x'], /^Unknown option '--usr'\.\n/],
    [['start', 'now'], /'now' is one word too many/],
    [['repair'], /Which folder/],
    [['audit', 'check'], /'check' is none of these/],
    [['token', '--user'], /--user/],
  ])('[O1] %j is explained, with exit code 2', async (args, sentence) => {
    expect(await told(...args)).toMatchObject({ code: 2, out: '', err: expect.stringMatching(sentence) });
  });

  test('[O1] --json makes each result, and each failure, one JSON object', async () => {
    const json = async (...args: string[]) => {
      const { code, out, err } = await told(...args, '--json');
      return [code, JSON.parse(out), err];
    };
    expect(await json('keys', 'new')).toEqual([0, { key: expect.any(String) }, '']);
    expect(await json('keys', 'status')).toEqual([
      1,
      { error: expect.stringContaining('ENCRYPTION_KEY_FILE') },
      '',
    ]);
    expect(await json('keys')).toEqual([2, { error: 'What is to be done?' }, '']);
    await (await LevelStore.open({ folder: data })).close();
    expect(await json('user', 'erase', 'nobody')).toEqual([0, { user: 'nobody', erased: false }, '']);
    const out = join(folder, 'nobody.json');
    expect(await json('user', 'export', 'nobody', '--out', out)).toEqual([
      0,
      { user: 'nobody', file: out, found: false },
      '',
    ]);
    expect(await json('repair', data)).toMatchObject([0, { documents: 1, whole: 1, damaged: [] }, '']);
  });

  // The version is set by hand: an older Node is not to be had beside this one.
  test.each([
    ['18.19.1', 2],
    ['20.14.9', 2],
    ['20.15.0', 0],
    ['24.0.0', 0],
  ])('[O1] Node %s: exit code %d, with one sentence where it is too old', (version, code) => {
    const script = `Object.defineProperty(process.versions, 'node', { value: '${version}' });
      process.argv = ['node', 'telemed-sync', '--help'];
      require('./packages/server/dist/server/cli/main.cjs');`;
    const { status, stderr } = spawnSync(process.execPath, ['--eval', script], { encoding: 'utf8' });
    const sentence = `telemed-sync needs Node 20.15 or newer, and this is Node ${version}: install a newer one.\n`;
    expect([status, stderr]).toEqual([code, code === 0 ? '' : sentence]);
  });

  test('[O4] as npm starts it, it stops when the shell that npm ran it in is gone', async () => {
    const { PATH = '' } = process.env;
    const env = { PATH, DATA_DIR: data, HOST: '127.0.0.1', PORT: '0', npm_lifecycle_event: 'start' };
    const script = `"${process.execPath}" packages/server/dist/server/cli/main.cjs start; exit $?`;
    const shell = spawn('sh', ['-c', script], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const lines: string[] = [];
    const printed = new Watched();
    createInterface({ input: shell.stdout }).on('line', (line) => {
      lines.push(line);
      printed.changed();
    });
    const says = (what: string) =>
      printed.until(
        () => lines.some((line) => line.includes(what)),
        () => what,
        PATIENCE,
      );
    await says('Listening');
    shell.kill('SIGTERM'); // npm passes a signal to the shell, and the shell to nobody
    await says('Stopped after');
  });
});
