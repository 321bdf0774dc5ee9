/** The server is killed while it writes documents anew (P10, P6): each is the old one or the new one, whole. */
import { expect, onTestFinished, test } from 'vitest';
import type { NativeDevice } from './support/devices/native-device.js';
import { seededRandom } from './support/hostile.js';
import { longLived } from './support/long-lived.js';
import { ServerProcess } from './support/server-process.js';
import { openNative, useNative } from './support/use.js';

const USERS = Array.from({ length: 24 }, (_, index) => `user-${index}`);
const OURS = { rewrites: '1' };
const ROUNDS = 4;
/** The rewrites of all of them take some hundred ms. */
const LATEST = 400;

/** Everybody has a long life stored, nobody is rewritten yet; the devices stay. */
async function connectAll(server: ServerProcess, round: number): Promise<void> {
  const devices = USERS.map((user) =>
    openNative(server, `${user}-${round}`, 'phone', { doc: longLived(), params: OURS }),
  );
  await Promise.all(devices.map((device) => device.synced().then(() => device.saved())));
}

/** A device with nothing. One that comes just before its document is written anew is sent away, and begins anew. */
async function openFresh(server: ServerProcess, user: string): Promise<NativeDevice> {
  const fresh = openNative(server, user, 'fresh', { params: OURS });
  await fresh.until(() => fresh.closes.length > 0 || fresh.provider.synced);
  if (fresh.closes.length === 0) return fresh;
  expect(fresh.closes).toEqual([4409]);
  return useNative(server, user, 'fresh', { params: OURS });
}

async function stateOf(server: ServerProcess, user: string): Promise<'old' | 'new'> {
  const fresh = await openFresh(server, user);
  expect(fresh.json()).toEqual(EXPECTED);
  const isNew = fresh.doc.store.clients.size === 1;
  expect(isNew || fresh.doc.store.clients.size > 500).toBe(true);
  fresh.close();
  const back: NativeDevice = openNative(server, user, 'phone', { doc: longLived(), params: OURS });
  await back.until(() => back.closes.length > 0 || back.provider.synced);
  // The server goes on where it was killed: an old one may have been written anew meanwhile.
  if (isNew || back.closes.length > 0) expect(back.closes).toEqual([4409]);
  else expect(back.json()).toEqual(EXPECTED);
  back.close();
  return isNew ? 'new' : 'old';
}

const EXPECTED = { notes: longLived().getMap('notes').toJSON() };

test('[P10] [P6] no kill leaves half of a document, or one whose old devices come in again', async () => {
  const random = seededRandom(5);
  const options = { HISTORY_DAYS: '0', MAX_SOCKETS_PER_ADDRESS: '1000' };
  const server = await ServerProcess.start({ ...options, REST_AFTER: '100ms' });
  onTestFinished(() => server.dispose());
  const seen: string[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const from = server.lines.length;
    await connectAll(server, round);
    await server.line(/Rewrote/, from);
    await new Promise((resolve) => setTimeout(resolve, random() * LATEST));
    await server.kill();
    await server.restart();
    for (const user of USERS) seen.push(await stateOf(server, `${user}-${round}`));
  }
  expect(seen).toHaveLength(ROUNDS * USERS.length);
  expect(seen).toContain('new');
}, 120_000);
