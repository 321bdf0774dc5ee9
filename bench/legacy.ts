/** What a whole record from a JSON device costs: CPU beside a relay of JSON messages, and bytes on disk. */
import { type Contest, compete, DEVICES, type EditArm, USERS } from './support/contest.js';
import { RECORDS } from './support/edits.js';
import { JsonDevice } from './support/json-device.js';
import { judgeDisk, measureDisk } from './support/json-disk.js';
import { wholeRecords } from './support/json-edits.js';
import { commonOptions, conclude } from './support/outcome.js';
import { durableServer, floorServer, jsonRelay, type Program } from './support/programs.js';
import { pin } from './support/race.js';
import { buildServer } from './support/server-process.js';
import type { Benchmark } from './support/types.js';

export const legacy: Benchmark = {
  name: 'legacy',
  line: `server CPU per whole record, ${USERS} users × ${DEVICES} JSON devices, beside a relay and the floor; bytes on disk`,
  options: commonOptions,
  longest: () => 1_200_000,
  run: async (options, scope) => {
    if (!options.has('built')) buildServer();
    const exitCode = conclude(await compete(CONTEST, options, scope), options);
    const bytes = await measureDisk(pin()?.server ?? null, scope);
    return Math.max(exitCode, judgeDisk(bytes, options));
  },
};

const CONTEST: Contest<string> = {
  name: legacy.name,
  line: legacy.line,
  arms: [
    arm('relay', 'JSON relay', jsonRelay, false),
    arm('floor', 'floor server', floorServer),
    arm('ours', 'durable server', durableServer),
  ],
  goals: [{ arm: 'ours', measure: 'warm', of: 'relay', most: 5 }],
  edits: (count) => wholeRecords(RECORDS, count),
};

function arm(id: string, name: string, program: (folder: string) => Program, stores = true): EditArm<string> {
  const device = (port: number, user: string, index: number) => new JsonDevice(port, user, `device-${index}`);
  return { id, name, program, stores, device };
}
