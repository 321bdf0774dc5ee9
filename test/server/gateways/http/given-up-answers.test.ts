/** An answer over HTTP that nobody waits for any more, when it could leave, was not sent (H1, H2, L4). */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import type { Device as Shown } from '../../../../admin/api.js';
import { RequestView } from '../../../../server/documents/json-devices/request-view.js';
import { SeenDevices } from '../../../../server/documents/seen-devices.js';
import { FollowedDocument } from '../../../../server/documents/sleep/followed-document.js';
import { collectingLog } from '../../../../server/log.js';
import { MemoryStore } from '../../../../server/store/memory/memory-store.js';
import type { JsonRecord } from '../../../../shared/json.js';
import { askedOfDisk } from '../../../support/asked-of-disk.js';
import { HttpDevice } from '../../../support/devices/json-http.js';
import { type Change, messageOf } from '../../../support/devices/json-words.js';
import type { TestServer } from '../../../support/server.js';
import { SetClock } from '../../../support/set-clock.js';
import { useJson, useServer } from '../../../support/use.js';
import { PATIENCE } from '../../../support/wait.js';

afterEach(() => {
  vi.restoreAllMocks();
});

const SECOND = 1_000;
/** Collections of the user, and of everybody (D8). */
const PLACES = ['notes', 'doctors'] as const;

const clock = new SetClock();
const pass = (ms: number): void => clock.pass(ms);
const change = (what: Omit<Change, 'madeAt'>) =>
  messageOf({ ...what, madeAt: clock.time }, 'both', clock.time);
const put = (collection: string, document: JsonRecord) => change({ collection, document });

/** The phone has read the record `r` at both places, and its clock is known. */
async function scene(limits: Readonly<Record<string, string>> = {}) {
  const store = new MemoryStore();
  const server = await useServer({ SHARED_COLLECTIONS: 'doctors', ...limits }, { store, time: clock });
  const desk = new HttpDevice(server.url, 'anna', 'desk');
  const phone = new HttpDevice(server.url, 'anna', 'phone');
  await desk.post(PLACES.map((place) => put(place, { id: 'r', a: 1, b: 1 })));
  await phone.get();
  pass(SECOND);
  await phone.post(PLACES.map((place) => put(place, { id: 'own', x: 0 })));
  pass(60 * SECOND);
  return { server, store, desk, phone };
}
type Scene = Awaited<ReturnType<typeof scene>>;

/** Of what is asked from now on until that is called, waits for the first answer to be closed. */
function firstCloses(): () => Promise<unknown> {
  const responses: ServerResponse[] = [];
  const note = (message: unknown) => responses.push((message as { response: ServerResponse }).response);
  subscribe('http.server.request.start', note);
  const stop = () => void unsubscribe('http.server.request.start', note);
  onTestFinished(stop);
  return () => {
    stop();
    const [response] = responses;
    if (response === undefined) throw new Error('nothing was asked');
    return once(response, 'close');
  };
}

/** The phone asks, and goes away before it is answered; the server has noticed when this returns. */
async function givenUp({ url }: TestServer, { headers, ...request }: RequestInit): Promise<void> {
  const closes = firstCloses();
  const phone = new AbortController();
  const named = { ...headers, 'Device-ID': 'phone' };
  const { answer } = await askedOfDisk(() =>
    fetch(`${url}/api/sync/anna`, { ...request, headers: named, signal: phone.signal }).catch(() => null),
  );
  const gone = closes();
  phone.abort();
  await gone;
  expect(await answer).toBe(null);
}

const batch = (...changes: readonly object[]): RequestInit => ({
  method: 'POST',
  body: JSON.stringify({ changes: changes.map((each) => ({ ...each, userId: 'anna', deviceId: 'phone' })) }),
});
const ASKING = {
  'a GET': () => ({}),
  'a GET that has anything': () => ({ headers: { 'If-None-Match': '*' } }), // gets 304
  'a POST': () => batch(...PLACES.map((place) => put(place, { id: 'own', x: 1 }))),
  'a POST of nothing': () => batch(),
} as const;
type Way = keyof typeof ASKING;
const WAYS = Object.keys(ASKING) as Way[];
const TAGS = ['tagged', 'untagged'] as const;
const CASES = WAYS.flatMap((way) => TAGS.map((tag) => ({ way, tag })));

