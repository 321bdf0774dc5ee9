/** Who comes in, and how fast: with real sockets, at each limit and one past it (S4). */
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import WebSocket from 'ws';
import { collectingLog } from '../../../server/log.js';
import { MAX_CONTAINERS } from '../../../server/protocol/body-shape.js';
import { messages } from '../../../server/protocol/yjs.js';
import { MemoryStore } from '../../../server/store/memory/memory-store.js';
import type { Collections } from '../../../shared/json.js';
import type { JsonDevice } from '../../support/devices/json-device.js';
import type { TestServer } from '../../support/server.js';
import { openJson, openRaw, useJson, useRaw, useServer } from '../../support/use.js';

type Headers = Readonly<Record<string, string>>;

/** What an upgrade is answered: its status, and the header that tells when to come again. */
async function upgrade(server: TestServer, user: string, headers: Headers = {}) {
  const ws = new WebSocket(`${server.url.replace('http', 'ws')}/yjs/${user}`, { headers });
  onTestFinished(() => ws.terminate());
  ws.on('error', () => {});
  return new Promise<{ ws: WebSocket; status: number; retryAfter: string | undefined }>((resolve) => {
    ws.once('open', () => resolve({ ws, status: 101, retryAfter: undefined }));
    ws.once('unexpected-response', (request, response) => {
      request.destroy();
      resolve({ ws, status: response.statusCode ?? 0, retryAfter: response.headers['retry-after'] });
    });
  });
}

const statusOf = async (server: TestServer, user: string, headers: Headers = {}): Promise<number> =>
  (await upgrade(server, user, headers)).status;

/** How often connections of a protocol were not read for a while, as the server tells. */
async function pauses(server: TestServer, protocol: 'yjs' | 'json'): Promise<number> {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  return Number(text.match(`telemed_rate_pauses_total{protocol="${protocol}"} (\\d+)`)?.[1]);
}

/** A stream with nothing of ours around it. */
async function rawSocket({ port }: TestServer): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

async function textUntilEnd(socket: Socket): Promise<string> {
  let text = '';
  socket.on('data', (data) => {
    text += data;
  });
  await once(socket, 'close');
  return text;
}

describe('[S4] places', () => {
  test('MAX_SOCKETS_PER_USER: one past it gets 429 before anything is loaded; a place that is left is free', async () => {
    const server = await useServer({ MAX_SOCKETS_PER_USER: '3' });
    await useJson(server, 'anna', 'phone');
    const second = await upgrade(server, 'anna');
    await useRaw(server, 'anna');
    expect(await upgrade(server, 'anna')).toMatchObject({ status: 429, retryAfter: '10' });
    expect(await statusOf(server, 'bert')).toBe(101);
    second.ws.close();
    await once(second.ws, 'close');
    await expect.poll(() => statusOf(server, 'anna')).toBe(101);
    expect(await statusOf(server, 'anna')).toBe(429);
  });

  test('eight devices of an app that opens three connections each all send over their last one', async () => {
    const server = await useServer();
    const devices = await Promise.all(
      Array.from({ length: 8 }, async (_, n) => {
        const device = `device-${n}`;
        const [, , last] = await Promise.all([1, 2, 3].map(() => useJson(server, 'anna', device)));
        return last as JsonDevice;
      }),
    );
    for (const [n, device] of devices.entries()) device.update('notes', { id: `n${n}` });
    await Promise.all(devices.map((device) => device.saved()));
    const { notes } = (await (await fetch(`${server.url}/api/sync/anna`)).json()) as Collections;
    expect(notes?.map(({ id }) => id).sort()).toEqual(devices.map((_, n) => `n${n}`));
  });

  test('MAX_SOCKETS_PER_ADDRESS: one past it gets 429, of whichever user; requests count with sockets', async () => {
    const server = await useServer({ MAX_SOCKETS_PER_ADDRESS: '2' });
    const first = await upgrade(server, 'anna');
    expect((await fetch(`${server.url}/api/sync/anna`)).status).toBe(200);
    await upgrade(server, 'bert');
    expect(await statusOf(server, 'carl')).toBe(429);
    const refused = await fetch(`${server.url}/api/sync/carl`);
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '10']);
    expect(await refused.json()).toMatchObject({ code: 'TOO_MANY_SOCKETS' });
    expect((await fetch(`${server.url}/health`)).status).toBe(200);
    first.ws.terminate();
    await expect.poll(() => statusOf(server, 'carl')).toBe(101);
  });

  test('TRUST_PROXY: places are those of whom the proxy speaks for', async () => {
    const server = await useServer({ MAX_SOCKETS_PER_ADDRESS: '1', TRUST_PROXY: '127.0.0.1' });
    const by = (address: string) => statusOf(server, 'anna', { 'X-Forwarded-For': address });
    expect([await by('1.1.1.1'), await by('2.2.2.2'), await by('1.1.1.1')]).toEqual([101, 101, 429]);
    expect(await by('9.9.9.9, 2.2.2.2')).toBe(429);
  });

  test('without it a header changes nothing, and is told of once', async () => {
    const { log, events } = collectingLog();
    const server = await useServer({ MAX_SOCKETS_PER_ADDRESS: '1' }, { log });
    const by = (address: string) => statusOf(server, 'anna', { 'X-Forwarded-For': address });
    expect([await by('1.1.1.1'), await by('2.2.2.2'), await by('3.3.3.3')]).toEqual([101, 429, 429]);
    const told = events.filter(({ name }) => name === 'proxyNotTrusted');
    expect(told).toEqual([{ name: 'proxyNotTrusted', fields: { address: '127.0.0.1' } }]);
    expect(events.find(({ name }) => name === 'upgradeRefused')?.fields.address).toBe('127.0.0.1');
  });

  test('[N8] a client can not free itself of its offences by a header', async () => {
    const server = await useServer();
    for (let n = 0; n < 3; n++) {
      const raw = await useRaw(server, 'anna', 'hostile');
      raw.send(Uint8Array.of(77));
      await raw.end();
    }
    const ws = new WebSocket(`${server.url.replace('http', 'ws')}/yjs/anna?deviceId=hostile`, {
      headers: { 'X-Forwarded-For': '7.7.7.7' },
    });
    ws.on('error', () => {});
    const [, response] = await once(ws, 'unexpected-response');
    expect(response.statusCode).toBe(429);
    ws.terminate();
  });
});

