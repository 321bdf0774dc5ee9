/** What an update costs the server that has to keep it and pass it on, beside a relay that only passes it on. */
import { join } from 'node:path';
import {
  announce,
  type Contest,
  type Contestant,
  compete,
  contestOptions,
  DEVICES,
  editsPerUser,
  judge,
  judgeEncryption,
  pin,
  profileOptions,
  type Role,
  report,
  USERS,
} from './support/contest.js';
import type { Cores } from './support/cores.js';
import { Crowd } from './support/crowd.js';
import { type Edits, prepareEdits } from './support/edits.js';
import { NativeDevice } from './support/native-device.js';
import { durableServer, encryptedServer, referenceServer, relay } from './support/programs.js';
import type { Scope } from './support/scope.js';
import { buildServer, ServerProcess, type ServerProgram } from './support/server-process.js';
import type { Benchmark } from './support/types.js';

const CONTEST: Contest = { name: 'fanout', rate: 2_000, expected: 2.2 };

export const fanout: Benchmark = {
  name: CONTEST.name,
  line: `server CPU per update, ${USERS} users × ${DEVICES} native devices, beside a relay and a reference`,
  options: {
    short: 'fewer and shorter rounds (at most 40 s)',
    encrypt: 'beside it the same server with everything on disk encrypted',
    ...contestOptions(CONTEST),
  },
  longest: (options) => (options.has('short') ? 120_000 : 420_000),
  run: async (options, scope) => {
    buildServer();
    const cores = pin();
    announce(CONTEST, options);
    const contestants = await gather(options, cores, scope);
    await compete(contestants, CONTEST, options);
    report(contestants);
    const encryption = options.has('encrypt') ? judgeEncryption(contestants, options) : 0;
    return Math.max(judge(contestants, CONTEST, options), encryption);
  },
};

async function gather(
  options: ReadonlySet<string>,
  cores: Cores | null,
  scope: Scope,
): Promise<Contestant[]> {
  const folder = await scope.folder();
  const edits = prepareEdits(editsPerUser(CONTEST, options));
  const core = cores?.server ?? null;
  const ours = durableServer(join(folder, 'ours'), profileOptions(options));
  const encrypted = encryptedServer(join(folder, 'encrypted'));
  return [
    await enter('durable', ours(core), edits, scope),
    ...(options.has('encrypt') ? [await enter('encrypted', encrypted(core), edits, scope)] : []),
    await enter('relay', relay(core), edits, scope),
    await enter('reference', referenceServer(join(folder, 'reference'))(core), edits, scope),
  ];
}

async function enter(
  role: Role,
  program: ServerProgram,
  edits: Edits<Uint8Array>,
  scope: Scope,
): Promise<Contestant> {
  const server = await ServerProcess.start(program, scope);
  const crowd = await Crowd.gather({
    users: USERS,
    devicesPerUser: DEVICES,
    device: (user) => new NativeDevice(`ws://127.0.0.1:${server.port}/yjs/${user}`, role !== 'relay'),
    edits,
  });
  scope.atEnd(() => crowd.leave());
  return { name: program.name, role, server, crowd, rounds: [] };
}