/** While the disk takes nothing, others write `theirs` at both places, and the phone asks and goes away. */
async function held(
  { server, store, desk }: Scene,
  { way, theirs }: { way: Way; theirs: JsonRecord },
): Promise<void> {
  store.hold();
  const written = await askedOfDisk(() => desk.post(PLACES.map((place) => put(place, theirs))));
  await givenUp(server, ASKING[way]());
  pass(5 * SECOND);
  store.release();
  expect(await written.answer).toBe(200);
  pass(5 * SECOND);
}

/** How many changes the phone was not sent, as the operator is told. */
async function behind({ url }: TestServer): Promise<number | null | undefined> {
  const answer = await fetch(`${url}/admin/api/users/anna/devices`);
  const { devices } = (await answer.json()) as { devices: Shown[] };
  return devices.find(({ device }) => device === 'phone')?.behind;
}

describe('an answer whose device has gone', () => {
  test.each(CASES)('[H1 H2 L7 L9] $way: a deletion made later, sent $tag', async ({ way, tag }) => {
    const all = await scene();
    await all.desk.post(PLACES.map((collection) => change({ collection, documentId: 'r' })));
    pass(SECOND);
    await held(all, { way, theirs: { id: 'r', a: 5, b: 5 } });
    const deletions = PLACES.map((collection) => change({ collection, documentId: 'r' }));
    pass(5 * SECOND);
    await all.phone.post(deletions, { tag });
    for (const place of PLACES) expect(all.phone.store[place]?.r).toEqual({ id: 'r', a: 5, b: 5 });
  });

  test.each(WAYS)('[A0] %s: what it showed was not sent, as the operator is told', async (way) => {
    const all = await scene();
    expect(await behind(all.server)).toBe(0);
    await held(all, { way, theirs: { id: 'r', a: 5, b: 5 } });
    expect(await behind(all.server)).toBe(way === 'a POST' ? 2 : 1);
    await all.phone.get();
    expect(await behind(all.server)).toBe(0);
  });

  test.each(['a GET', 'a POST of nothing'] as const)(
    '[H1 H2 L4 L6] %s: what was set back on the answer before it, which showed the same, is taken',
    async (way) => {
      const { server, store, desk, phone } = await scene();
      await desk.post(PLACES.map((place) => put(place, { id: 'r', a: 1, b: 2 })));
      await phone.get();
      pass(5 * SECOND);
      const back = PLACES.map((place) => put(place, { id: 'r', a: 1, b: 1 }));
      pass(5 * SECOND);
      store.hold();
      const saved = await askedOfDisk(() => new HttpDevice(server.url, 'anna', 'tablet').get());
      await givenUp(server, ASKING[way]());
      pass(5 * SECOND);
      store.release();
      expect(await saved.answer).toBe(200);
      pass(5 * SECOND);
      await phone.post(back);
      for (const place of PLACES) expect(phone.record(place, 'r')).toEqual({ id: 'r', a: 1, b: 1 });
    },
  );
});

test('[O2] an export whose client goes before anything of it is there is no error', async () => {
  const { log, events } = collectingLog();
  const server = await useServer({ IDLE_TIMEOUT: '1ms' }, { log });
  await new HttpDevice(server.url, 'anna', 'desk').post([put('notes', { id: 'r', a: 1 })]);
  let release = () => {};
  const of = vi.spyOn(SeenDevices.prototype, 'of').mockImplementationOnce(
    () =>
      new Promise((resolve) => {
        release = () => resolve([]);
      }),
  );
  const closes = firstCloses();
  const phone = new AbortController();
  const answer = fetch(`${server.url}/api/users/anna/export`, { signal: phone.signal }).catch(() => null);
  await vi.waitUntil(() => of.mock.calls.length === 1, { interval: 1, timeout: PATIENCE });
  const gone = closes();
  phone.abort();
  await gone;
  expect(await answer).toBe(null);
  release();
  const metrics = async () => (await fetch(`${server.url}/metrics`)).text();
  await expect.poll(metrics, { timeout: PATIENCE }).toContain('telemed_documents 0\n');
  expect(await metrics()).toContain('telemed_refused_total{code="INTERNAL"} 0\n');
  expect(events.filter(({ name }) => name === 'unexpected')).toEqual([]);
});