describe('[S4] rates', () => {
  test('MESSAGE_BURST: what is above it is read later, all of it, in its order', async () => {
    const server = await useServer({ MESSAGE_BURST: '20', MESSAGE_RATE: '50' });
    const raw = await useRaw(server, 'anna');
    const began = performance.now();
    for (let n = 1; n <= 60; n++) raw.send(messages.checkpoint(n));
    await raw.until(() => raw.of('checkpoint').length === 60);
    expect(raw.of('checkpoint').map(({ n }) => n)).toEqual(Array.from({ length: 60 }, (_, n) => n + 1));
    // 60 messages and some pings, of which 20 came at once.
    expect(performance.now() - began).toBeGreaterThan(700);
    expect(raw.closed).toBeNull();
  });

  test('the same messages below it are not held up', async () => {
    const server = await useServer({ MESSAGE_BURST: '100', MESSAGE_RATE: '1' });
    const raw = await useRaw(server, 'anna');
    for (let n = 1; n <= 60; n++) raw.send(messages.checkpoint(n));
    await raw.until(() => raw.of('checkpoint').length === 60);
    expect(await pauses(server, 'yjs')).toBe(0);
  });

  test('BYTE_BURST: a JSON device above it gets everything saved, later', async () => {
    const server = await useServer({ BYTE_BURST: '40 KB', BYTE_RATE: '40 KB' });
    const device = await useJson(server, 'anna', 'phone');
    const began = performance.now();
    for (let n = 0; n < 8; n++) device.update('notes', { id: `n${n}`, text: 'x'.repeat(10_000) });
    await device.saved();
    expect(performance.now() - began).toBeGreaterThan(700);
    expect(await pauses(server, 'json')).toBeGreaterThan(0);
  });

  test('requests: one past MESSAGE_BURST gets 429 and is told when to come again; others do not', async () => {
    const server = await useServer({ MESSAGE_BURST: '5', MESSAGE_RATE: '1' });
    const get = (user: string) => fetch(`${server.url}/api/sync/${user}`);
    for (let n = 0; n < 5; n++) expect((await get('anna')).status).toBe(200);
    const refused = await get('anna');
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '1']);
    expect(await refused.json()).toMatchObject({ code: 'TOO_MANY_REQUESTS' });
    expect((await get('bert')).status).toBe(200);
    expect((await fetch(`${server.url}/health`)).status).toBe(200);
  });

  test('a batch costs as many as it has changes, and history more than a read', async () => {
    const server = await useServer({ MESSAGE_BURST: '20', MESSAGE_RATE: '1' });
    const changes = Array.from({ length: 30 }, (_, n) => ({
      type: 'DATA_UPDATE',
      data: { collection: 'notes', document: { id: `n${n}` }, timestamp: 1 },
      userId: 'anna',
      deviceId: 'phone',
    }));
    const post = await fetch(`${server.url}/api/sync/anna`, {
      method: 'POST',
      body: JSON.stringify({ changes }),
    });
    expect(post.status).toBe(200);
    const later = await fetch(`${server.url}/api/sync/anna`);
    expect([later.status, Number(later.headers.get('retry-after'))]).toEqual([429, expect.closeTo(11, -1)]);
    const history = async (user: string) => (await fetch(`${server.url}/api/history/${user}`)).status;
    expect([await history('bert'), await history('bert'), await history('bert')]).toEqual([200, 200, 429]);
  });

  test('bytes of answers count: who fetches whole documents has to wait', async () => {
    const server = await useServer({ BYTE_BURST: '100 KB', BYTE_RATE: '1 KB' });
    const device = await useJson(server, 'anna', 'phone');
    device.update('notes', { id: 'n1', text: 'x'.repeat(40_000) });
    await device.saved();
    const get = async () => {
      const response = await fetch(`${server.url}/api/sync/anna`, { headers: { Connection: 'close' } });
      await response.text();
      return response.status;
    };
    const statuses = [];
    for (let n = 0; n < 5; n++) statuses.push(await get());
    expect(statuses).toEqual([200, 200, 200, 429, 429]);
  });

  test('upgrades draw on the same allowance: a loop of connections is slowed', async () => {
    const server = await useServer({ MESSAGE_BURST: '10', MESSAGE_RATE: '1' });
    const statuses = [];
    for (let n = 0; n < 3; n++) statuses.push(await upgrade(server, 'anna'));
    expect(statuses.map(({ status }) => status)).toEqual([101, 101, 429]);
    expect(Number(statuses[2]?.retryAfter)).toBeGreaterThan(0);
  });
});

