/** Users who have records already, and their devices that come back. */
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as Y from 'yjs';
import { copyFirst } from './copied-users.js';
import { updateFrame } from './frames.js';
import { JsonDevice } from './json-device.js';
import { NativeDevice } from './native-device.js';
import type { Program } from './programs.js';
import type { Arm } from './race.js';
import type { Scope } from './scope.js';
import { ServerProcess } from './server-process.js';

export const RECORDS = 100;
const COLLECTION = 'appointments';
const FIELDS = { doctor: 'Dr. Smith', date: '2024-01-20', time: '10:00', status: 'scheduled', room: '4' };
const AT_ONCE = 64;
const ATTEMPTS = 20;
const PUT_OFF = 500;

/** The document that each of them has: 100 records of six fields. */
export const CONTENT = ((): Uint8Array => {
  const doc = new Y.Doc();
  doc.clientID = 7;
  const records = doc.getMap(COLLECTION);
  doc.transact(() => {
    for (let n = 0; n < RECORDS; n++)
      records.set(`a${n}`, new Y.Map(Object.entries({ id: `a${n}`, ...FIELDS })));
  });
  return Y.encodeStateAsUpdate(doc);
})();
export const VECTOR = Y.encodeStateVectorFromUpdate(CONTENT);

export function recordsIn(update: Uint8Array): number {
  const doc = new Y.Doc({ guid: 'reader' });
  Y.applyUpdate(doc, update);
  return doc.getMap(COLLECTION).size;
}

/** All of one length. */
export const userName = (index: number): string => `user-${String(index).padStart(5, '0')}`;

/** Carries a task out for each index, a few at a time. */
export async function forEachUser(users: number, task: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < users) await task(next++);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

/** A server that is too busy puts connections off (1013), and devices come again. */
async function persist<T>(connect: () => Promise<T>): Promise<T> {
  for (let left = ATTEMPTS; ; left--) {
    try {
      return await connect();
    } catch (error) {
      if (left === 0) throw error;
      await sleep(PUT_OFF);
    }
  }
}

/**
 * A folder in which each user has the records, written by the server itself, which was closed in order: those of the
 * first user, and of the others as copies.
 *
 * @param visitors who was there before, and comes back
 */
export async function seedByServer(
  program: (folder: string) => Program,
  users: number,
  scope: Scope,
  visitors: 'native' | 'JSON' = 'native',
): Promise<string> {
  const folder = await scope.folder();
  const server = await ServerProcess.start(program(folder)(null), scope);
  const device = new NativeDevice(nativeUrl(server.port, 0), true);
  await device.open();
  await device.save(updateFrame(CONTENT));
  device.close();
  if (visitors === 'JSON') (await connectAll('JSON', 1, server.port)).leave();
  await server.close();
  await copyFirst(
    folder,
    Array.from({ length: users }, (_, index) => userName(index)),
  );
  return folder;
}

/** How the reference calls the documents of users at the addresses of this server. */
export const referenceNames = (users: number): string[] =>
  Array.from({ length: users }, (_, index) => `yjs/${userName(index)}`);

/** Written by y-leveldb: its server says of nothing when it is stored. */
export async function seedByLeveldb(
  names: readonly string[],
  scope: Scope,
  content = CONTENT,
): Promise<string> {
  const folder = await scope.folder();
  // Loaded here: the server that only accepts reads this file, too, and needs no LevelDB.
  const { LeveldbPersistence } = await import('y-leveldb');
  const level = new LeveldbPersistence(folder);
  await level.storeUpdate(names[0] as string, content);
  await level.destroy();
  await copyFirst(folder, names);
  return folder;
}

/** Each round begins with what was seeded, whatever the one before did to it. */
export async function copyOf(folder: string, scope: Scope): Promise<string> {
  const copy = join(await scope.folder(), 'data');
  await cp(folder, copy, { recursive: true });
  return copy;
}

export const nativeUrl = (port: number, index: number): string =>
  `ws://127.0.0.1:${port}/yjs/${userName(index)}?deviceId=phone`;

/** A server that users with records come to. */
export interface VisitedArm extends Arm {
  /** How a user connects to it, where that is not as y-websocket does. */
  readonly device?: (port: number, index: number) => NativeDevice;
}

export type Kind = 'up to date' | 'fresh' | 'JSON';

export interface Present {
  /** Those who have not got every record. */
  readonly incomplete: number;
  leave(): void;
}

/** The native device of a user, for servers of y-websocket: it asks by itself. */
const nativeDevice = (port: number, index: number): NativeDevice =>
  new NativeDevice(nativeUrl(port, index), false);

/** A device of each user connects and is told what it lacks; each stays until all of them leave. */
export async function connectAll(
  kind: Kind,
  users: number,
  port: number,
  deviceOf = nativeDevice,
): Promise<Present> {
  const devices: { close(): void }[] = [];
  let incomplete = 0;
  const native = async (index: number, vector?: Uint8Array): Promise<void> => {
    const device = deviceOf(port, index);
    devices.push(device);
    await device.open();
    const answer = await device.read(vector);
    if (kind === 'fresh' && recordsIn(answer) !== RECORDS) incomplete++;
  };
  const json = async (index: number): Promise<void> => {
    const device = new JsonDevice(port, userName(index), 'tablet');
    devices.push(device);
    let records = 0;
    device.onFullSync = (data) => {
      records = data[COLLECTION]?.length ?? 0;
    };
    await device.open();
    if (records !== RECORDS) incomplete++;
  };
  const connect = {
    'up to date': (n: number) => native(n, VECTOR),
    fresh: (n: number) => native(n),
    JSON: json,
  };
  await forEachUser(users, (index) => persist(() => connect[kind](index)));
  return {
    incomplete,
    leave: () => {
      for (const device of devices) device.close();
    },
  };
}
