/**
 * An answer over HTTP that takes long shows nothing of what its device wrote, or was shown, over its WebSocket meanwhile;
 * its app makes its copy anew of it all the same (H1, H2, L3, L4).
 */
import { once } from 'node:events';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { FollowedDocument } from '../../../../server/documents/sleep/followed-document.js';
import { copyOf, MemoryStore } from '../../../../server/store/memory/memory-store.js';
import type { JsonRecord } from '../../../../shared/json.js';
import { askedOfDisk } from '../../../support/asked-of-disk.js';
import { HttpDevice } from '../../../support/devices/json-http.js';
import { messageOf } from '../../../support/devices/json-words.js';
import { SetClock } from '../../../support/set-clock.js';
import { useJson, useServer } from '../../../support/use.js';
import { PATIENCE } from '../../../support/wait.js';

afterEach(() => {
  vi.restoreAllMocks();
});

const SECOND = 1_000;
const PACES = ['150ms', '0'] as const;
const TAGS = ['tagged', 'untagged'] as const;

/** The phone has read the record `r` over its WebSocket, and its clock is known. */
async function scene(pace = '150ms', rates: Readonly<Record<string, string>> = {}) {
  const clock = new SetClock();
  const store = new MemoryStore();
  const server = await useServer({ JSON_PACE: pace, ...rates }, { store, time: clock });
  const desk = new HttpDevice(server.url, 'anna', 'desk');
  const http = new HttpDevice(server.url, 'anna', 'phone');
  const put = (document: JsonRecord) =>
    messageOf({ collection: 'notes', document, madeAt: clock.time }, 'both', clock.time);
  await desk.post([put({ id: 'r', a: 0, b: 0 })]);
  await http.get();
  const phone = await useJson(server, 'anna', 'phone');
  await phone.heard();
  clock.pass(60 * SECOND);
  let acks = 0;
  return {
    server,
    clock,
    store,
    desk,
    http,
    phone,
    put,
    /** Over the WebSocket of the phone, until it is durable. */
    async write(document: JsonRecord): Promise<void> {
      const ack = `${++acks}`;
      phone.say({ ...put(document), ack });
      await phone.until(() => phone.of('ACK').some((message) => message.ack === ack));
    },
    /** The record as it is on the server. */
    async look(): Promise<JsonRecord> {
      const other = new HttpDevice(server.url, 'anna', 'look');
      await other.get();
      return other.record('notes', 'r');
    },
  };
}

type Scene = Awaited<ReturnType<typeof scene>>;

const ASKING = {
  'a GET': ({ http }: Scene) => http.get(),
  'a POST': ({ http, put }: Scene) => http.post([put({ id: 'own', x: 1 })]),
} as const;
const WAYS = Object.keys(ASKING) as (keyof typeof ASKING)[];

/** The phone's answer waits for the disk, while the phone writes `a: 1` over its WebSocket. */
async function crossed(all: Scene, way: keyof typeof ASKING = 'a GET'): Promise<void> {
  const { store, desk, phone, put, clock } = all;
  store.hold();
  const theirs = await askedOfDisk(() => desk.post([put({ id: 'other', x: 1 })]));
  const answered = await askedOfDisk(() => ASKING[way](all));
  clock.pass(SECOND);
  phone.say(put({ id: 'r', a: 1, b: 0 }));
  await phone.heard();
  store.release();
  expect(await Promise.all([theirs.answer, answered.answer])).toEqual([200, 200]);
  expect(all.http.record('notes', 'r')).toEqual({ id: 'r', a: 0, b: 0 });
  clock.pass(SECOND);
}

const CROSSED = WAYS.flatMap((way) => PACES.map((pace) => ({ way, pace })));