describe('[S4] who is slow', () => {
  test('UPGRADE_TIMEOUT: a document that loads within it is there, one past it closes with 1013', async () => {
    const store = new MemoryStore();
    let delay = 50;
    const load = store.load.bind(store);
    store.load = async (user) => {
      await sleep(delay);
      return load(user);
    };
    const server = await useServer({ UPGRADE_TIMEOUT: '400ms' }, { store });
    await useJson(server, 'anna', 'phone');
    delay = 1_500;
    const late = openJson(server, 'bert', 'phone');
    expect((await late.end()).code).toBe(1013);
  });

  test('HEADERS_TIMEOUT: who sends half of its headers, or nothing, is gone', async () => {
    const server = await useServer({ HEADERS_TIMEOUT: '300ms' });
    const [half, silent] = [await rawSocket(server), await rawSocket(server)];
    half.write('GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: ');
    const [first, second] = await Promise.all([textUntilEnd(half), textUntilEnd(silent)]);
    expect(first).toMatch(/^HTTP\/1\.1 408 /);
    expect(second === '' || second.startsWith('HTTP/1.1 408 ')).toBe(true);
  });

  test.each<[Record<string, string>, number, number]>([
    [{}, 130_000, 132_000],
    [{ MAX_HEADERS: '16 KiB' }, 15_000, 17_000],
  ])('headers above MAX_HEADERS get 431: %j', async (options, fits, doesNot) => {
    const server = await useServer(options);
    const status = (size: number) =>
      new Promise<number>((resolve, reject) => {
        const headers = { 'X-Large': 'x'.repeat(size) };
        const request = httpRequest(`${server.url}/health`, { headers, agent: false });
        request.once('response', (response) => resolve(response.resume().statusCode ?? 0));
        request.once('error', reject).end();
      });
    expect([await status(fits), await status(doesNot)]).toEqual([200, 431]);
  });
});

