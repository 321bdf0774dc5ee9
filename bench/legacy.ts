/** What a whole record from a JSON device costs: CPU beside a relay of JSON messages, and bytes on disk. */
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
  pin,
  profileOptions,
  type Role,
  report,
  USERS,
} from './support/contest.js';
import type { Cores } from './support/cores.js';
import { Crowd } from './support/crowd.js';
import { type Edits, RECORDS } from './support/edits.js';
import { JsonDevice } from './support/json-device.js';
import { EXPECTED_BYTES, judgeDisk, measureDisk } from './support/json-disk.js';
import { wholeRecords } from './support/json-edits.js';
import { durableServer, jsonRelay } from './support/programs.js';
import type { Scope } from './support/scope.js';
import { buildServer, ServerProcess, type ServerProgram } from './support/server-process.js';
import type { Benchmark } from './support/types.js';

const CONTEST: Contest = { name: 'legacy', rate: 1_000, expected: 2.5 };
const { check, profile } = contestOptions(CONTEST);

export const legacy: Benchmark = {
  name: CONTEST.name,
  line: `server CPU per whole record, ${USERS} users × ${DEVICES} JSON devices, beside a relay; bytes on disk`,
  options: {
    short: 'fewer and shorter rounds (at most 40 s)',
    check: `${check}, or above ${EXPECTED_BYTES} bytes per edit`,
    profile,
  },
  longest: (options) => (options.has('short') ? 90_000 : 300_000),
  run: async (options, scope) => {
    buildServer();
    const cores = pin();
    announce(CONTEST, options);
    const contestants = await gather(options, cores, scope);
    await compete(contestants, CONTEST, options);
    report(contestants);
    const exitCode = judge(contestants, CONTEST, options);
    const bytes = await measureDisk(cores?.server ?? null, scope);
    return Math.max(exitCode, judgeDisk(bytes, options));
  },
};

async function gather(
  options: ReadonlySet<string>,
  cores: Cores | null,
  scope: Scope,
): Promise<Contestant[]> {
  const folder = await scope.folder();
  const edits = wholeRecords(RECORDS, editsPerUser(CONTEST, options));
  const core = cores?.server ?? null;
  const ours = durableServer(join(folder, 'ours'), profileOptions(options));
  return [
    await enter('durable', ours(core), edits, scope),
    await enter('relay', jsonRelay(core), edits, scope),
  ];
}

async function enter(
  role: Role,
  program: ServerProgram,
  edits: Edits<string>,
  scope: Scope,
): Promise<Contestant> {
  const server = await ServerProcess.start(program, scope);
  const crowd = await Crowd.gather({
    users: USERS,
    devicesPerUser: DEVICES,
    device: (user, index) => new JsonDevice(server.port, user, `device-${index}`),
    edits,
  });
  scope.atEnd(() => crowd.leave());
  return { name: program.name, role, server, crowd, rounds: [] };
}