describe('a write over the WebSocket, while an answer over HTTP waits', () => {
  test.each(CROSSED)('[H1 H2 L4 L6] $way: the next one takes nothing back, pace $pace', async (each) => {
    const { way, pace } = each;
    const all = await scene(pace);
    await crossed(all, way);
    await all.write({ id: 'r', a: 0, b: 0, c: 1 });
    expect(await all.look()).toEqual({ id: 'r', a: 1, b: 0, c: 1 });
  });

  test.each(TAGS)('[H1 H2 L4 L6] nor does what is posted, %s', async (tag) => {
    const all = await scene();
    await crossed(all);
    await all.http.post([all.put({ id: 'r', a: 0, b: 0, c: 1 })], { tag });
    expect(await all.look()).toEqual({ id: 'r', a: 1, b: 0, c: 1 });
  });

  test('[H1 H2 L4 L5 L6] nor what is written over the next WebSocket', async () => {
    const all = await scene();
    await crossed(all);
    const mine = all.put({ id: 'r', a: 0, b: 0, c: 1 });
    await all.phone.close();
    all.clock.pass(SECOND);
    const again = await useJson(all.server, 'anna', 'phone');
    again.say({ ...mine, ack: 'mine' });
    await again.until(() => again.of('ACK').length > 0);
    expect(await all.look()).toEqual({ id: 'r', a: 1, b: 0, c: 1 });
  });

  test.each(PACES)(
    '[H1 H2 L3 L4 L6] the write is sent behind the answer, pace %s; once read, it may be taken back',
    async (pace) => {
      const all = await scene(pace);
      await crossed(all);
      const { phone, clock } = all;
      const fromServer = () => phone.messages.find(({ fromDevice }) => fromDevice === 'server');
      const isSent = () => {
        clock.pass(50);
        return fromServer() !== undefined;
      };
      await vi.waitUntil(isSent, { interval: 5, timeout: PATIENCE });
      expect(fromServer()?.data.document).toEqual({ id: 'r', a: 1, b: 0 });
      await phone.heard();
      clock.pass(3 * SECOND);
      await all.write({ id: 'r', a: 0, b: 0 });
      expect(await all.look()).toEqual({ id: 'r', a: 0, b: 0 });
    },
  );
});

/** Stands in for other servers that are asked before it leaves: the next answer waits until `release`. */
function stopAnswer() {
  let release: (() => void) | null = null;
  vi.spyOn(FollowedDocument.prototype, 'durable').mockImplementationOnce(
    () =>
      new Promise((resolve) => {
        release = resolve;
      }),
  );
  return {
    waits: () => vi.waitUntil(() => release !== null, { interval: 1, timeout: PATIENCE }),
    release: () => release?.(),
  };
}

/** So many messages a second are handled, of a connection, or of all of a user. */
const SLOW = [
  ['its connection', { MESSAGE_RATE: '20', MESSAGE_BURST: '30', USER_RATE: '100' }],
  ['its user', { MESSAGE_RATE: '20', MESSAGE_BURST: '30', USER_RATE: '1' }],
] as const;

test.each(SLOW)(
  '[H1 L4 L6] what came in before an answer went out, and waits for the rate of %s, is on the copy before',
  async (_, rates) => {
    const all = await scene('150ms', rates);
    const { http, desk, phone, put, clock } = all;
    await desk.post([put({ id: 'other', x: 1 })]);
    const stop = stopAnswer();
    const answer = http.get();
    await stop.waits();
    clock.pass(SECOND);
    for (let x = 0; x < 40; x++) phone.say(put({ id: 'mine', x }));
    phone.say({ ...put({ id: 'r', a: 1, b: 0 }), ack: 'last' });
    const arrived = once(phone.ws, 'pong');
    phone.ws.ping();
    await arrived;
    stop.release();
    expect(await answer).toBe(200);
    expect(http.record('notes', 'r')).toEqual({ id: 'r', a: 0, b: 0 });
    expect(phone.of('ACK')).toEqual([]);
    const isHandled = () => {
      clock.pass(50);
      return phone.of('ACK').some(({ ack }) => ack === 'last');
    };
    await vi.waitUntil(isHandled, { interval: 5, timeout: PATIENCE });
    clock.pass(3 * SECOND);
    await all.write({ id: 'r', a: 0, b: 0, c: 1 });
    expect(await all.look()).toEqual({ id: 'r', a: 1, b: 0, c: 1 });
  },
);

/**
 * While the phone's answer is being made, the desk writes `b: 1`, which the phone's WebSocket shows. What this returns
 * lets the answer go.
 */
