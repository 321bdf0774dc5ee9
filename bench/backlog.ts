/** What goes up for a backlog of changes, over a line that is slow and breaks again and again. */
import { SyncManager } from '../client/sync-manager.js';
import { testPlatform } from '../test/support/devices/test-client.js';
import { bearer, JWT, tokenFor } from '../test/support/tokens.js';
import { BadLine, type LineOptions } from './support/bad-line.js';
import { print, table } from './support/print.js';
import { durableServer } from './support/programs.js';
import type { Scope } from './support/scope.js';
import { buildServer, ServerProcess } from './support/server-process.js';
import type { Benchmark } from './support/types.js';

const CHANGES = 10_000;
/** Bytes of text in each. */
const TEXT = 950;
const PROMISED = 1.3;
/** The line that is compared with brings more in a second than a device may send over HTTP; a slow one never does. */
const LIMITS = { MESSAGE_BURST: '100000' };
const FAST: LineOptions = { rate: 1e9, breaksEvery: 1e9 };
const LONG: LineOptions = { rate: 50_000, breaksEvery: 20_000 };
/** Ten times as fast: as much is under way when it breaks. */
const SHORT: LineOptions = { rate: 500_000, breaksEvery: 2_000 };

interface Arm {
  readonly name: string;
  readonly sockets: boolean;
  /** How long a token lives, in seconds. */
  readonly tokens: number;
}

export const backlog: Benchmark = {
  name: 'backlog',
  line: `${CHANGES} changes, 10 MB, go up at 50 KB/s over a line that breaks every 20 s`,
  options: {
    short: 'ten times as fast, and three tenths of the changes',
    check: `exit code 1 where more than ${PROMISED} times the bytes go up, or a token is asked for`,
  },
  longest: (options) => (options.has('short') ? 90_000 : 600_000),
  run: async (options, scope) => {
    buildServer();
    const isShort = options.has('short');
    const changes = isShort ? 0.3 * CHANGES : CHANGES;
    const line = isShort ? SHORT : LONG;
    const program = durableServer(await scope.folder())(null);
    const server = await ServerProcess.start(
      { ...program, env: { ...program.env, ...JWT, ...LIMITS } },
      scope,
    );
    const arms: Arm[] = [
      { name: 'WebSocket', sockets: true, tokens: 3_600 },
      {
        name: `WebSocket, tokens of ${line.breaksEvery / 1_000} s`,
        sockets: true,
        tokens: line.breaksEvery / 1_000,
      },
      { name: 'HTTP alone', sockets: false, tokens: 3_600 },
    ];
    const results = await Promise.all(arms.map((arm) => compare(arm, { server, changes, line, scope })));
    print(table([HEADER, ...results.map(rowOf)]));
    return options.has('check') && !results.every(isKept) ? 1 : 0;
  },
};

interface World {
  readonly server: ServerProcess;
  readonly changes: number;
  readonly line: LineOptions;
  readonly scope: Scope;
}

interface Upload {
  readonly bytes: number;
  readonly seconds: number;
  readonly breaks: number;
  /** Breaks before which nothing had been confirmed since the last. */
  readonly idle: number;
  /** Times that the app was told to get another token. */
  readonly needsToken: number;
  readonly records: number;
}

interface Result {
  readonly arm: Arm;
  readonly changes: number;
  readonly needed: number;
  readonly upload: Upload;
}

async function compare(arm: Arm, world: World): Promise<Result> {
  const fast = await upload(arm, { ...world, line: FAST });
  return { arm, changes: world.changes, needed: fast.bytes, upload: await upload(arm, world) };
}

async function upload(arm: Arm, { server, changes, line, scope }: World): Promise<Upload> {
  const bad = await BadLine.open(server.port, line, scope);
  const userId = `user-${bad.url.split(':').at(-1)}`;
  const client = new SyncManager(testPlatform(arm.sockets ? {} : { WebSocket: undefined }));
  scope.atEnd(() => client.close());
  await client.initialize({
    serverUrl: bad.url,
    userId,
    getToken: renewing(userId, arm.tokens),
    autoConnect: false,
  });
  for (let n = 0; n < changes; n++) await client.addData('notes', { id: `n${n}`, text: textOf(n) });
  const told = { breaks: 0, idle: 0, needsToken: 0, pending: changes };
  client.status.subscribe(({ connection }) => {
    if (connection === 'needs-token') told.needsToken++;
  });
  const began = performance.now();
  const before = bad.uploaded;
  bad.breakFromHere(() => {
    const { pendingChanges } = client.status.current;
    told.breaks++;
    if (pendingChanges >= told.pending) told.idle++;
    told.pending = pendingChanges;
  });
  await client.connect();
  await client.whenSynced();
  const seconds = (performance.now() - began) / 1_000;
  await client.close();
  return { ...told, bytes: bad.uploaded - before, seconds, records: await recordsOf(server, userId) };
}

/** As issuers' libraries do: the same token while it lives, then another one. */
function renewing(userId: string, lives: number): () => Promise<string> {
  let token = '';
  let until = 0;
  return async () => {
    if (Date.now() < until) return token;
    until = (Math.floor(Date.now() / 1_000) + lives) * 1_000;
    token = await tokenFor(userId, { expiresIn: lives });
    return token;
  };
}

/** Text that does not shrink: no two are alike. */
function textOf(n: number): string {
  let text = '';
  for (let i = 0; text.length < TEXT; i++) text += Math.imul(n + 1, 2_654_435_761 + i * 40_503).toString(36);
  return text.slice(0, TEXT);
}

async function recordsOf({ port }: ServerProcess, userId: string): Promise<number> {
  const headers = bearer(await tokenFor(userId));
  const answer = await fetch(`http://127.0.0.1:${port}/api/sync/${userId}`, { headers });
  const { notes = [] } = (await answer.json()) as { notes?: unknown[] };
  return notes.length;
}

const ratioOf = ({ needed, upload }: Result): number => upload.bytes / needed;

const isKept = (result: Result): boolean =>
  ratioOf(result) <= PROMISED && result.upload.needsToken === 0 && result.upload.records === result.changes;

const HEADER = [
  '',
  'needed',
  'uploaded',
  'times',
  'seconds',
  'breaks',
  'of them idle',
  'needs-token',
  'records',
];

function rowOf(result: Result): string[] {
  const { arm, needed, upload } = result;
  return [
    arm.name,
    `${(needed / 1e6).toFixed(2)} MB`,
    `${(upload.bytes / 1e6).toFixed(2)} MB`,
    ratioOf(result).toFixed(2),
    upload.seconds.toFixed(0),
    ...[upload.breaks, upload.idle, upload.needsToken, upload.records].map(String),
  ];
}
