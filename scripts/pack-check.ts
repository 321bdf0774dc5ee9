/**
 * The package as apps get it: packed, installed into empty projects outside the checkout, and used there by
 * TypeScript, Node, Vite, and a bundler for phones. Everything it makes is removed at the end.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { build as buildPage } from 'vite';
import { buildIfOld } from '../test/support/build.js';
import { bundleForPhones, startApp } from '../test/support/phone-bundle.js';

const CHECKOUT = resolve('.');
const FIXTURES = join(CHECKOUT, 'test/package');
const BIN = join(CHECKOUT, 'node_modules/.bin');
const SERVER_PACKAGES = ['classic-level', 'express', 'helmet', 'pino', 'ws', 'zod'];
/** Tools that the projects take from the checkout: nothing of them is part of the package. */
const TOOLS = ['@types/node', '@types/react', '@types/react-dom', 'react', 'react-dom', 'undici-types'];
const PHONE_FILES = ['appointment.ts', 'web.ts', 'phone.ts'];
const LONGEST = 120_000; // ms, for one command

/** Runs a program of the checkout, or of the system; what it said is the error if it fails. */
async function run(folder: string, program: string, ...args: string[]): Promise<string> {
  const path = `${BIN}:${process.env.PATH ?? ''}`;
  const options = { cwd: folder, timeout: LONGEST, env: { ...process.env, PATH: path } };
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

async function pack(work: string): Promise<string> {
  const told = await run(CHECKOUT, 'npm', 'pack', '--json', '--ignore-scripts', '--pack-destination', work);
  const [file] = (await readdir(work)).filter((name) => name.endsWith('.tgz'));
  expect(file !== undefined, `npm pack made nothing: ${told}`);
  return join(work, file ?? '');
}

/** An empty project with the package in it. */
async function project(folder: string, tarball: string, ...options: string[]): Promise<string> {
  await mkdir(folder);
  await writeFile(join(folder, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
  const quiet = ['--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'];
  await run(folder, 'npm', 'install', ...quiet, ...options, tarball);
  for (const name of TOOLS) {
    await mkdir(dirname(join(folder, 'node_modules', name)), { recursive: true });
    await rm(join(folder, 'node_modules', name), { recursive: true, force: true });
    await symlink(join(CHECKOUT, 'node_modules', name), join(folder, 'node_modules', name));
  }
  return folder;
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

async function runOnNode(folder: string): Promise<void> {
  await run(folder, 'tsx', 'node.ts');
  const required = "require('telemed-sync/metro').withTelemedSync({}).resolver.resolveRequest";
  await run(
    folder,
    'node',
    '--input-type=commonjs',
    '--eval',
    `if (typeof ${required} !== 'function') process.exit(1)`,
  );
}

/** Entries that are modules alone: servers, and phones, whose bundler reads modules. */
const MODULES_ONLY = ['react-native', 'server'];

async function checkResolutions(tarball: string): Promise<void> {
  const attw = (...args: string[]) => run(CHECKOUT, 'attw', tarball, '--profile', ...args);
  await attw('strict', '--exclude-entrypoints', ...MODULES_ONLY);
  await attw('strict', '--entrypoints', ...MODULES_ONLY, '--ignore-rules', 'cjs-resolves-to-esm');
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
async function commonJs(folder: string, tarball: string): Promise<string> {
  await project(folder, tarball, ...OLD_TOOLS);
  await writeFile(join(folder, 'package.json'), JSON.stringify({ private: true }));
  const fixtures = join(FIXTURES, 'commonjs');
  for (const file of await readdir(fixtures)) await cp(join(fixtures, file), join(folder, file));
  await use(folder, ['appointment.ts', 'web.ts', 'page.tsx']);
  return folder;
}

async function useRequire(folder: string): Promise<void> {
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

function expectNoServer(files: readonly string[]): void {
  const packages = packagesOf(files);
  const found = SERVER_PACKAGES.filter((name) => packages.has(name));
  const ours = files.filter(
    (file) => file.includes('telemed-sync/dist/server/') || file.includes('browser-external'),
  );
  expect(
    found.length + ours.length === 0,
    `The bundle has parts of the server: ${[...found, ...ours].join(', ')}`,
  );
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
  expectNoServer(rendered);
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
  expectNoServer(inputs);
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
async function useCommand(folder: string): Promise<void> {
  const help = await run(folder, 'npx', 'telemed-sync', '--help');
  expect(help.includes('Usage: telemed-sync'), `The command says: ${help}`);
  const key = JSON.parse(await run(folder, 'npx', 'telemed-sync', 'keys', 'new', '--json'));
  expect(typeof key.key === 'string', 'The command made no key.');
  const env = { ...process.env, NODE_ENV: 'development', PORT: '0', HOST: '127.0.0.1' };
  const server = spawn(join(folder, 'node_modules/.bin/telemed-sync'), { cwd: folder, env });
  const ended = once(server, 'exit');
  try {
    const address = await new Promise<string>((resolve, reject) => {
      let said = '';
      const hear = (chunk: Buffer) => {
        said += chunk;
        const [, found] = /Listening on (\S+?),/.exec(said) ?? [];
        if (found !== undefined) resolve(found);
      };
      server.stdout.on('data', hear);
      server.stderr.on('data', hear);
      server.once('exit', () => reject(new Error(`The server ended: ${said}`)));
    });
    const { status } = await fetch(`${address}/health`);
    expect(status === 200, `/health answers ${status}`);
  } finally {
    server.kill('SIGTERM');
  }
  expect((await ended)[0] === 0, 'The server did not end in order.');
}

async function phoneOnly(folder: string, tarball: string): Promise<void> {
  await project(folder, tarball, '--omit=optional');
  const installed = await readdir(join(folder, 'node_modules'));
  const found = SERVER_PACKAGES.filter((name) => installed.includes(name));
  expect(found.length === 0, `--omit=optional installed ${found.join(', ')}`);
  await use(folder, PHONE_FILES);
  await checkTypes(folder);
}

const work = await mkdtemp(join(tmpdir(), 'package-'));
try {
  buildIfOld();
  const tarball = await step('npm pack', () => pack(work));
  await step('publint', () => run(CHECKOUT, 'publint', 'run', tarball, '--strict'));
  await step('types for every resolution', () => checkResolutions(tarball));
  const app = await step('an install', () => project(join(work, 'app'), tarball));
  await use(app, await filesOf(FIXTURES));
  await step('types of every entry, collections declared once', () => checkTypes(app));
  await step("'telemed-sync/node' and 'telemed-sync/server' together", () => runOnNode(app));
  await step('a page by Vite without the server', () => buildWithVite(app));
  await step('a bundle for phones without the server', () => bundleForPhone(app));
  const old = await step('an install without modules', () => commonJs(join(work, 'old'), tarball));
  await step('require, and types for it', () => useRequire(old));
  await step('Jest: on Node, in jsdom, as on a phone', () => runJest(old));
  await step('the command, and the server that it starts', () => useCommand(app));
  await step('an install for phones without the server', () => phoneOnly(join(work, 'phone'), tarball));
} finally {
  await rm(work, { recursive: true, force: true });
}
