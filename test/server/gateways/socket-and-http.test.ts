/**
 * A device whose WebSocket brings nothing more, though nobody has noticed that yet, asks over HTTP meanwhile, or over
 * another WebSocket: what one of the two ways has shown counts for what is written over the other (L4, H1, H2).
 */
import { expect, test } from 'vitest';
import type { JsonRecord } from '../../../shared/json.js';
import type { JsonDevice } from '../../support/devices/json-device.js';
import { HttpDevice } from '../../support/devices/json-http.js';
import { messageOf } from '../../support/devices/json-words.js';
import { openJson, useJson, useServer } from '../../support/use.js';

interface Scene {
  readonly desk: JsonDevice;
  /** It has read the visit, and its clock is known. */
  readonly phone: JsonDevice;
  /** The same phone over HTTP. */
  readonly http: HttpDevice;
  /** The same phone over another WebSocket, which takes the place of the first. */
  readonly newer: () => Promise<JsonDevice>;
  /** From here on, its socket answers no pings. */
  readonly fallSilent: () => void;
  /** The visit as it is on the server. */
  readonly visit: () => Promise<JsonRecord>;
}

const KNOWN = ['met before', 'never met before'] as const;

async function scene(phoneIs: (typeof KNOWN)[number]): Promise<Scene> {
  const server = await useServer();
  const desk = await useJson(server, 'anna', 'desk');
  if (phoneIs === 'met before') await (await useJson(server, 'anna', 'phone')).close();
  desk.update('visits', { id: 'v1', a: 0, b: 0 });
  await desk.saved();
  const phone = openJson(server, 'anna', 'phone', { autoPong: false });
  let answers = true;
  phone.ws.on('ping', (payload: Buffer) => answers && phone.ws.pong(payload));
  await phone.next('CONNECTION_CONFIRMED');
  await phone.heard();
  await phone.saved();
  return {
    desk,
    phone,
    http: new HttpDevice(server.url, 'anna', 'phone'),
    newer: () => useJson(server, 'anna', 'phone'),
    fallSilent: () => {
      answers = false;
    },
    async visit() {
      const look = new HttpDevice(server.url, 'anna', 'look');
      await look.get();
      return look.record('visits', 'v1');
    },
  };
}

const at = (document: object) =>
  messageOf(
    { collection: 'visits', document: document as JsonRecord, madeAt: Date.now() },
    'both',
    Date.now(),
  );

/** Something of another record is sent to the phone, and all else that comes waits. */
async function stop({ desk, phone, fallSilent }: Scene): Promise<void> {
  fallSilent();
  desk.update('visits', { id: 'v2' });
  await phone.until(() => phone.store.visits?.v2 !== undefined);
}

async function write(device: JsonDevice, document: object): Promise<void> {
  device.update('visits', document);
  await device.saved();
}

test.each(KNOWN)('[H1 L4 L6] a live write on the answer to a GET, by a phone %s', async (phoneIs) => {
  const all = await scene(phoneIs);
  const { desk, phone, http, visit } = all;
  await stop(all);
  await write(desk, { id: 'v1', a: 0, b: 1 });
  await http.get();
  expect(http.record('visits', 'v1')).toEqual({ id: 'v1', a: 0, b: 1 });
  await write(desk, { id: 'v1', a: 0, b: 2 });
  await write(phone, { id: 'v1', a: 1, b: 1 });
  expect(await visit()).toEqual({ id: 'v1', a: 1, b: 2 });
});

test.each(KNOWN)('[L4 L6] a live write on what a newer WebSocket showed, by a phone %s', async (phoneIs) => {
  const all = await scene(phoneIs);
  const { desk, phone, newer, visit } = all;
  await stop(all);
  await write(desk, { id: 'v1', a: 0, b: 1 });
  const second = await newer();
  expect(second.store.visits?.v1).toEqual({ id: 'v1', a: 0, b: 1 });
  await write(desk, { id: 'v1', a: 0, b: 2 });
  await write(phone, { id: 'v1', a: 1, b: 1 });
  expect(await visit()).toEqual({ id: 'v1', a: 1, b: 2 });
});

test.each(KNOWN)('[L4 L6] a live write on a message of a newer WebSocket, by a phone %s', async (phoneIs) => {
  const all = await scene(phoneIs);
  const { desk, phone, newer, visit } = all;
  await stop(all);
  const second = await newer();
  await write(desk, { id: 'v1', a: 0, b: 1 });
  await second.until(() => second.store.visits?.v1?.b === 1);
  await write(desk, { id: 'v1', a: 0, b: 2 });
  await write(phone, { id: 'v1', a: 1, b: 1 });
  expect(await visit()).toEqual({ id: 'v1', a: 1, b: 2 });
});

test.each(KNOWN)('[H2 L4 L6] a POST of what was changed on a message, by a phone %s', async (phoneIs) => {
  const { desk, phone, http, fallSilent, visit } = await scene(phoneIs);
  fallSilent();
  desk.update('visits', { id: 'v1', a: 0, b: 1 });
  await phone.until(() => phone.store.visits?.v1?.b === 1);
  await write(desk, { id: 'v1', a: 0, b: 2 });
  await http.post([at({ id: 'v1', a: 1, b: 1 })]);
  expect(await visit()).toEqual({ id: 'v1', a: 1, b: 2 });
});

test.each(KNOWN)(
  '[H2 L3 L4 L6] a POST on a message that a write had crossed, by a phone %s',
  async (phoneIs) => {
    const { desk, phone, http, fallSilent, visit } = await scene(phoneIs);
    fallSilent();
    desk.update('visits', { id: 'v1', a: 0, b: 1 });
    await phone.until(() => phone.store.visits?.v1?.b === 1);
    // Its app had written this before it read the message, which took it out of its copy.
    await write(phone, { id: 'v1', a: 1, b: 0 });
    await http.post([at({ id: 'v1', a: 0, b: 1, c: 1 })]);
    expect(await visit()).toEqual({ id: 'v1', a: 1, b: 1, c: 1 });
  },
);

test.each(KNOWN)('[H2 L3 L4 L6] a POST of a phone %s that has not got a correction', async (phoneIs) => {
  const all = await scene(phoneIs);
  const { desk, phone, http, visit } = all;
  await stop(all);
  await write(desk, { id: 'v1', a: 0, b: 1 });
  await write(phone, { id: 'v1', a: 1, b: 0 });
  await http.post([at({ id: 'v1', a: 2, b: 0 })]);
  expect(await visit()).toEqual({ id: 'v1', a: 2, b: 1 });
});

test.each(KNOWN)(
  '[H2 L4 L6] what a phone %s posts of its own counts, also where it takes a write back',
  async (phoneIs) => {
    const { phone, http, visit } = await scene(phoneIs);
    await write(phone, { id: 'v1', a: 1, b: 0 });
    await http.post([at({ id: 'v1', a: 0, b: 0 })]);
    expect(await visit()).toEqual({ id: 'v1', a: 0, b: 0 });
  },
);
