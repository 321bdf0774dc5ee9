/** The servers that are compared. */
import { randomBytes } from 'node:crypto';
import type { ServerProgram } from './server-process.js';

export type Program = (core: number | null) => ServerProgram;

const TYPESCRIPT = ['--import', 'tsx'];

/** The built server as `npm start` starts it, in production, but for the log: only warnings. */
export const durableServer =
  (
    folder: string,
    nodeOptions: readonly string[] = [],
    env: Readonly<Record<string, string>> = {},
  ): Program =>
  (core) => ({
    name: 'durable server',
    args: [...nodeOptions, '--max-semi-space-size=16', 'packages/server/dist/server/main.js'],
    env: { DATA_DIR: folder, AUTH: 'none', LOG_LEVEL: 'warn', SHUTDOWN_TIMEOUT: '9s', ...env },
    core,
  });

/** The same with everything on disk encrypted. */
export const encryptedServer = (folder: string): Program => {
  const key = randomBytes(32).toString('base64');
  return durableServer(folder, [], { ENCRYPTION_KEY: key });
};

const inBench = (name: string, file: string, env: Readonly<Record<string, string>> = {}): Program => {
  const args = [...TYPESCRIPT, `bench/servers/${file}.ts`];
  return (core) => ({ name, args, env, core });
};

export const relay = (): Program => inBench('ws relay', 'relay');
export const jsonRelay = (): Program => inBench('JSON relay', 'json-relay');
/** Accepts, and answers with constants. */
export const bareAccept = (): Program => inBench('bare accept', 'accept');
export const floorServer = (folder: string): Program =>
  inBench('floor server', 'floor', { DATA_DIR: folder });
export const memoryReference = (): Program => inBench('@y/websocket-server in memory', 'reference');
export const referenceServer = (folder: string): Program =>
  inBench('@y/websocket-server + y-leveldb', 'reference', { YPERSISTENCE: folder });
