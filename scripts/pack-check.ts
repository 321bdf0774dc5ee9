/**
 * Both packages as others get them: packed, installed into empty projects outside the checkout, and used there by
 * TypeScript, Node, Vite, a bundler for phones, and an administrator. Everything it makes is removed at the end.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { build as buildPage } from 'vite';
import { buildIfOld } from '../test/support/build.js';
import { bundleForPhones, startApp } from '../test/support/phone-bundle.js';
import { JWT } from '../test/support/tokens.js';
import { readUnit, startLine } from '../test/support/unit-file.js';
import { runUnderPm2 } from './pm2-check.js';

const CHECKOUT = resolve('.');
const FIXTURES = join(CHECKOUT, 'test/package');
const BIN = join(CHECKOUT, 'node_modules/.bin');
/** All that npm installs for an app with the client. */
const FOR_AN_APP = ['@standard-schema/spec', 'isomorphic.js', 'lib0', 'telemed-sync', 'yjs'];
/** Tools that the projects take from the checkout: nothing of them is part of the package. */
const TOOLS = ['@types/node', '@types/react', '@types/react-dom', 'react', 'react-dom', 'undici-types'];
const FOR_NODE = ['node.ts'];
const SERVER = 'node_modules/telemed-sync-server';
/** A test with the testing kit, for Jest. */
const GUIDE_TEST = 'docs/examples/guides/testing/offline.jest.cjs';
const LONGEST = 120_000; // ms, for one command

/** Runs a program of the checkout, or of the system; what it said is the error if it fails. */
const run = (folder: string, program: string, ...args: string[]): Promise<string> =>
  runWith(folder, program, args);

async function runWith(
  folder: string,
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const path = `${BIN}:${process.env.PATH ?? ''}`;
  const options = { cwd: folder, timeout: LONGEST, env: { ...process.env, PATH: path, ...env } };
  try {
    return (await promisify(execFile)(program, args, options)).stdout;
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    throw new Error(`${program} ${args.join(' ')}\n${stdout}${stderr}`, { cause: error });
  }
}

async function step<T>(what: string, task: () => Promise<T>): Promise<T> {
  const start = performance.now();
  const result = await task();
  const seconds = ((performance.now() - start) / 1_000).toFixed(1);
  process.stdout.write(`ok ${what} (${seconds} s)\n`);
  return result;
}

function expect(holds: boolean, what: string): void {
  if (!holds) throw new Error(what);
}

/** What `npm publish` would send, without building once more. */
async function pack(work: string, workspace: string): Promise<string> {
  const folder = join(work, `packed-${workspace}`);
  await mkdir(folder);
  await run(CHECKOUT, 'node', 'scripts/pack-files.mjs');
  const options = ['--ignore-scripts', '--pack-destination', folder, '-w', `packages/${workspace}`];
  await run(CHECKOUT, 'npm', 'pack', ...options);
  const [file = 'nothing'] = await readdir(folder);
  return join(folder, file);
}

/** An empty project with these packages in it. */
async function project(folder: string, ...packages: string[]): Promise<string> {
  await mkdir(folder);
  await writeFile(join(folder, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
  const quiet = ['--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'];
  await run(folder, 'npm', 'install', ...quiet, ...packages);
  for (const name of TOOLS) {
    await mkdir(dirname(join(folder, 'node_modules', name)), { recursive: true });
    await rm(join(folder, 'node_modules', name), { recursive: true, force: true });
    await symlink(join(CHECKOUT, 'node_modules', name), join(folder, 'node_modules', name));
  }
  return folder;
}

/** What npm says that it installed: the path of each package. */
async function installed(folder: string): Promise<string[]> {
  const { packages } = JSON.parse(await readFile(join(folder, 'node_modules/.package-lock.json'), 'utf8'));
  return Object.keys(packages).map((path) => path.replace(/^node_modules\//, ''));
}

async function filesOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name);
}

async function use(folder: string, files: readonly string[]): Promise<void> {
  for (const file of files) await cp(join(FIXTURES, file), join(folder, file));
}

const RESOLUTIONS = [
  { module: 'node16', moduleResolution: 'node16' },
  { module: 'esnext', moduleResolution: 'bundler' },
  { module: 'esnext', moduleResolution: 'bundler', customConditions: ['react-native'] },
];

/** With the types of all packages checked too, as an app does without `skipLibCheck`. */
async function checkTypes(folder: string): Promise<void> {
  for (const resolution of RESOLUTIONS) {
    const compilerOptions = {
      ...resolution,
      target: 'es2022',
      lib: ['es2023', 'dom', 'dom.iterable'],
      types: ['node'],
      jsx: 'react-jsx',
      strict: true,
      exactOptionalPropertyTypes: true,
      noEmit: true,
    };
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions }));
    await run(folder, 'tsc', '-p', '.');
  }
}

