/** What the app's first server took is taken (L12). */
import { describe, expect, test } from 'vitest';
import type { Collections } from '../../../shared/json.js';
import { ask } from '../../support/http-ask.js';
import { useJson, useServer } from '../../support/use.js';

const write = (id: string, more: object = {}, data: object = {}) => ({
  type: 'DATA_UPDATE',
  data: { collection: 'notes', document: { id }, ...data },
  ...more,
});

/** When the changes of this record were made, as the history has it. */
async function madeAt(url: string, id: string): Promise<number[]> {
  const { body } = await ask(`${url}/api/history/anna?id=${id}`);
  const { entries } = JSON.parse(body.toString()) as { entries: { madeAt: number }[] };
  return entries.map((entry) => entry.madeAt);
}

describe('[L12] messages as the first server took them', () => {
  test('JSON in binary frames, with a byte order mark and characters of several bytes, too', async () => {
    const server = await useServer();
    const phone = await useJson(server, 'anna', 'phone');
    phone.ws.send(Buffer.from(JSON.stringify(write('a', { userId: 'anna', deviceId: 'phone', ack: '1' }))));
    phone.ws.send(Buffer.from(`\ufeff${JSON.stringify(write('ärztin 🩺', { ack: '2' }))}`));
    phone.ws.send(new Uint8Array(Buffer.from(JSON.stringify({ type: 'REQUEST_SYNC', ack: '3' }))));
    await phone.until(() => phone.of('ACK').length === 3);
    expect(phone.of('ERROR')).toEqual([]);
    const desk = await useJson(server, 'anna', 'desk');
    expect(Object.keys(desk.store.notes ?? {}).sort()).toEqual(['a', 'ärztin 🩺']);
  });

  test.each([
    ['neither', {}],
    ['no deviceId', { userId: 'anna' }],
    ['no userId', { deviceId: 'phone' }],
    ['null for both', { userId: null, deviceId: null }],
    ['another deviceId', { userId: 'anna', deviceId: 'Pixel 7' }],
  ])('with %s, a message counts for those of the connection', async (_, identity) => {
    const server = await useServer();
    const [phone, desk] = [await useJson(server, 'anna', 'phone'), await useJson(server, 'anna', 'desk')];
    phone.send(write('n', { ...identity, ack: 'u' }));
    expect((await phone.next('ACK')).ack).toBe('u');
    expect((await desk.next('DATA_UPDATE')).fromDevice).toBe('phone');
    phone.send({ type: 'DATA_DELETE', data: { collection: 'notes', documentId: 'n' }, ...identity });
    expect((await desk.next('DATA_DELETE')).fromDevice).toBe('phone');
    phone.send({ type: 'REQUEST_SYNC', ...identity });
    await phone.until(() => phone.of('FULL_SYNC').length === 2);
    phone.send(write('other', { ...identity, userId: 'bert', ack: 'x' }));
    expect(await phone.next('ERROR')).toMatchObject({ code: 'WRONG_USER', ack: 'x' });
  });

  test.each([
    ['ms', (at: number) => at],
    ['ms as text', (at: number) => `${at}`],
    ['seconds', (at: number) => at / 1_000],
    ['ISO 8601', (at: number) => new Date(at).toISOString()],
    [
      'ISO 8601 in another zone',
      (at: number) => new Date(at + 7_200_000).toISOString().replace('Z', '+02:00'),
    ],
    [
      'the same without a colon',
      (at: number) => new Date(at - 19_800_000).toISOString().replace('Z', '-0530'),
    ],
  ])('times as %s are the same time, of the message and of its data', async (_, as) => {
    const server = await useServer();
    const phone = await useJson(server, 'anna', 'phone');
    await phone.saved(); // from here on the phone's clock is known
    const at = Date.now() - 60_000;
    phone.send(write('n', { timestamp: as(Date.now()), ack: '1' }, { timestamp: as(at) }));
    await phone.next('ACK');
    const [made = 0] = await madeAt(server.url, 'n');
    expect(Math.abs(made - at)).toBeLessThan(5_000);
    expect(phone.of('ERROR')).toEqual([]);
  });

  test('a time without a zone could be any: the write is taken as one without a time', async () => {
    const server = await useServer();
    const phone = await useJson(server, 'anna', 'phone');
    for (const time of ['2024-02-29T10:00:00', '2024-02-29', '2024-02-29 10:00']) {
      phone.send(write(time, { timestamp: time, ack: time }, { timestamp: time }));
      expect((await phone.next('ACK')).ack).toBe(time);
      const [made = 0] = await madeAt(server.url, encodeURIComponent(time));
      expect(Date.now() - made).toBeLessThan(60_000);
    }
    expect(phone.of('ERROR')).toEqual([]);
  });

  test('[H2] so they are in a batch over HTTP', async () => {
    const server = await useServer();
    const timestamp = new Date().toISOString();
    const changes = [write('a'), write('b', { timestamp }, { timestamp: Math.floor(Date.now() / 1_000) })];
    const body = JSON.stringify({ changes });
    const post = await ask(`${server.url}/api/sync/anna`, { method: 'POST', body });
    expect(post.status).toBe(200);
    expect((JSON.parse(post.body.toString()) as Collections).notes).toEqual([{ id: 'a' }, { id: 'b' }]);
  });
});

