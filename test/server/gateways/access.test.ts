/** Tokens at every way in: where they are looked for, what they allow, how they end (A2–A5, N7). */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import WebSocket from 'ws';
import * as Y from 'yjs';
import { collectingLog, createLog, withoutToken } from '../../../server/log.js';
import { encodeExchange } from '../../../server/protocol/exchange.js';
import { messages } from '../../../server/protocol/yjs.js';
import { bearer, type Grant, JWT, tokenFor } from '../../support/tokens.js';
import { openJson, openNative, openRaw, useServer } from '../../support/use.js';

const json = async (response: Response): Promise<unknown> => response.json();
const get = (url: string, path: string, token?: string): Promise<Response> =>
  fetch(`${url}${path}`, token === undefined ? {} : { headers: bearer(token) });
const post = (
  url: string,
  path: string,
  token: string,
  body: unknown,
  headers: object = {},
): Promise<Response> =>
  fetch(`${url}${path}`, {
    method: 'POST',
    headers: { ...bearer(token), ...headers },
    body: JSON.stringify(body),
  });

const change = (userId: string, document: object, deviceId = 'phone') => ({
  type: 'DATA_UPDATE',
  data: { collection: 'appointments', document, timestamp: Date.now() },
  userId,
  deviceId,
  timestamp: Date.now(),
});
const reads: Grant = { user: 'anna', mode: 'read' };
const writes: Grant = { user: 'anna', mode: 'write' };

/** A JSON device with a token, confirmed. */
async function useJsonWith(server: { url: string }, user: string, device: string, token: string) {
  const opened = openJson(server, user, device, { headers: bearer(token) });
  await opened.next('CONNECTION_CONFIRMED');
  return opened;
}

async function useNativeWith(
  server: { url: string },
  user: string,
  device: string,
  token: string,
  doc?: Y.Doc,
) {
  const opened = openNative(server, user, device, { params: { token }, ...(doc && { doc }) });
  await opened.synced();
  return opened;
}

describe('[A3] a token is looked for', () => {
  test('in the header, in the subprotocol and in the query, on upgrades', async () => {
    const server = await useServer(JWT);
    const token = await tokenFor('anna');
    const address = `${server.url.replace('http', 'ws')}/yjs/anna`;
    const opened = (url: string, protocols: string[], headers = {}) =>
      new Promise<string>((resolve, reject) => {
        const ws = new WebSocket(url, protocols, { headers });
        onTestFinished(() => ws.terminate());
        ws.on('close', (code) => reject(new Error(`closed with ${code}`)));
        ws.on('error', reject);
        ws.once('message', () => resolve(ws.protocol));
      });
    expect(await opened(address, [], bearer(token))).toBe('');
    expect(await opened(address, ['bearer', token])).toBe('bearer');
    expect(await opened(`${address}?token=${token}`, [])).toBe('');
    await expect(opened(address, ['other', token])).rejects.toThrow('closed with 4401');
  });

  test('in the header and in the query, over HTTP', async () => {
    const { url } = await useServer(JWT);
    const token = await tokenFor('anna');
    expect((await get(url, '/api/sync/anna', token)).status).toBe(200);
    expect((await get(url, `/api/sync/anna?token=${token}`)).status).toBe(200);
    const refused = await get(url, '/api/sync/anna');
    expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
    expect(await json(refused)).toMatchObject({ code: 'UNAUTHORIZED' });
  });

  test('and is in no line of the log, whatever goes wrong with it', async () => {
    const lines: string[] = [];
    const logs = (['human', 'json'] as const).map((format) =>
      createLog({ format, stream: { write: (line: string) => lines.push(line) } }),
    );
    const server = await useServer(JWT, {
      log: (name, fields) => logs.forEach((log) => void log(name, fields)),
    });
    const token = await tokenFor('bert', { jti: 'x' });
    const address = `${server.url.replace('http', 'ws')}`;
    const encoded = token.replace(/[A-Za-z]/g, (letter) => `%${letter.charCodeAt(0).toString(16)}`);
    const closed = (url: string, protocols: string[] = [], headers = {}) =>
      new Promise<void>((resolve) => {
        const ws = new WebSocket(url, protocols, { headers });
        ws.on('error', () => {});
        ws.on('close', () => resolve());
      });
    for (const path of ['/yjs/anna', '/sync?userId=anna&deviceId=phone', '/nowhere', '/yjs/anna%00']) {
      const sign = path.includes('?') ? '&' : '?';
      await closed(`${address}${path}${sign}token=${token}`);
      await closed(`${address}${path}${sign}%74oken=${encoded}`);
      await closed(`${address}${path}${sign}TOKEN=${token}`);
      await closed(`${address}${path}`, ['bearer', token]);
      await closed(`${address}${path}`, [], bearer(token));
      await get(server.url, `${path}${sign}token=${token}`);
    }
    await closed(`${address}/yjs/anna%3Ftoken%3D${token}`);
    await get(server.url, `/api/sync/anna?token=${token}&%74oken=${encoded}`);
    await get(server.url, '/api/sync/anna', token);
    await get(server.url, '/api/sync/anna', `${token}tampered`);
    expect(lines.filter((line) => /"event":"accessRefused"/.test(line)).length).toBeGreaterThan(10);
    const [, body = '', signature = ''] = token.split('.');
    for (const secret of [body, signature, encoded.slice(0, 60)])
      expect(lines.join('')).not.toContain(secret);
    expect(withoutToken(`/yjs/a?%74oken=${encoded}&x=1`)).toBe('/yjs/a?%74oken=…&x=1');
  });
});

