/** A document that lives: very many edits of the same records by one user. */
import * as Y from 'yjs';
import { updateFrame } from './support/frames.js';
import { NativeDevice } from './support/native-device.js';
import { sizeOf } from './support/outcome.js';
import { nativeUrl } from './support/population.js';
import { durableServer, type Program } from './support/programs.js';
import { type Arm, type Measured, race } from './support/race.js';
import type { Scope } from './support/scope.js';
import { ServerProcess } from './support/server-process.js';
import { armBenchmark, type Found, type Start } from './support/start.js';

const LONG = { rounds: 3, edits: 100_000, records: 1_000, devices: 10 };
const SHORT = { rounds: 3, edits: 5_000, records: 1_000, devices: 10 };
/** Edits between two questions whether all is durable: as many come in for one batch. */
const AT_ONCE = 100;
const FIELDS = ['title', 'status', 'doctor', 'room', 'date'];

const UNLIMITED = { MESSAGE_RATE: '1000000', MESSAGE_BURST: '1000000', BYTE_RATE: '1 GiB' };
const NEVER = { COMPACT_UPDATES: '10000000', COMPACT_BYTES: '4 GiB' };

export const growth = armBenchmark({
  name: 'growth',
  line: 'one user edits the same records very many times: CPU and bytes written per edit, load afterwards',
  measure,
});

interface Grown extends Arm {
  readonly frames: readonly Uint8Array[];
}

type Folders = (folder: string) => Program;
const compacting: Folders = (folder) => durableServer(folder, [], UNLIMITED);
const never: Folders = (folder) => durableServer(folder, [], { ...UNLIMITED, ...NEVER });

async function measure({ options, scope, cores }: Start): Promise<Found> {
  const size = sizeOf(options, LONG, SHORT);
  const { seed, edits, snapshot } = write(size);
  const arms: Grown[] = [
    {
      id: 'snapshot',
      name: 'the same content, stored at once',
      program: compacting,
      frames: [updateFrame(snapshot)],
    },
    { id: 'never', name: 'durable server that never compacts', program: never, frames: [seed, ...edits] },
    { id: 'ours', name: 'durable server', program: compacting, frames: [seed, ...edits] },
  ];
  return {
    setting: size,
    limit: 'snapshot',
    measures: [
      { id: 'cpu', line: 'CPU per edit', unit: 'µs' },
      { id: 'written', line: 'written per edit', unit: 'bytes' },
      { id: 'load', line: 'first sync after a restart', unit: 'ms CPU' },
    ],
    arms: await race({ arms, rounds: size.rounds, cores, scope, run: live }),
    goals: [
      { arm: 'ours', measure: 'cpu', of: 'never', most: 1.1 },
      { arm: 'ours', measure: 'written', of: null, most: 2_048 },
      { arm: 'ours', measure: 'load', of: 'snapshot', most: 1.2 },
    ],
  };
}

async function live(server: ServerProcess, { frames }: Grown, scope: Scope): Promise<Measured> {
  const device = new NativeDevice(nativeUrl(server.port, 0), true);
  await device.open();
  await device.save(frames[0] as Uint8Array);
  const before = { cpu: server.cpu(), written: server.written() };
  const edits = frames.length - 1;
  for (let at = 1; at < frames.length; at += AT_ONCE) {
    for (const frame of frames.slice(at, at + AT_ONCE - 1)) device.send(frame);
    await device.save(frames[Math.min(at + AT_ONCE, frames.length) - 1] as Uint8Array);
  }
  const cpu = ((server.cpu() - before.cpu) * 1_000) / edits;
  const written = (server.written() - before.written) / edits;
  device.close();
  await server.close();
  const load = await firstSync(server, scope);
  return edits === 0 ? { load } : { cpu, written, load };
}

/** On the same folder, by a server that was started anew. */
async function firstSync(closed: ServerProcess, scope: Scope): Promise<number> {
  const server = await ServerProcess.start(closed.program, scope);
  const device = new NativeDevice(nativeUrl(server.port, 0), false);
  await device.open();
  const before = server.cpu();
  await device.read();
  const cpu = server.cpu() - before;
  device.close();
  await server.close();
  return cpu;
}

interface Written {
  readonly seed: Uint8Array;
  readonly edits: readonly Uint8Array[];
  readonly snapshot: Uint8Array;
}

/** Fields in rotation, by each device in turn. */
function write({ records, edits, devices }: typeof LONG): Written {
  const doc = new Y.Doc();
  const frames: Uint8Array[] = [];
  doc.on('update', (update: Uint8Array) => frames.push(updateFrame(update)));
  const map = doc.getMap<Y.Map<unknown>>('appointments');
  doc.transact(() => {
    for (let n = 0; n < records; n++) {
      map.set(`a${n}`, new Y.Map([['id', `a${n}`], ...FIELDS.map((field): [string, string] => [field, ''])]));
    }
  });
  for (let n = 0; n < edits; n++) {
    doc.clientID = 1_000 + (n % devices);
    map.get(`a${n % records}`)?.set(FIELDS[n % FIELDS.length] ?? '', `as edited the ${n}th time`);
  }
  const [seed, ...rest] = frames;
  return { seed: seed as Uint8Array, edits: rest, snapshot: Y.encodeStateAsUpdate(doc) };
}