/** A client that lacks what `telemed-sync/node` needs says so, and how to get it. */
async function missNodePackages(folder: string): Promise<void> {
  for (const load of ["import('telemed-sync/node')", "require('telemed-sync/node')"]) {
    const said = await run(folder, 'node', '--input-type=commonjs', '--eval', load).catch(String);
    const cure = "needs the package 'ws', which is not installed: npm install ws classic-level";
    expect(said.includes(cure), `${load} says: ${said}`);
  }
  const load = "require('telemed-sync/testing').createTestWard()";
  const said = await run(folder, 'node', '--input-type=commonjs', '--eval', load).catch(String);
  const cure = 'not installed: npm install --save-dev telemed-sync-server';
  expect(said.includes(cure), `${load} says: ${said}`);
}

const expectOneYjs = async (folder: string): Promise<void> => {
  const copies = (await installed(folder)).filter((path) => /(^|\/)(yjs|lib0)$/.test(path));
  expect(copies.sort().join() === 'lib0,yjs', `More than one copy of Yjs: ${copies.join(', ')}`);
};

async function runOnNode(folder: string): Promise<void> {
  await expectOneYjs(folder);
  const { stderr } = await promisify(execFile)(join(BIN, 'tsx'), ['node.ts'], {
    cwd: folder,
    timeout: LONGEST,
  });
  expect(!stderr.includes('Yjs was already imported'), 'Client and server load Yjs twice.');
  const required = "require('telemed-sync/metro').withTelemedSync({}).resolver.resolveRequest";
  await run(
    folder,
    'node',
    '--input-type=commonjs',
    '--eval',
    `if (typeof ${required} !== 'function') process.exit(1)`,
  );
}

/** The server, and the entry for phones, whose bundler reads modules, are modules alone. */
async function checkResolutions(client: string, server: string): Promise<void> {
  const attw = (tarball: string, ...args: string[]) =>
    run(CHECKOUT, 'attw', tarball, '--profile', 'strict', ...args);
  const modulesOnly = ['--ignore-rules', 'cjs-resolves-to-esm'];
  await attw(client, '--exclude-entrypoints', 'react-native');
  await attw(client, '--entrypoints', 'react-native', ...modulesOnly);
  // A file for a thread: nobody imports it.
  await attw(server, ...modulesOnly, '--exclude-entrypoints', 'testing-host');
}

const OLD_TOOLS = [
  'jest@29',
  'babel-jest@29',
  'jest-environment-jsdom@29',
  '@babel/core@7',
  '@babel/preset-env@7',
  'typescript@5',
];

/** A project without `"type": "module"`, with Jest, and the last TypeScript that knows `moduleResolution: node`. */
async function commonJs(folder: string, client: string, server: string): Promise<string> {
  await project(folder, client, server, 'ws', 'classic-level', ...OLD_TOOLS);
  await writeFile(join(folder, 'package.json'), JSON.stringify({ private: true }));
  const fixtures = join(FIXTURES, 'commonjs');
  for (const file of await readdir(fixtures)) await cp(join(fixtures, file), join(folder, file));
  await cp(join(CHECKOUT, GUIDE_TEST), join(folder, 'ward.test.js'));
  await use(folder, ['appointment.ts', 'web.ts', 'page.tsx']);
  return folder;
}

async function runRequire(folder: string): Promise<void> {
  const node = (...args: string[]) => promisify(execFile)('node', args, { cwd: folder, timeout: LONGEST });
  const quiet = await node('--no-experimental-require-module', 'require.js');
  expect(!quiet.stderr.includes('Yjs was already imported'), 'require loads Yjs twice.');
  const both = await node('both.mjs');
  expect(both.stderr.includes('Yjs was already imported'), 'Two copies of Yjs, and nobody says so.');
  await checkTypes(folder);
  const types = ['--noEmit', '--jsx', 'react-jsx', '--strict', '--target', 'es2022', '--skipLibCheck'];
  const resolution = ['--module', 'commonjs', '--moduleResolution', 'node'];
  await run(folder, 'node', 'node_modules/typescript/bin/tsc', ...types, ...resolution, 'web.ts', 'page.tsx');
}