describe('[A4] no access', () => {
  test('[S4] strangers at the same address do not use up what the user may ask for', async () => {
    const server = await useServer({ ...JWT, MESSAGE_RATE: '1', MESSAGE_BURST: '5' });
    const token = await tokenFor('anna');
    for (let n = 0; n < 20; n++) expect((await get(server.url, '/api/sync/anna')).status).toBe(401);
    expect((await get(server.url, '/api/sync/anna', token)).status).toBe(200);
    const statuses = [];
    for (let n = 0; n < 20; n++) statuses.push((await get(server.url, '/api/sync/anna', token)).status);
    expect(statuses).toContain(429);
  });

  test('a WebSocket opens and is closed with 4401 or 4403; y-websocket takes that as final', async () => {
    const { log, events } = collectingLog();
    const server = await useServer(JWT, { log });
    for (const [token, code] of [
      [await tokenFor('anna', { expiresIn: -60 }), 4401],
      [await tokenFor('bert'), 4403],
    ] as const) {
      const native = openNative(server, 'anna', 'phone', { params: { token } });
      await native.until(() => native.closes.length > 0);
      expect(native.closes).toEqual([code]);
      expect(native.provider.shouldConnect).toBe(false);
      const device = openJson(server, 'anna', 'phone', { headers: bearer(token) });
      expect(await device.end()).toMatchObject({ code });
      expect(device.messages).toEqual([]);
    }
    expect(events.filter(({ name }) => name === 'accessRefused')).toHaveLength(4);
    expect(events.some(({ name }) => name === 'connected')).toBe(false);
  });

  test('one who is turned away and does not go is cut off, whatever it sends', async () => {
    const server = await useServer(JWT);
    const raw = openRaw(server, 'anna', 'phone');
    await new Promise((resolve) => raw.ws.once('open', resolve));
    raw.ws.pause(); // does not see the close, so does not answer it
    raw.ws.send(new Uint8Array(1_000_000));
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    raw.ws.resume();
    expect((await raw.end()).code).toBe(4401);
  });

  test('a connection ends when its token expires, and what it sent before is kept', async () => {
    const server = await useServer(JWT);
    const token = await tokenFor('anna', { expiresIn: 2 });
    const [native, device] = [
      await useNativeWith(server, 'anna', 'laptop', token),
      await useJsonWith(server, 'anna', 'phone', token),
    ];
    native.record('appointments', 'a1').set('room', 4);
    const ended = await device.end();
    expect(ended).toEqual({ code: 4401, reason: 'The token has expired.' });
    await native.until(() => native.closes.length > 0);
    expect(native.closes).toEqual([4401]);
    const later = await get(server.url, '/api/sync/anna', await tokenFor('anna'));
    expect(await json(later)).toMatchObject({ appointments: [{ id: 'a1', room: 4 }] });
  });

  test('y-websocket goes on with a new token by the documented line, and loses no edit', async () => {
    const server = await useServer(JWT);
    const native = await useNativeWith(server, 'anna', 'laptop', await tokenFor('anna', { expiresIn: 2 }));
    const next = await tokenFor('anna');
    native.provider.on('closed', ({ code }) => {
      if (code !== 4401) return;
      native.provider.params.token = next;
      native.record('appointments', 'a1').set('room', 7); // made while there is no connection
      native.provider.connect();
    });
    await native.until(() => native.closes.length > 0);
    await native.synced();
    await native.saved();
    expect(await json(await get(server.url, '/api/sync/anna', next))).toMatchObject({
      appointments: [{ id: 'a1', room: 7 }],
    });
  });
});

