/**
 * A device whose WebSocket brings nothing more, though nobody has noticed that yet, asks over HTTP meanwhile, or over
 * another WebSocket: what one of the two ways has shown counts for what is written over the other (L4, H1, H2).
 */
import { expect, test } from 'vitest';
import type { JsonRecord } from '../../../shared/json.js';
import type { JsonDevice } from '../../support/devices/json-device.js';
import { HttpDevice } from '../../support/devices/json-http.js';
import { messageOf } from '../../support/devices/json-words.js';
import { type App, type AppOptions, MINUTE, Practice, SECOND } from '../../support/json-apps.js';
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
  /** The phone on a newer socket. */
  readonly reconnect: () => Promise<JsonDevice>;
}

const KNOWN = ['met before', 'never met before'] as const;

async function scene(phoneIs: (typeof KNOWN)[number], settings: Record<string, string> = {}): Promise<Scene> {
  const server = await useServer(settings);
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
    reconnect: () => useJson(server, 'anna', 'phone'),
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

const A0 = { id: 'v1', a: 0, b: 0 };
const A1 = { id: 'v1', a: 1, b: 0 };
const A2 = { id: 'v1', a: 2, b: 0 };

interface Phones {
  readonly practice: Practice;
  readonly desk: App;
  readonly phone: App;
  readonly http: App;
}

/** A phone that read the visit 10 s ago, and the same phone over HTTP. */
async function phones(options: AppOptions = {}): Promise<Phones> {
  const practice = await Practice.open();
  const desk = await practice.connected('desk');
  desk.write(A0);
  (await practice.connected('phone', options)).lose();
  const phone = await practice.connected('phone', options);
  return { practice, desk, phone, http: practice.app('phone', options) };
}

async function post({ practice, http }: Phones, document: JsonRecord) {
  http.write(document);
  expect(await http.post()).toBe(200);
  await practice.pass(50);
}

test.each([true, false])(
  '[H2 L4 L6] a live write takes back what the phone posted; its socket answers pings: %s',
  async (answers) => {
    const all = await phones();
    const { practice, phone } = all;
    phone.answersPings = answers;
    await post(all, A1);
    await practice.pass(answers ? 0 : 5 * SECOND);
    phone.write(A0);
    await practice.settle();
    expect(practice.record('v1')).toEqual(A0);
  },
);

test('[H1 H2 L4 L6] a live write takes back what the phone posted, and has confirmed', async () => {
  const all = await phones();
  const { practice, phone, http } = all;
  await post(all, A1);
  expect(await http.get()).toBe(304);
  phone.write(A0);
  await practice.settle();
  expect(practice.record('v1')).toEqual(A0);
});

test.each(['both', 'none'] as const)(
  '[H1 H2 L4 L6] a write that the phone has confirmed is not kept again as its socket ends, timestamps: %s',
  async (stamps) => {
    const { practice, desk, phone, http } = await phones({ stamps });
    phone.answersPings = false;
    phone.write(A1);
    await practice.settle();
    desk.write({ ...A0, a: 3 });
    await practice.settle();
    await http.get();
    expect(await http.get()).toBe(304);
    await practice.pass(MINUTE);
    phone.lose();
    http.edit('v1', { a: 1 });
    await http.post();
    expect(practice.record('v1')).toEqual(A1);
  },
);

test('[H2 L4 L6] what waited for a POST is not the last write of the phone', async () => {
  const all = await phones();
  const { practice, phone, http } = all;
  http.write({ ...A0, c: 1 });
  await practice.pass(SECOND);
  phone.write(A1);
  await practice.settle();
  await http.post();
  phone.write({ ...A1, a: 0 });
  await practice.settle();
  expect(practice.record('v1')).toEqual({ ...A0, c: 1 });
});

test('[H2 L4 L6] a live write brings back what the phone had written before its POST', async () => {
  const all = await phones();
  const { practice, phone } = all;
  phone.write(A1);
  await post(all, A2);
  phone.write(A1);
  await practice.settle();
  expect(practice.record('v1')).toEqual(A1);
});

test('[H2 L4 L6] a message that the POST had crossed undoes nothing of it', async () => {
  const { desk, phone, http, fallSilent, visit } = await scene('met before');
  fallSilent();
  desk.update('visits', { id: 'v1', a: 0, b: 1 });
  await phone.until(() => phone.store.visits?.v1?.b === 1);
  await http.post([at({ id: 'v1', a: 1, b: 0 })]);
  // Its app read the message only after it had posted, and not yet the answer.
  await write(phone, { id: 'v1', a: 0, b: 1, c: 1 });
  expect(await visit()).toEqual({ id: 'v1', a: 1, b: 1, c: 1 });
});

test.each(['notices nothing', 'is told of the end', 'was told of it before'] as const)(
  '[H2 L4 L5 L6] offline, the phone brings back what it had written before its POST; the server %s',
  async (server) => {
    // Nothing is sent once more: before a POST that takes long, that would be a message that it crosses.
    const { phone, http, fallSilent, visit, reconnect } = await scene('met before', { JSON_PACE: '0' });
    fallSilent();
    await write(phone, A1);
    if (server === 'was told of it before') await phone.close();
    await http.post([at(A2)]);
    const offline = at(A1);
    if (server === 'is told of the end') await phone.close();
    const again = await reconnect();
    again.say(offline);
    await again.saved();
    expect(await visit()).toEqual(A1);
  },
);
