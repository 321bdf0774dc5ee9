/** What is saved of a device that writes over HTTP while its WebSocket is open (L4, H2). */
import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { APP_LAG } from '../../../server/documents/json-devices/seen-ranges.js';
import { MemoryStore } from '../../../server/store/memory/memory-store.js';
import type { Commit } from '../../../server/store/store.js';
import type { UserId } from '../../../shared/names.js';
import { HttpDevice } from '../../support/devices/json-http.js';
import { messageOf } from '../../support/devices/json-words.js';
import { openJson, useJson, useServer } from '../../support/use.js';

/** Counts the commits, and those that save what is known of devices. */
class CountingStore extends MemoryStore {
  commits = 0;
  ofDevices = 0;

  override commit(user: UserId, commit: Commit): Promise<void> {
    this.commits++;
    if (commit.devices !== undefined) this.ofDevices++;
    return super.commit(user, commit);
  }
}

const POSTS = 10;

test('[H2 L4] a POST saves nothing more of its device where a WebSocket of it has brought nothing new', async () => {
  const store = new CountingStore();
  const server = await useServer({}, { store });
  const desk = await useJson(server, 'anna', 'desk');
  desk.update('visits', { id: 'v1', a: 0, b: 0 });
  await desk.saved();
  const phone = openJson(server, 'anna', 'phone', { autoPong: false });
  let answers = true;
  phone.ws.on('ping', (payload: Buffer) => answers && phone.ws.pong(payload));
  await phone.next('CONNECTION_CONFIRMED');
  await phone.heard();
  await pause(APP_LAG); // only by then its app has read the full sync for certain
  answers = false;
  desk.update('visits', { id: 'v1', a: 0, b: 1 });
  await desk.saved();
  phone.update('visits', { id: 'v1', a: 1, b: 0 }); // what corrects it waits for a pong
  await phone.saved();
  const http = new HttpDevice(server.url, 'anna', 'phone');
  const post = (count: number) => {
    const now = Date.now();
    const change = { collection: 'notes', document: { id: `n${count}`, count }, madeAt: now };
    return http.post([messageOf(change, 'both', now)], { tag: 'untagged' });
  };
  await post(0);
  const { commits, ofDevices } = store;
  for (let count = 1; count <= POSTS; count++) await post(count);
  expect({ commits: store.commits - commits, ofDevices: store.ofDevices - ofDevices }).toEqual({
    commits: POSTS,
    ofDevices: 0,
  });
});
