/** What a whole record from a JSON device costs: CPU beside a relay of JSON messages, and bytes on disk. */

import { type Contest, compete, DEVICES, type EditArm, USERS } from './support/contest.js';
import { profilableContest } from './support/contest-profile.js';
import { twoCores } from './support/cores.js';
import { RECORDS } from './support/edits.js';
import { JsonDevice } from './support/json-device.js';
import { judgeDisk, measureDisk } from './support/json-disk.js';
import { wholeRecords } from './support/json-edits.js';
import { durableServer, floorServer, jsonRelay, type Program } from './support/programs.js';
import { type ArmBenchmark, armBenchmark } from './support/start.js';

const LINE = `server CPU per whole record, ${USERS} users × ${DEVICES} JSON devices, beside a relay and the floor`;

const contest = armBenchmark({
  name: 'legacy',
  line: LINE,
  measure: (start) => compete(CONTEST, start),
});

const contestAndDisk: ArmBenchmark = {
  ...contest,
  line: `${LINE}; bytes on disk`,
  run: async (options, scope) => {
    const exitCode = await contest.run(options, scope);
    const bytes = await measureDisk(twoCores()?.server ?? null, scope);
    return Math.max(exitCode, judgeDisk(bytes, options));
  },
};

export const legacy = profilableContest(contestAndDisk, () => CONTEST);

const CONTEST: Contest<string> = {
  arms: [
    arm('relay', 'JSON relay', jsonRelay, false),
    arm('floor', 'floor server', floorServer),
    arm('ours', 'durable server', durableServer),
  ],
  goals: [{ arm: 'ours', measure: 'warm', of: 'relay', most: 5 }],
  edits: (count) => wholeRecords(RECORDS, count),
  // In turn, the pace of JSON devices (L4) would let each user wait for 250 ms between two edits.
  rate: 1_000,
};

function arm(id: string, name: string, program: (folder: string) => Program, stores = true): EditArm<string> {
  const device = (port: number, user: string, index: number) => new JsonDevice(port, user, `device-${index}`);
  return { id, name, program, stores, device };
}