describe('[N7] with a token that only reads', () => {
  test('a native device gets everything; what would change the document is denied and changes nothing', async () => {
    const server = await useServer(JWT);
    const owner = await useNativeWith(server, 'anna', 'laptop', await tokenFor('anna'));
    owner.record('appointments', 'a1').set('room', 4);
    owner.record('appointments', 'a2').set('room', 5);
    owner.collection('appointments').delete('a2');
    await owner.saved();
    const token = await tokenFor('doctor', { access: [reads] });
    const raw = openRaw(server, 'anna', 'tablet', { token });
    const { stateVector } = await raw.next('syncStep1');
    const copy = new Y.Doc();
    raw.send(messages.syncStep1(Y.encodeStateVector(copy)));
    Y.applyUpdate(copy, (await raw.next('syncStep2')).update);
    expect(copy.getMap('appointments').toJSON()).toEqual({ a1: { room: 4 } });

    // As y-websocket answers: nothing new, but every deletion; and all of the document once more.
    raw.send(messages.syncStep2(Y.encodeStateAsUpdate(copy, stateVector)));
    raw.send(messages.update(Y.encodeStateAsUpdate(copy)));
    raw.send(messages.syncStep2(Y.encodeStateAsUpdate(new Y.Doc())));
    raw.send(messages.checkpoint(1));
    expect(await raw.next('checkpoint')).toMatchObject({ n: 1 });
    expect(raw.of('auth')).toEqual([]);

    const edited = Y.encodeStateVector(copy);
    copy.getMap<Y.Map<unknown>>('appointments').get('a1')?.set('room', 9);
    const deletes = new Y.Doc();
    Y.applyUpdate(deletes, Y.encodeStateAsUpdate(copy, undefined));
    const change = Y.encodeStateAsUpdate(copy, edited);
    raw.send(messages.update(change));
    raw.send(messages.checkpoint(2));
    await raw.next('auth');
    await raw.heard();
    expect(raw.of('checkpoint')).toHaveLength(1);
    expect(raw.closed).toBeNull();
    // It still hears what others do.
    owner.record('appointments', 'a1').set('room', 6);
    await raw.next('update');
    expect(await json(await get(server.url, '/api/sync/anna', token))).toMatchObject({
      appointments: [{ id: 'a1', room: 6 }],
    });
    const history = (await json(await get(server.url, '/api/history/anna', token))) as { entries: unknown[] };
    expect(history.entries).not.toContainEqual(expect.objectContaining({ actor: 'doctor' }));
  });

  test('a deletion alone, and an update that waits for another one, are denied as well', async () => {
    const server = await useServer(JWT);
    const owner = await useNativeWith(server, 'anna', 'laptop', await tokenFor('anna'));
    owner.record('appointments', 'a1').set('room', 4);
    await owner.saved();
    const raw = openRaw(server, 'anna', 'tablet', { token: await tokenFor('doctor', { access: [reads] }) });
    await raw.next('syncStep1');
    const copy = new Y.Doc();
    Y.applyUpdate(copy, Y.encodeStateAsUpdate(owner.doc));
    const updates: Uint8Array[] = [];
    copy.on('update', (update: Uint8Array) => updates.push(update));
    copy.getMap('appointments').delete('a1');
    copy.getMap('appointments').set('b', new Y.Map());
    copy.getMap('appointments').set('c', new Y.Map());
    const [deletion, , dependent] = updates;
    for (const [count, update] of [deletion, dependent].entries()) {
      raw.send(messages.update(update ?? new Uint8Array()));
      await raw.next('auth');
      expect(raw.of('auth')).toHaveLength(count + 1);
    }
    raw.send(messages.update(Uint8Array.of(1, 2, 3)));
    expect((await raw.end()).code).toBe(1007);
    expect(owner.json()).toEqual({ appointments: { a1: { room: 4 } } });
  });

  test('a JSON device gets READ_ONLY, stays connected, and gets no ACK', async () => {
    const server = await useServer(JWT);
    const device = await useJsonWith(server, 'anna', 'tablet', await tokenFor('doctor', { access: [reads] }));
    for (let i = 0; i < 25; i++) device.update('appointments', { id: 'a1', room: i }, { ack: `${i}` });
    device.delete('appointments', 'a1', { ack: 'deleted' });
    await device.until(() => device.of('ERROR').length === 26);
    expect(device.of('ERROR').at(0)).toMatchObject({ code: 'READ_ONLY', ack: '0' });
    device.requestSync({ ack: 'asked' });
    await device.until(() => device.of('ACK').length > 0);
    expect(device.of('ACK').map(({ ack }) => ack)).toEqual(['asked']);
    expect(device.store.appointments).toEqual({});
  });

  test('over HTTP a change gets 403, and what changes nothing does not', async () => {
    const { url } = await useServer(JWT);
    const mine = await tokenFor('anna');
    const token = await tokenFor('doctor', { access: [reads] });
    await post(
      url,
      '/api/sync/anna',
      mine,
      { changes: [change('anna', { id: 'a1', room: 4 })] },
      { 'Device-ID': 'x' },
    );
    const refused = [
      await post(url, '/api/sync/anna', token, { changes: [change('anna', { id: 'a1', room: 5 })] }),
      await post(url, '/api/history/anna/restore', token, {
        collection: 'appointments',
        id: 'a1',
        revision: 1,
      }),
    ];
    for (const response of refused) {
      expect([response.status, await json(response)]).toEqual([
        403,
        expect.objectContaining({ code: 'READ_ONLY' }),
      ]);
    }
    expect((await post(url, '/api/sync/anna', token, { changes: [] })).status).toBe(200);
    const doc = new Y.Doc();
    const exchange = (update: Uint8Array, stateVector = Y.encodeStateVector(doc)) =>
      fetch(`${url}/api/yjs/anna`, {
        method: 'POST',
        headers: bearer(token),
        body: Buffer.from(encodeExchange({ stateVector, update })),
      });
    expect((await exchange(new Uint8Array(0))).status).toBe(200);
    expect((await exchange(Y.encodeStateAsUpdate(doc))).status).toBe(200);
    doc.getMap('appointments').set('a2', new Y.Map());
    expect((await exchange(Y.encodeStateAsUpdate(doc))).status).toBe(403);
    expect(await json(await get(url, '/api/sync/anna', token))).toMatchObject({
      appointments: [{ id: 'a1', room: 4 }],
    });
  });
});

