/** The walks, with a real server, real sockets and LevelDB. Loaded with every function instrumented. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSyncClient } from '../../client/node.js';
import { JsonDevice } from '../../test/support/devices/json-device.js';
import { NativeDevice } from '../../test/support/devices/native-device.js';
import { handled } from '../../test/support/handled.js';
import { startServer } from '../../test/support/server.js';
import type { Place, Walk } from './trace.js';

const SERVER_STORES = { file: 'server/store/level/level-store.ts', name: 'commit' };
const CLIENT_STORES = { file: 'client/local-store/sole-store.ts', name: 'append' };

const APPOINTMENT = { id: 'a1', status: 'booked' };

type Record = (turn: Place, act: () => Promise<unknown>) => Promise<Walk>;

export interface Scene {
  readonly title: string;
  readonly walk: Walk;
}

/** One after the other, so that no walk meets another one. */
export async function scenes(record: Record): Promise<Scene[]> {
  const server = await startServer();
  const folder = await mkdtemp(join(tmpdir(), 'walk-'));
  try {
    return [
      { title: 'a native update', walk: await nativeUpdate(server.url, record) },
      { title: 'a JSON write over a socket', walk: await jsonWrite(server.url, record) },
      { title: 'a JSON write over HTTP', walk: await httpWrite(server.url, record) },
      { title: 'addData of our client', walk: await addData(server.url, folder, record) },
    ];
  } finally {
    await server.close();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Acts when nothing else is under way, and until another device of the user has what that makes. */
async function followed(url: string, user: string): Promise<(act: () => unknown) => Promise<void>> {
  const device = await NativeDevice.connect(url, user, 'follower');
  await handled(url);
  return async (act) => {
    await act();
    await device.until(() => device.json().appointments?.a1);
    device.close();
  };
}

async function nativeUpdate(url: string, record: Record): Promise<Walk> {
  const phone = await NativeDevice.connect(url, 'native', 'phone');
  const told = await followed(url, 'native');
  const set = () => phone.record('appointments', 'a1').set('status', 'booked');
  return record(SERVER_STORES, () => told(set)).finally(() => phone.close());
}

async function jsonWrite(url: string, record: Record): Promise<Walk> {
  const tablet = await JsonDevice.connect(url, 'json', 'tablet');
  const told = await followed(url, 'json');
  await tablet.heard();
  const update = () => tablet.update('appointments', APPOINTMENT);
  return record(SERVER_STORES, () => told(update)).finally(() => tablet.ws.terminate());
}

async function httpWrite(url: string, record: Record): Promise<Walk> {
  const told = await followed(url, 'http');
  const data = { collection: 'appointments', document: APPOINTMENT, timestamp: Date.now() };
  const changes = [{ type: 'DATA_UPDATE', data, timestamp: data.timestamp }];
  const post = async () => {
    const headers = { 'Content-Type': 'application/json', 'Device-ID': 'desk' };
    const answer = await fetch(`${url}/api/sync/http`, {
      method: 'POST',
      headers,
      body: JSON.stringify({ changes }),
    });
    if (!answer.ok) throw new Error(`the write got ${answer.status}`);
    await answer.arrayBuffer();
  };
  return record(SERVER_STORES, () => told(post));
}

async function addData(url: string, folder: string, record: Record): Promise<Walk> {
  const client = createSyncClient({ folder });
  await client.initialize({ serverUrl: url, userId: 'client', deviceId: 'laptop' });
  await client.whenSynced();
  const told = await followed(url, 'client');
  const add = () => client.addData('appointments', APPOINTMENT);
  return record(CLIENT_STORES, () => told(add)).finally(() => client.close());
}
