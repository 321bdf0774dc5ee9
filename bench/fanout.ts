/** What an update costs the server that has to keep it and pass it on, beside one that only passes it on. */
import { type Contest, compete, DEVICES, type EditArm, USERS } from './support/contest.js';
import { profilableContest } from './support/contest-profile.js';
import { prepareEdits } from './support/edits.js';
import { hasHocuspocus, hocuspocus, hocuspocusDevice, NAME, peersOption } from './support/hocuspocus.js';
import { NativeDevice } from './support/native-device.js';
import {
  durableServer,
  encryptedServer,
  floorServer,
  memoryReference,
  type Program,
  referenceServer,
  relay,
} from './support/programs.js';
import { armBenchmark } from './support/start.js';

const contestOf = (options: ReadonlySet<string>): Contest<Uint8Array> => ({
  arms: [
    { ...arm('relay', 'plain relay', relay, false), device: native(false) },
    arm('floor', 'floor server', floorServer),
    arm('ours', 'durable server', durableServer),
    ...(options.has('encrypt') ? [arm('encrypted', 'durable server, encrypted', encryptedServer)] : []),
    arm('memory', '@y/websocket-server 0.1.1, in memory', memoryReference, false),
    arm('leveldb', '@y/websocket-server 0.1.1 + y-leveldb', referenceServer),
    ...(hasHocuspocus(options) ? [hocuspocusContender()] : []),
  ],
  goals: [
    { arm: 'ours', measure: 'warm', of: 'relay', most: 3 },
    { arm: 'ours', measure: 'warm', of: 'floor', most: 1.3 },
    { arm: 'ours', measure: 'warm', of: 'leveldb', most: 1 / 1.4 },
    ...(options.has('encrypt') ? [{ arm: 'encrypted', measure: 'warm', of: 'ours', most: 1.1 }] : []),
  ],
  edits: prepareEdits,
});

const native = (handshake: boolean) => (port: number, user: string) =>
  new NativeDevice(`ws://127.0.0.1:${port}/yjs/${user}`, handshake);

const hocuspocusContender = (): EditArm<Uint8Array> => ({
  ...arm('hocuspocus', NAME, hocuspocus),
  device: (port, user) => hocuspocusDevice(port, user),
  reader: hocuspocusDevice,
});

function arm(
  id: string,
  name: string,
  program: (folder: string) => Program,
  stores = true,
): EditArm<Uint8Array> {
  return { id, name, program, stores, device: native(true) };
}

const contest = armBenchmark({
  name: 'fanout',
  line: `server CPU per update, ${USERS} users × ${DEVICES} native devices, beside a relay, the floor, and references`,
  options: {
    ...peersOption,
    encrypt: 'beside it the same server with everything on disk encrypted',
  },
  measure: (start) => compete(contestOf(start.options), start),
});

export const fanout = profilableContest(contest, contestOf);