describe('[A2] who did it', () => {
  test('[H5] the history names the person, over every protocol', async () => {
    const server = await useServer(JWT);
    const { url } = server;
    const doctor = await tokenFor('doctor', { access: [writes] });
    const native = await useNativeWith(server, 'anna', 'laptop', doctor);
    native.collection('appointments').set('a1', new Y.Map([['room', 1]]));
    await native.saved();
    const device = await useJsonWith(server, 'anna', 'phone', await tokenFor('anna'));
    device.update('appointments', { id: 'a2', room: 2 });
    await device.saved();
    await post(
      url,
      '/api/sync/anna',
      doctor,
      { changes: [change('anna', { id: 'a3' })] },
      { 'Device-ID': 'desk' },
    );
    await post(url, '/api/history/anna/restore', doctor, {
      collection: 'appointments',
      id: 'a2',
      revision: 2,
    });
    const doc = new Y.Doc();
    doc.getMap('appointments').set('a4', new Y.Map());
    const body = encodeExchange({ stateVector: new Uint8Array(0), update: Y.encodeStateAsUpdate(doc) });
    await fetch(`${url}/api/yjs/anna`, { method: 'POST', headers: bearer(doctor), body: Buffer.from(body) });
    device.delete('appointments', 'a2');
    await device.saved();
    await post(url, '/api/history/anna/restore', doctor, {
      collection: 'appointments',
      id: 'a2',
      revision: 2,
    });
    const { entries } = (await json(await get(url, '/api/history/anna', doctor))) as {
      entries: { id: string; actor: string; via: string }[];
    };
    expect(entries.map(({ id, actor, via }) => [id, actor, via]).reverse()).toEqual([
      ['a1', 'doctor', 'yjs'],
      ['a2', 'anna', 'json'],
      ['a3', 'doctor', 'http'],
      ['a4', 'doctor', 'http'],
      ['a2', 'anna', 'json'],
      ['a2', 'doctor', 'restore'],
    ]);
  });

  test('[L4] what a device has seen is another thing in the hands of another person', async () => {
    const server = await useServer(JWT);
    const anna = await useJsonWith(server, 'anna', 'phone', await tokenFor('anna'));
    anna.update('appointments', { id: 'a1', room: 4, status: 'booked' });
    await anna.saved();
    await anna.close();
    // The doctor's phone has the same id, and was never here: it can't have removed what it never saw.
    const doctor = openJson(server, 'anna', 'phone', {
      headers: bearer(await tokenFor('doctor', { access: [writes] })),
    });
    await new Promise((resolve) => doctor.ws.once('open', resolve));
    const { user: userId, device: deviceId } = doctor;
    const data = { collection: 'appointments', document: { id: 'a1', note: 'late' } };
    doctor.send({ type: 'DATA_UPDATE', data, userId, deviceId });
    await doctor.saved();
    const stored = await json(await get(server.url, '/api/sync/anna', await tokenFor('anna')));
    expect(stored).toMatchObject({
      appointments: [{ id: 'a1', room: 4, status: 'booked', note: 'late' }],
    });
    await doctor.until(() => doctor.of('FULL_SYNC').length > 0);
  });

  test('[L3] fromDevice stays the plain id of the device', async () => {
    const server = await useServer(JWT);
    const anna = await useJsonWith(server, 'anna', 'tablet', await tokenFor('anna'));
    const doctor = await useJsonWith(server, 'anna', 'phone', await tokenFor('doctor', { access: [writes] }));
    doctor.update('appointments', { id: 'a1', room: 4 });
    expect(await anna.next('DATA_UPDATE')).toMatchObject({ fromDevice: 'phone' });
  });
});

