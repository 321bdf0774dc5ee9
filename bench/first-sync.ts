/** How many fresh devices have every record at the moment that they are told `synced`. */
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { WebSocket } from 'ws';
import { LeveldbPersistence } from 'y-leveldb';
import { WebsocketProvider } from 'y-websocket';
import * as Y from 'yjs';
import { isComplete, RECORDS, recordUpdates } from './support/edits.js';
import { print, table } from './support/print.js';
import { durableServer, referenceServer } from './support/programs.js';
import type { Scope } from './support/scope.js';
import { buildServer, ServerProcess, type ServerProgram } from './support/server-process.js';
import type { Benchmark } from './support/types.js';

const DOCUMENTS = 200;
const SYNC_TIMEOUT = 30_000;

export const firstSync: Benchmark = {
  name: 'first-sync',
  line: `${DOCUMENTS} documents on disk, ${DOCUMENTS} fresh providers at once: how many are complete at "synced"`,
  options: { check: 'exit code 1 unless all of the durable server are' },
  longest: () => 120_000,
  run: async (options, scope) => {
    buildServer();
    process.setMaxListeners(0); // each provider listens for the end of the process
    const folder = await scope.folder();
    const [ours, theirs] = [join(folder, 'ours'), join(folder, 'reference')];
    await writeDocuments(ours);
    await cp(ours, theirs, { recursive: true });
    const complete = await count(durableServer(ours)(null), '/yjs', scope);
    const reference = await count(referenceServer(theirs)(null), '', scope);
    print(
      `${DOCUMENTS} documents of ${RECORDS} records, written by y-leveldb; the same files for both servers\n`,
    );
    print(
      table([
        ['', 'synced', 'complete at "synced"'],
        ['durable server', `${complete.synced}`, `${complete.complete} of ${DOCUMENTS}`],
        ['@y/websocket-server + y-leveldb', `${reference.synced}`, `${reference.complete} of ${DOCUMENTS}`],
      ]),
    );
    return options.has('check') && complete.complete < DOCUMENTS ? 1 : 0;
  },
};

const nameOf = (index: number): string => `user-${index}`;

async function writeDocuments(folder: string): Promise<void> {
  const level = new LeveldbPersistence(folder);
  const updates = recordUpdates(1_000_000_001);
  for (let index = 0; index < DOCUMENTS; index += 1) {
    for (const update of updates) await level.storeUpdate(nameOf(index), update);
  }
  await level.destroy();
}

interface Count {
  readonly synced: number;
  readonly complete: number;
}

async function count(program: ServerProgram, path: string, scope: Scope): Promise<Count> {
  const server = await ServerProcess.start(program, scope);
  const url = `ws://127.0.0.1:${server.port}${path}`;
  const indexes = Array.from({ length: DOCUMENTS }, (_, index) => index);
  const answers = await Promise.all(indexes.map((index) => completeAtSynced(url, nameOf(index))));
  return {
    synced: answers.filter((answer) => answer !== null).length,
    complete: answers.filter((answer) => answer === true).length,
  };
}

/** `null` when it was never told `synced`. */
async function completeAtSynced(url: string, name: string): Promise<boolean | null> {
  const doc = new Y.Doc();
  const provider = new WebsocketProvider(url, name, doc, {
    WebSocketPolyfill: WebSocket as unknown as typeof globalThis.WebSocket,
    disableBc: true,
  });
  let timer: NodeJS.Timeout | undefined;
  const answer = await new Promise<boolean | null>((resolve) => {
    timer = setTimeout(() => resolve(null), SYNC_TIMEOUT);
    provider.on('sync', (synced: boolean) => synced && resolve(isComplete(doc)));
  });
  clearTimeout(timer);
  provider.destroy();
  doc.destroy();
  return answer;
}
