/** Environment → configuration → app; signals; exit. Nothing else reads the environment. */

import { setFlagsFromString } from 'node:v8';
import { type App, createApp, openEntrance } from './app.js';
import { type Config, ConfigError, misspeltOptions, readConfig } from './config.js';
import { SyncError } from './errors.js';
import { createLog, type Log } from './log.js';

// V8 takes what waits for the disk for long-lived, and then all of its kind: garbage that only a full collection finds.
setFlagsFromString('--no-allocation-site-pretenuring');

// What this process makes is for nobody else.
process.umask(0o077);

const startLog = createLog({ format: 'human', stream: process.stderr });

function refuseToStart(reasons: readonly string[]): void {
  for (const reason of reasons) startLog('startRefused', { reason });
  process.exitCode = 1;
}

function configure(): Config | null {
  try {
    return readConfig(process.env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    refuseToStart(error.problems);
    return null;
  }
}

async function run(config: Config): Promise<void> {
  const log = createLog({ format: config.logFormat, level: config.logLevel });
  for (const misspelt of misspeltOptions(process.env)) log('optionUnknown', misspelt);
  if (config.auth === 'none') log('authNone', {});
  process.on('uncaughtException', (error) => {
    log('unexpected', { where: 'the process, which ends', error });
    process.exit(1);
  });
  let app: App | null = null;
  stopOnSignal(() => app, log);
  const entrance = openEntrance(config, log);
  await entrance.listen();
  app = await createApp(config, log, { entrance });
  await app.listen();
}

/** @param appNow null while the store is being opened, which the next start goes on with */
function stopOnSignal(appNow: () => App | null, log: Log): void {
  let stopping = false;
  const stop = async (signal: string) => {
    if (stopping) return;
    stopping = true;
    const began = performance.now();
    log('shutdownBegun', { signal });
    const app = appNow();
    const durable = app === null || (await app.close());
    log('shutdownFinished', { durable, afterMs: Math.round(performance.now() - began) });
    if (app === null || app.isClosed) process.exit(durable ? 0 : 1);
    else endAtOnce();
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}

/** An exit waits for the threads of the process, and one of them waits for a disk that hangs. */
function endAtOnce(): void {
  // The last lines of the log go out at the end of this turn.
  setImmediate(() => setImmediate(() => process.kill(process.pid, 'SIGKILL')));
}

/** What keeps a server from starting, in a sentence that names the cause and the cure. */
function reasonOf(error: unknown, { port, host, dataDir }: Config): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'EADDRINUSE') return `Port ${port} is taken; stop the other server or set PORT to a free one.`;
  const isOfListening = error instanceof Error && 'syscall' in error && error.syscall === 'listen';
  if (isOfListening && (code === 'EACCES' || code === 'EADDRNOTAVAIL'))
    return `Can't listen on ${host}:${port} (${code}); set HOST or PORT.`;
  if (error instanceof SyncError || error instanceof ConfigError) return error.message;
  if (error instanceof Error) return `${error.message} (DATA_DIR is ${dataDir})`;
  return 'Unknown error.';
}

const config = configure();
if (config !== null) {
  run(config).catch((error: unknown) => {
    refuseToStart([reasonOf(error, config)]);
    process.exit();
  });
}