interface AuditLine {
  readonly actor: string;
  readonly user: string;
  readonly action: string;
  readonly via: string;
  readonly address: string;
}

test('[A2] every access to the document of another is in the audit trail before it is answered; one’s own is not', async () => {
  const server = await useServer(JWT);
  const { url } = server;
  const doctor = await tokenFor('doctor', { access: [reads, { user: 'bert', mode: 'write' }] });
  await get(url, '/api/sync/anna', await tokenFor('anna'));
  await get(url, '/api/sync/carl', doctor);
  await useNativeWith(server, 'anna', 'laptop', doctor);
  await useJsonWith(server, 'bert', 'phone', doctor);
  await get(url, '/api/sync/anna', doctor);
  await get(url, '/api/history/bert', doctor);
  await post(url, '/api/sync/bert', doctor, { changes: [change('bert', { id: 'a1' })] });
  await post(url, '/api/history/bert/restore', doctor, { collection: 'appointments', id: 'a1', revision: 1 });
  const text = await readFile(join(`${server.folder}-access`, 'audit.jsonl'), 'utf8');
  const lines = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as AuditLine);
  expect(lines.map(({ actor, user, action, via }) => [actor, user, action, via])).toEqual([
    ['doctor', 'anna', 'connect-read', 'yjs'],
    ['doctor', 'bert', 'connect-write', 'json'],
    ['doctor', 'anna', 'read', 'http'],
    ['doctor', 'bert', 'history', 'http'],
    ['doctor', 'bert', 'write', 'http'],
    ['doctor', 'bert', 'restore', 'http'],
  ]);
  expect(new Set(lines.map(({ address }) => address))).toEqual(new Set(['127.0.0.1']));
});

test('[A1] the demo of a server with tokens says that it needs AUTH=none', async () => {
  const { url } = await useServer(JWT);
  const response = await get(url, '/');
  expect([response.status, await json(response)]).toEqual([
    404,
    { code: 'NOT_FOUND', message: 'The demo needs a server with AUTH=none; this one asks for tokens.' },
  ]);
});