/** Vite has set `NODE_ENV` to production by now, where React has no `act`. */
const runJest = (folder: string): Promise<string> =>
  run(folder, 'env', 'NODE_ENV=test', 'npx', 'jest', '--ci');

/** The packages that a list of files is of. */
const packagesOf = (files: readonly string[]): Set<string> =>
  new Set(
    files.flatMap((file) =>
      [...file.matchAll(/node_modules\/((?:@[^/]+\/)?[^/]+)/g)].map(([, name = '']) => name),
    ),
  );

function expectNoNode(files: readonly string[]): void {
  const packages = packagesOf(files);
  const ours = files.filter((file) => file.includes('node-packages') || file.includes('browser-external'));
  expect(ours.length === 0, `The bundle has parts for Node: ${ours.join(', ')}`);
  expect(packages.has('yjs') && packages.has('telemed-sync'), 'The bundle lacks the client.');
}

async function buildWithVite(folder: string): Promise<void> {
  const result = await buildPage({
    root: folder,
    logLevel: 'error',
    configFile: false,
    build: { write: false },
  });
  const outputs = [result].flat().flatMap((each) => ('output' in each ? each.output : []));
  const modules = outputs.flatMap((each) => (each.type === 'chunk' ? Object.entries(each.modules) : []));
  const rendered = modules.filter(([, { renderedLength }]) => renderedLength > 0).map(([id]) => id);
  expectNoNode(rendered);
  const entry = 'telemed-sync/dist/client/index.js';
  expect(
    rendered.some((id) => id.endsWith(entry)),
    'The page lacks the default client.',
  );
}

type Resolve = (context: object, name: string, platform: string) => { filePath: string };
interface MetroHelper {
  withTelemedSync(config: object): { resolver: { resolveRequest: Resolve } };
}

async function bundleForPhone(folder: string): Promise<void> {
  const { withTelemedSync } = createRequire(join(folder, 'x.js'))('telemed-sync/metro') as MetroHelper;
  const { resolveRequest } = withTelemedSync({}).resolver;
  const { filePath } = resolveRequest({}, 'isomorphic-webcrypto/src/react-native', 'ios');
  const entries = ['telemed-sync', 'telemed-sync/react'].map((entry) => `export * from '${entry}';`);
  await writeFile(join(folder, 'phone-entry.js'), entries.join('\n'));
  const bundle = await bundleForPhones(join(folder, 'phone-entry.js'), filePath);
  const inputs = Object.keys(bundle.meta.inputs);
  expectNoNode(inputs);
  expect(!packagesOf(inputs).has('idb'), 'The hooks brought the client of browsers to a phone.');
  const { app } = startApp<typeof import('../client/index.js')>(bundle, {
    items: new Map(),
    decoder: 'none',
  });
  await app.syncManager.initialize({ serverUrl: 'http://127.0.0.1:1', userId: 'demo', autoConnect: false });
  const id = await app.syncManager.addData('appointments', { status: 'booked' });
  expect((await app.syncManager.getLocalData('appointments', id)) !== null, 'The phone lost a record.');
}

/** As an administrator has it: the command, and a server that it starts. */
async function runCommand(folder: string): Promise<void> {
  const help = await run(folder, 'npx', 'telemed-sync', '--help');
  expect(help.includes('Usage: telemed-sync'), `The command says: ${help}`);
  const key = JSON.parse(await run(folder, 'npx', 'telemed-sync', 'keys', 'new', '--json'));
  expect(typeof key.key === 'string', 'The command made no key.');
  const env = { NODE_ENV: 'development', PORT: '0', HOST: '127.0.0.1' };
  await serve([join(folder, 'node_modules/.bin/telemed-sync')], folder, env, async (address) => {
    const page = await (await fetch(`${address}/`)).text();
    const [, script = 'nothing'] = /<script[^>]* src="([^"]+)"/.exec(page) ?? [];
    const answer = await fetch(new URL(script, `${address}/`));
    expect(answer.ok, `The demo has no script: ${script} of ${page}`);
  });
}