async function shownMeanwhile({ http, desk, phone, put, clock }: Scene): Promise<() => Promise<void>> {
  await desk.post([put({ id: 'other', x: 1 })]);
  await phone.until(() => phone.store.notes?.other !== undefined);
  await phone.heard();
  clock.pass(SECOND);
  const stop = stopAnswer();
  const answer = http.get();
  await stop.waits();
  await desk.post([put({ id: 'r', a: 0, b: 1 })]);
  await phone.until(() => phone.store.notes?.r?.b === 1);
  await phone.heard();
  clock.pass(5 * SECOND);
  return async () => {
    stop.release();
    expect(await answer).toBe(200);
    expect(http.record('notes', 'r')).toEqual({ id: 'r', a: 0, b: 0 });
    clock.pass(SECOND);
  };
}

describe('a WebSocket that has ended as the answer over HTTP goes out, or right after', () => {
  /** The phone has written on what its WebSocket showed, and that is saved. */
  async function written(
    all: Scene,
    mine: JsonRecord = { id: 'r', a: 1, b: 1 },
  ): Promise<() => Promise<void>> {
    const release = await shownMeanwhile(all);
    await all.write(mine);
    all.clock.pass(5 * SECOND);
    return release;
  }

  test.each(TAGS)('[H1 L4 L5 L6] what is posted takes nothing back of that, %s', async (tag) => {
    const all = await scene();
    const release = await written(all);
    await all.phone.close();
    await new HttpDevice(all.server.url, 'anna', 'look').get(); // the server has noticed
    await release();
    await all.http.post([all.put({ id: 'r', a: 0, b: 0, c: 1 })], { tag });
    expect(await all.look()).toEqual({ id: 'r', a: 1, b: 1, c: 1 });
  });

  test('[H1 L4 L6] nor does what is written over the next one, which showed that before', async () => {
    const all = await scene();
    const release = await written(all);
    await all.phone.close();
    const again = await useJson(all.server, 'anna', 'phone');
    await again.heard();
    all.clock.pass(40 * SECOND);
    await again.heard();
    await release();
    again.say({ ...all.put({ id: 'r', a: 0, b: 0, c: 1 }), ack: 'mine' });
    await again.until(() => again.of('ACK').length > 0);
    expect(await all.look()).toEqual({ id: 'r', a: 1, b: 1, c: 1 });
  });

  test('[H1 L4 L6] nor does what is posted when the server was killed since', async () => {
    const all = await scene();
    const { store, http, phone, put, clock } = all;
    const release = await written(all, { id: 'own', x: 1 });
    await release();
    for (let turn = 0; turn < 2; turn++) await phone.heard(); // and what came of that is durable
    const contents = new MemoryStore(copyOf(store.contents));
    const { url } = await useServer({}, { store: contents, time: clock });
    http.goTo(url);
    clock.pass(SECOND);
    await http.post([put({ id: 'r', a: 1, b: 0 })], { tag: 'untagged' });
    expect(http.record('notes', 'r')).toEqual({ id: 'r', a: 1, b: 1 });
  });
});

describe('a POST while another answer over HTTP is being made', () => {
  test.each(TAGS)('[H1 H2 L4 L6] the next one takes nothing of it back, %s', async (tag) => {
    const all = await scene();
    const { http, desk, put, clock } = all;
    await desk.post([put({ id: 'other', x: 1 })]);
    const stop = stopAnswer();
    const answer = http.get();
    await stop.waits();
    clock.pass(SECOND);
    await http.post([put({ id: 'r', a: 1, b: 0 })], { tag });
    clock.pass(SECOND);
    stop.release();
    expect(await answer).toBe(200);
    expect(http.record('notes', 'r')).toEqual({ id: 'r', a: 0, b: 0 });
    clock.pass(SECOND);
    await http.post([put({ id: 'r', a: 0, b: 0, c: 1 })], { tag });
    expect(await all.look()).toEqual({ id: 'r', a: 1, b: 0, c: 1 });
  });
});

describe('what the WebSocket shows while an answer over HTTP is being made', () => {
  test.each(PACES)('[H1 L4 L6] is not undone by the next write, pace %s', async (pace) => {
    const all = await scene(pace);
    const release = await shownMeanwhile(all);
    await release();
    await all.write({ id: 'r', a: 1, b: 0 });
    expect(await all.look()).toEqual({ id: 'r', a: 1, b: 1 });
  });
});
