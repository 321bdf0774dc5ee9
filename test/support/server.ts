import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type App, createApp } from '../../server/app.js';
import type { TimeSource } from '../../server/clock.js';
import { readConfig } from '../../server/config.js';
import { type Log, silentLog } from '../../server/log.js';
import type { Store } from '../../server/store/store.js';
import { noteServer } from './handled.js';

export interface TestServer {
  readonly app: App;
  readonly port: number;
  /** `http://127.0.0.1:PORT`; the devices take it too. */
  readonly url: string;
  /** Where it keeps its data. */
  readonly folder: string;
  /** Stops it and removes its folder; resolves with whether everything was saved. */
  close(): Promise<boolean>;
}

export interface ServerParts {
  readonly store?: Store;
  readonly log?: Log;
  /** What the server reads its clock from. */
  readonly time?: TimeSource;
}

/** The server inside this process, on a free port, with a folder of its own unless `DATA_DIR` names one. */
export async function startServer(
  options: Readonly<Record<string, string>> = {},
  { store, log = silentLog, time }: ServerParts = {},
): Promise<TestServer> {
  const folder = await mkdtemp(join(tmpdir(), 'server-'));
  const config = readConfig({ HOST: '127.0.0.1', PORT: '0', DATA_DIR: folder, ...options });
  const app = await createApp(config, log, { store, time });
  const port = await app.listen();
  const url = `http://127.0.0.1:${port}`;
  const forget = noteServer(url, () => app.idle());
  return {
    app,
    port,
    folder: config.dataDir,
    url,
    async close() {
      forget();
      const saved = await app.close();
      await rm(folder, { recursive: true, force: true });
      await rm(`${folder}-access`, { recursive: true, force: true });
      return saved;
    },
  };
}
