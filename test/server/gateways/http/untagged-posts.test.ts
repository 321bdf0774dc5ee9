/** A device that posts whole records, and names no tag: nothing tells what of the answers it has got (H1, H2, L4, L6). */
import { expect, test } from 'vitest';
import { HttpDevice } from '../../../support/devices/json-http.js';
import { messageOf } from '../../../support/devices/json-words.js';
import { useJson, useServer } from '../../../support/use.js';

const at = (document: { id: string; a: number; b: number }) =>
  messageOf({ collection: 'visits', document, madeAt: Date.now() }, 'both', Date.now());

test('[H1 H2 L4 L6] what it sets back to what it once had is taken once it names what it got', async () => {
  const server = await useServer();
  const desk = await useJson(server, 'anna', 'desk');
  desk.update('visits', { id: 'v1', a: 0, b: 0 });
  await desk.saved();
  const phone = new HttpDevice(server.url, 'anna', 'phone');
  await phone.get();
  desk.update('visits', { id: 'v1', a: 1, b: 0 });
  await desk.saved();
  // It may still have what it got first, or have lost the answer to the POST before: its zero is no change.
  for (const b of [1, 2]) {
    await phone.post([at({ id: 'v1', a: 0, b })], { tag: 'untagged' });
    expect(phone.record('visits', 'v1')).toEqual({ id: 'v1', a: 1, b });
  }
  await phone.post([at({ id: 'v1', a: 0, b: 2 })]);
  expect(phone.record('visits', 'v1')).toEqual({ id: 'v1', a: 0, b: 2 });
});

test('[H2 L4 L6] what it posted itself, and sets back, is taken without a tag', async () => {
  const server = await useServer();
  const phone = new HttpDevice(server.url, 'anna', 'phone');
  for (const a of [0, 1, 0, 1]) {
    await phone.post([at({ id: 'v1', a, b: 0 })], { tag: 'untagged' });
    expect(phone.record('visits', 'v1')).toEqual({ id: 'v1', a, b: 0 });
  }
});

/** A phone that has posted the visit, and the same phone over a WebSocket, which has brought it by now. */
async function posted() {
  const server = await useServer({ JSON_PACE: '0' }); // nothing is sent once more, which a write might cross
  const phone = new HttpDevice(server.url, 'anna', 'phone');
  const socket = await useJson(server, 'anna', 'phone');
  const post = async (): Promise<void> => {
    await phone.post([at({ id: 'v1', a: 1, b: 0 })], { tag: 'untagged' });
    await socket.until(() => socket.store.visits?.v1?.a === 1);
    await socket.heard(); // and with it the pong: a write that crosses the message is another matter
  };
  await post();
  return { server, phone, socket, post };
}

test('[H2 L4 L6] what it posted, changed over its WebSocket, and posts again is taken', async () => {
  const { phone, socket, post } = await posted();
  for (const a of [2, 3]) {
    socket.update('visits', { id: 'v1', a, b: 0 });
    await socket.saved();
    await post();
    expect(phone.record('visits', 'v1')).toEqual({ id: 'v1', a: 1, b: 0 });
  }
});

test('[H2 L4 L6] what it posts again so takes nothing back of others', async () => {
  const { server, phone, socket } = await posted();
  socket.update('visits', { id: 'v1', a: 2, b: 0 });
  await socket.saved();
  const desk = await useJson(server, 'anna', 'desk');
  desk.update('visits', { id: 'v1', a: 2, b: 2 });
  await desk.saved();
  await phone.post([at({ id: 'v1', a: 1, b: 0 })], { tag: 'untagged' });
  expect(phone.record('visits', 'v1')).toEqual({ id: 'v1', a: 1, b: 2 });
});

test('[H2 L4 L7] what it posted, deleted over its WebSocket, and posts again is made anew', async () => {
  const { phone, socket } = await posted();
  socket.delete('visits', 'v1');
  await socket.saved();
  await phone.post([at({ id: 'v1', a: 1, b: 0 })], { tag: 'untagged' });
  expect(phone.record('visits', 'v1')).toEqual({ id: 'v1', a: 1, b: 0 });
});

test('[H2 L4 L6] what its WebSocket brings late was before what it posted', async () => {
  const { server, phone, socket } = await posted();
  await phone.get();
  const before = at({ id: 'v1', a: 1, b: 1 });
  await phone.post([at({ id: 'v1', a: 1, b: 2 })], { tag: 'untagged' });
  socket.say(before);
  await socket.saved();
  const desk = await useJson(server, 'anna', 'desk');
  desk.update('visits', { id: 'v1', a: 7, b: 2 });
  await desk.saved();
  await phone.post([at({ id: 'v1', a: 1, b: 3 })], { tag: 'untagged' });
  expect(phone.record('visits', 'v1')).toEqual({ id: 'v1', a: 7, b: 3 });
});