describe('[S4] what must not grow', () => {
  test('WebSockets are never compressed', async () => {
    const server = await useServer();
    const { ws } = await upgrade(server, 'anna');
    expect(ws.extensions).toBe('');
  });

  test('[H2] a body that would become many times as large in memory is refused before it is parsed', async () => {
    const server = await useServer();
    const post = async (changes: string) => {
      const response = await fetch(`${server.url}/api/sync/anna`, {
        method: 'POST',
        body: `{"changes":[${changes}]}`,
      });
      return [response.status, ((await response.json()) as { code: string }).code];
    };
    expect(await post('['.repeat(100_000) + ']'.repeat(100_000))).toEqual([400, 'TOO_DEEP']);
    const most = MAX_CONTAINERS - 2;
    expect(await post(`${'[],'.repeat(most - 1)}[]`)).toEqual([400, 'INVALID_MESSAGE']); // more than 1,000 changes
    expect(await post(`${'[],'.repeat(most)}[]`)).toEqual([413, 'MESSAGE_TOO_LARGE']);
    expect(await post(`"${'[{\\"'.repeat(300_000)}"`)).toEqual([400, 'UNKNOWN_TYPE']); // all in one string
  });

  test('a message in 20,000 pieces closes with 1008, one in 1,000 is read', async () => {
    const server = await useServer();
    const raw = await useRaw(server, 'anna');
    const inPieces = (count: number) => {
      const bytes = messages.checkpoint(7);
      raw.ws.send(bytes.subarray(0, 1), { fin: false });
      for (let n = 0; n < count; n++) raw.ws.send(new Uint8Array(0), { fin: false });
      raw.ws.send(bytes.subarray(1), { fin: true });
    };
    inPieces(1_000);
    await raw.next('checkpoint');
    inPieces(20_000);
    expect((await raw.end()).code).toBe(1008);
  });

  test.each([
    ['a state vector of 60,001 clients', stateVector(60_001)],
    ['a state vector of 1,000,000 clients', stateVector(1_000_000)],
    ['1,001 awareness states', awareness(1_001)],
    ['300,000 awareness states', awareness(300_000)],
  ])('[N8 N6] %s close with 1007', async (_, message) => {
    const server = await useServer();
    const raw = await useRaw(server, 'anna');
    raw.send(message);
    expect((await raw.end()).code).toBe(1007);
  });

  test('[N6] at the limit they are taken; states with clocks that nobody could exceed are passed over', async () => {
    const server = await useServer();
    const [raw, other] = [await useRaw(server, 'anna'), await useRaw(server, 'anna')];
    raw.send(stateVector(60_000));
    await raw.next('syncStep2');
    raw.send(messages.awareness([{ id: 7, clock: Number.MAX_SAFE_INTEGER, state: '{"forged":1}' }]));
    raw.send(messages.awareness([{ id: 8, clock: 1, state: '['.repeat(1_000_000) }])); // not even parsed
    raw.send(awareness(1_000));
    const { entries } = await other.next('awareness');
    expect(entries.map(({ id, state }) => [id, state])).toEqual(
      [0, 1, 2, 3, 4, 5, 6, 7].map((id) => [id, '{}']),
    );
    raw.send(messages.checkpoint(1));
    await raw.next('checkpoint');
  });
});

function stateVector(clients: number): Uint8Array {
  const bytes: number[] = [];
  const uint = (value: number) => {
    let rest = value;
    for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
    bytes.push(rest);
  };
  uint(clients);
  for (let client = 1; client <= clients; client++) {
    uint(client);
    uint(0);
  }
  return messages.syncStep1(Uint8Array.from(bytes));
}

function awareness(states: number): Uint8Array {
  return messages.awareness(Array.from({ length: states }, (_, id) => ({ id, clock: 1, state: '{}' })));
}

test('[N1 S4] SyncStep1 in a loop is answered no faster than it is read', async () => {
  const server = await useServer({ BYTE_BURST: '1 MiB', BYTE_RATE: '1 KiB' });
  const device = await useJson(server, 'anna', 'phone');
  device.update('notes', { id: 'n1', text: 'x'.repeat(200_000) });
  await device.saved();
  const raw = openRaw(server, 'anna');
  await raw.until(() => raw.messages.length > 0);
  for (let n = 0; n < 2_000; n++) raw.send(Uint8Array.of(0, 0, 1, 0));
  await raw.until(() => raw.of('syncStep2').length > 0);
  await sleep(300);
  expect(raw.of('syncStep2').length).toBeLessThanOrEqual(6);
  expect(raw.closed).toBeNull();
});

test('[S4] bodies under way count before they have come, by user and by address, and are given back', async () => {
  const server = await useServer({ BYTE_BURST: '1 MiB', BYTE_RATE: '1 MiB' });
  const { port } = new URL(server.url);
  const stuck = (user: string) => {
    const socket = connect(Number(port), '127.0.0.1');
    socket.on('error', () => {});
    const size = 3 * 2 ** 20;
    socket.write(`POST /api/yjs/${user} HTTP/1.1\r\nHost: x\r\nContent-Length: ${size}\r\n\r\n`);
    return socket;
  };
  const status = async (user: string) => (await fetch(`${server.url}/api/sync/${user}`)).status;
  const socket = stuck('anna');
  await expect.poll(() => status('anna')).toBe(429);
  expect(await status('bert')).toBe(429);
  socket.destroy();
  await expect.poll(() => status('bert')).toBe(200);
});