/** By the line of the unit, which comes with the package. */
async function runUnit(folder: string): Promise<void> {
  const unit = readUnit(await readFile(join(folder, `${SERVER}/deploy/telemed-sync.service`), 'utf8'));
  const places = {
    '/usr/bin/node': process.execPath,
    '/opt/telemed-sync': folder,
    '/var/lib/telemed-sync': join(folder, 'state'),
  };
  const { words, env } = startLine(unit, places);
  await serve(words, folder, { ...env, ...JWT, PORT: '0', HOST: '127.0.0.1' }, async (address) => {
    const { status } = await fetch(`${address}/api/sync/anna`);
    expect(status === 401, `Without a token it answers ${status}`);
  });
}

/** Starts a server, waits until it says where it listens, and stops it in order. */
async function serve(
  words: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>>,
  visit: (address: string) => Promise<void>,
): Promise<void> {
  const [program = '', ...args] = words;
  const server = spawn(program, args, { cwd, env: { ...process.env, ...env } });
  const ended = once(server, 'exit');
  try {
    const address = await new Promise<string>((resolve, reject) => {
      let said = '';
      const hear = (chunk: Buffer) => {
        said += chunk;
        const [, found] = /(?:Listening on |"url":")(http[^\s",]+)/.exec(said) ?? [];
        if (found !== undefined) resolve(found);
      };
      server.stdout.on('data', hear);
      server.stderr.on('data', hear);
      server.once('exit', () => reject(new Error(`The server ended: ${said}`)));
    });
    const { status } = await fetch(`${address}/health`);
    expect(status === 200, `/health answers ${status}`);
    await visit(address);
  } finally {
    server.kill('SIGTERM');
  }
  expect((await ended)[0] === 0, 'The server did not end in order.');
}

/** As after an install without scripts on a machine that no built file of LevelDB fits. */
async function lackLevelDb(folder: string): Promise<void> {
  await rm(join(folder, 'node_modules/classic-level/prebuilds'), { recursive: true });
  const said = await run(folder, 'npx', 'telemed-sync').then(() => 'It started.', String);
  for (const part of ['a package that it needs is missing', 'npm install', 'No native build was found'])
    expect(said.includes(part), `The command says: ${said}`);
}

/** An app with the client alone: what it gets, and what it makes of that. */
async function tryClient(folder: string, client: string): Promise<void> {
  await step('an app gets the client, Yjs, and what they need', async () => {
    await project(folder, client);
    const found = (await installed(folder)).sort();
    expect(found.join() === FOR_AN_APP.join(), `An app gets ${found.join(', ')}`);
  });
  await step('entries name what they lack', () => missNodePackages(folder));
  await use(
    folder,
    (await filesOf(FIXTURES)).filter((name) => !FOR_NODE.includes(name)),
  );
  await step('types of every entry, collections declared once', () => checkTypes(folder));
  await step('a page by Vite', () => buildWithVite(folder));
  await step('a bundle for phones', () => bundleForPhone(folder));
}

async function tryServer(folder: string, server: string): Promise<void> {
  await step('an install of the server', () => project(folder, server));
  await step('the command, and the server that it starts', () => runCommand(folder));
  await step('the line of its systemd unit', () => runUnit(folder));
  await step('the server under PM2: start, reload, logs, stop', () => runUnderPm2(folder, runWith));
  await step('a server without LevelDB names it, and how to get it', () => lackLevelDb(folder));
}

async function tryBoth(folder: string, client: string, server: string): Promise<void> {
  await step('both in one project', () => project(folder, client, server));
  await use(folder, await filesOf(FIXTURES));
  await step('types of both', () => checkTypes(folder));
  await step('client and server in one process, with one Yjs', () => runOnNode(folder));
}

async function tryWithoutModules(folder: string, client: string, server: string): Promise<void> {
  await step('an install without modules', () => commonJs(folder, client, server));
  await step('require, and types for it', () => runRequire(folder));
  await step('Jest: on Node, in jsdom, as on a phone', () => runJest(folder));
}

const work = await mkdtemp(join(tmpdir(), 'package-'));
try {
  buildIfOld();
  const client = await step('npm pack of the client', () => pack(work, 'client'));
  const server = await step('npm pack of the server', () => pack(work, 'server'));
  for (const tarball of [client, server])
    await step('publint', () => run(CHECKOUT, 'publint', 'run', tarball, '--strict'));
  await step('types for every resolution', () => checkResolutions(client, server));
  await tryClient(join(work, 'app'), client);
  await tryServer(join(work, 'server'), server);
  await tryBoth(join(work, 'both'), client, server);
  await tryWithoutModules(join(work, 'old'), client, server);
} finally {
  await rm(work, { recursive: true, force: true });
}
