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