/** Node does not tell such an answer that its connection was closed. */
describe('an answer that waits behind another one on its connection, as that is closed', () => {
  /** The phone asks twice at once, and goes away; the first so many of the answers are held until `release`. */
  async function bothGivenUp({ port }: TestServer, count: number) {
    const releases: (() => void)[] = [];
    const hold = () => new Promise<void>((resolve) => releases.push(resolve));
    const durable = vi.spyOn(FollowedDocument.prototype, 'durable');
    for (let held = 0; held < count; held++) durable.mockImplementationOnce(hold);
    const goesOut = vi.spyOn(RequestView.prototype, 'goesOut');
    const sent = vi.spyOn(RequestView.prototype, 'sent');
    const closes = firstCloses();
    const socket = connect(port, '127.0.0.1');
    onTestFinished(() => void socket.destroy());
    socket.write('GET /api/sync/anna HTTP/1.1\r\nHost: server\r\nDevice-ID: phone\r\n\r\n'.repeat(2));
    // Each of both documents.
    const isMade = () => releases.length === count && sent.mock.calls.length === 2 * (2 - count);
    await vi.waitUntil(isMade, { interval: 1, timeout: PATIENCE });
    const gone = closes();
    socket.destroy();
    await gone;
    const release = () => {
      for (const each of releases) each();
    };
    return { view: goesOut.mock.contexts[0] as RequestView, sent, release };
  }

  const HELD = [
    ['before it is made', 2],
    ['after', 1],
  ] as const;

  test.each(HELD)('[H1 L4] it does not go out for ever: %s', async (_, count) => {
    const { server } = await scene();
    const { view, sent, release } = await bothGivenUp(server, count);
    release();
    await expect.poll(() => view.isAnswered, { timeout: PATIENCE }).toBe(false);
    expect(sent).toHaveBeenCalledTimes(2 * (2 - count));
  });

  test('[O2] the document of an export is let go of', async () => {
    const { log, events } = collectingLog();
    const server = await useServer({ IDLE_TIMEOUT: '1ms' }, { log });
    const desk = new HttpDevice(server.url, 'anna', 'desk');
    await desk.post([put('notes', { id: 'r', text: 'z'.repeat(100_000) })]);
    const metrics = async () => (await fetch(`${server.url}/metrics`)).text();
    let release = () => {};
    vi.spyOn(FollowedDocument.prototype, 'durable').mockImplementationOnce(
      () =>
        new Promise((resolve) => {
          release = resolve;
        }),
    );
    const closes = firstCloses();
    const socket = connect(server.port, '127.0.0.1');
    onTestFinished(() => void socket.destroy());
    for (const path of ['sync/anna', 'users/anna/export']) {
      socket.write(`GET /api/${path} HTTP/1.1\r\nHost: server\r\nDevice-ID: phone\r\n\r\n`);
    }
    await expect.poll(() => events.some(({ name }) => name === 'exported'), { timeout: PATIENCE }).toBe(true);
    const gone = closes();
    socket.destroy();
    await gone;
    release();
    await expect.poll(metrics, { timeout: PATIENCE }).toContain('telemed_documents 0\n');
    expect(events.filter(({ name }) => name === 'unexpected')).toEqual([]);
  });

  test('it gives back its place among the requests of its address', async () => {
    const { server } = await scene({ MAX_SOCKETS_PER_ADDRESS: '2' });
    const { release } = await bothGivenUp(server, 2);
    release();
    await useJson(server, 'anna', 'tablet'); // takes one of the two
    const status = async () => (await fetch(`${server.url}/api/sync/anna`)).status;
    await expect.poll(status, { timeout: PATIENCE }).toBe(200);
  });
});