describe('[L12 L10] messages of the app that nobody knows', () => {
  test.each([
    ['a ping', [{ type: 'ping' }]],
    ['some of them in turn', [{ type: 'PING' }, { type: 'PRESENCE', data: { x: 1 } }, { type: 'typing' }]],
  ])('%s gets one ERROR for each type, however often it comes, and the device stays', async (_, kinds) => {
    const server = await useServer();
    const phone = await useJson(server, 'anna', 'phone');
    for (let n = 0; n < 60; n++) for (const kind of kinds) phone.send(kind);
    await phone.saved();
    expect(phone.of('ERROR').map(({ code }) => code)).toEqual(kinds.map(() => 'UNKNOWN_TYPE'));
    // They have used up as many of the 20 bad messages in a minute as there are types.
    for (let n = kinds.length; n < 19; n++) phone.ws.send('bad');
    await phone.saved();
    expect(phone.closed).toBeNull();
    phone.ws.send('bad');
    expect((await phone.end()).code).toBe(1008);
  });

  test('one that waits for an answer gets it each time, and is not counted again', async () => {
    const server = await useServer();
    const phone = await useJson(server, 'anna', 'phone');
    for (let n = 0; n < 25; n++) phone.send({ type: 'ping', ack: `${n}` });
    await phone.saved();
    expect(phone.of('ERROR').map(({ ack }) => ack)).toEqual(Array.from({ length: 25 }, (_, n) => `${n}`));
    expect(phone.closed).toBeNull();
  });

  test('20 different types in a minute are bad messages', async () => {
    const server = await useServer();
    const phone = await useJson(server, 'anna', 'phone');
    for (let n = 0; n < 25; n++) phone.send({ type: `made up ${n}` });
    expect((await phone.end()).code).toBe(1008);
    expect(phone.of('ERROR')).toHaveLength(20);
  });

  test('what has no type, or a long one, is bad each time', async () => {
    const server = await useServer();
    for (const message of [{}, { type: 7 }, { type: 'x'.repeat(65) }, [1]]) {
      const phone = await useJson(server, 'anna', 'phone');
      for (let n = 0; n < 20; n++) phone.send(message);
      expect((await phone.end()).code).toBe(1008);
    }
  });

  test('another connection is told anew', async () => {
    const server = await useServer();
    for (let n = 0; n < 2; n++) {
      const phone = await useJson(server, 'anna', 'phone');
      phone.send({ type: 'ping' });
      expect((await phone.next('ERROR')).code).toBe('UNKNOWN_TYPE');
    }
  });
});
