/** The servers that are compared. */
import { randomBytes } from 'node:crypto';
import { pathToFileURL } from 'node:url';
import type { ServerProgram } from './server-process.js';

type Program = (core: number | null) => ServerProgram;

const TYPESCRIPT = ['--import', 'tsx'];

/** The built server as `npm start` starts it, in production, but for the log: only warnings. */
export const durableServer =
  (folder: string, nodeOptions: readonly string[] = []): Program =>
  (core) => ({
    name: 'durable server',
    args: [
      ...nodeOptions,
      '--max-semi-space-size=32',
      '--import',
      pathToFileURL('bench/servers/batches-hook.mjs').href,
      'packages/server/dist/server/main.js',
    ],
    env: { DATA_DIR: folder, AUTH: 'none', LOG_LEVEL: 'warn' },
    core,
  });

/** The same with everything on disk encrypted. */
export const encryptedServer =
  (folder: string): Program =>
  (core) => {
    const plain = durableServer(folder)(core);
    const key = randomBytes(32).toString('base64');
    return { ...plain, name: 'durable server, encrypted', env: { ...plain.env, ENCRYPTION_KEY: key } };
  };

export const relay: Program = (core) => ({
  name: 'ws relay',
  args: [...TYPESCRIPT, 'bench/servers/relay.ts'],
  env: {},
  core,
});

export const jsonRelay: Program = (core) => ({
  name: 'JSON relay',
  args: [...TYPESCRIPT, 'bench/servers/json-relay.ts'],
  env: {},
  core,
});

export const referenceServer =
  (folder: string): Program =>
  (core) => ({
    name: '@y/websocket-server + y-leveldb',
    args: [...TYPESCRIPT, 'bench/servers/reference.ts'],
    env: { YPERSISTENCE: folder },
    core,
  });
