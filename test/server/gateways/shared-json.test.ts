/** Shared collections as JSON and HTTP devices have them (D8). */
import { describe, expect, onTestFinished, test } from 'vitest';
import type { JsonDevice } from '../../support/devices/json-device.js';
import { ServerProcess } from '../../support/server-process.js';
import { bearer, JWT, tokenFor } from '../../support/tokens.js';
import { openJson, openNative, useJson, useNative, useServer } from '../../support/use.js';

const SHARED = { SHARED_COLLECTIONS: 'doctors' } as const;
const RAO = { id: 'd1', name: 'Dr. Rao', room: 1 };

interface Rows {
  readonly doctors: object[];
  readonly appointments: object[];
}

const change = (userId: string, deviceId: string, document: object, more: object = {}) => ({
  type: 'DATA_UPDATE',
  data: { collection: 'doctors', document, timestamp: Date.now(), ...more },
  userId,
  deviceId,
  timestamp: Date.now(),
});
let saves = 0;
/** `saved` would wait for the user's own document. */
const save = (device: JsonDevice, doctor: object): Promise<unknown> => {
  const ack = `save ${++saves}`;
  device.update('doctors', doctor, { ack });
  return device.until(() => device.of('ACK').some((message) => message.ack === ack));
};
const post = (url: string, user: string, changes: object[], headers: object = {}): Promise<Response> =>
  fetch(`${url}/api/sync/${user}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'device-id': 'http', ...headers },
    body: JSON.stringify({ changes }),
  });
const get = (url: string, user: string, headers: object = {}): Promise<Response> =>
  fetch(`${url}/api/sync/${user}`, { headers: { 'device-id': 'http', ...headers } });
const rows = async (answer: Promise<Response>): Promise<Rows> => (await answer).json() as Promise<Rows>;

describe('[D8 L1 L3] JSON devices', () => {
  test('get what a device of another user wrote: at once, in a full sync, and over HTTP', async () => {
    const server = await useServer(SHARED);
    const desk = await useJson(server, 'admin', 'desk');
    const phone = await useJson(server, 'anna', 'phone');
    desk.update('doctors', RAO);
    const { data, fromDevice } = await phone.next('DATA_UPDATE');
    expect([data, fromDevice]).toEqual([{ collection: 'doctors', document: RAO }, 'desk']);
    const late = await useJson(server, 'bert', 'tablet');
    expect(late.store.doctors).toEqual({ d1: RAO });
    expect((await rows(get(server.url, 'carl'))).doctors).toEqual([RAO]);
    phone.delete('doctors', 'd1');
    expect((await late.next('DATA_DELETE')).data).toEqual({ collection: 'doctors', documentId: 'd1' });
  });

  test('[D7] get them in each full sync, empty or not; what else a user has stays theirs', async () => {
    const server = await useServer(SHARED);
    const desk = await useJson(server, 'admin', 'desk');
    expect(desk.of('FULL_SYNC')[0]?.data).toMatchObject({ doctors: [], appointments: [] });
    desk.update('appointments', { id: 'a1' });
    await desk.saved();
    const phone = await useJson(server, 'anna', 'phone');
    expect(phone.store.appointments).toEqual({});
  });

  test('see what a y-websocket client changes there, and the other way round', async () => {
    const server = await useServer(SHARED);
    const native = await useNative(server, '~shared', 'tablet');
    const phone = await useJson(server, 'anna', 'phone');
    native.record('doctors', 'd1').set('name', 'Dr. Rao');
    await phone.until(() => phone.store.doctors?.d1?.name === 'Dr. Rao');
    phone.update('doctors', { id: 'd1', name: 'Dr. Rao', room: 2 });
    await native.until(() => native.json().doctors?.d1?.room === 2);
  });

  test('keep them over a kill of the server, an acknowledged write included', async () => {
    const server = await ServerProcess.start(SHARED);
    onTestFinished(() => server.dispose());
    const desk = await useJson(server, 'admin', 'desk');
    desk.update('doctors', RAO, { ack: 'w' });
    await desk.next('ACK');
    await server.kill();
    await server.restart();
    const phone = await useJson(server, 'anna', 'phone');
    expect(phone.store.doctors).toEqual({ d1: RAO });
  });
});

describe('[D8 L4 L6] a stale whole document', () => {
  test('of another user does not undo what somebody else changed', async () => {
    const server = await useServer(SHARED);
    const desk = await useJson(server, 'admin', 'phone');
    await save(desk, RAO);
    const anna = await useJson(server, 'anna', 'phone'); // the same deviceId, in other hands
    await anna.heard();
    const [madeAt, stale] = [Date.now(), anna.store.doctors?.d1];
    await anna.close();
    await save(desk, { ...RAO, room: 7 });
    const back = await useJson(server, 'anna', 'phone');
    back.send({
      ...change('anna', 'phone', { ...stale, name: 'Dr. A. Rao' }, { timestamp: madeAt }),
      ack: 'w',
    });
    await back.next('ACK');
    const united = { id: 'd1', name: 'Dr. A. Rao', room: 7 };
    expect((await rows(get(server.url, 'carl'))).doctors).toEqual([united]);
    await desk.until(() => desk.store.doctors?.d1?.name === 'Dr. A. Rao');
    await back.until(() => back.store.doctors?.d1?.name === 'Dr. A. Rao'); // an ACK does not wait, this does (L4)
    expect(back.store.doctors?.d1).toEqual(united);
  });

  test('[H1 H2] over HTTP, with the tag of both documents', async () => {
    const server = await useServer(SHARED);
    const desk = await useJson(server, 'admin', 'desk');
    await save(desk, RAO);
    const first = await get(server.url, 'anna');
    const tag = first.headers.get('etag') ?? '';
    expect((await get(server.url, 'anna', { 'if-none-match': tag })).status).toBe(304);
    await save(desk, { ...RAO, room: 7 });
    expect((await get(server.url, 'bert', { 'if-none-match': tag })).status).toBe(200);
    const answer = await post(server.url, 'anna', [change('anna', 'http', { ...RAO, name: 'Dr. A. Rao' })], {
      'if-none-match': tag,
    });
    expect(((await answer.json()) as Rows).doctors).toEqual([{ id: 'd1', name: 'Dr. A. Rao', room: 7 }]);
    expect(answer.headers.get('etag')).not.toBe(tag);
  });
});

describe('[D8 A2] who may write', () => {
  const OPTIONS = { ...JWT, ...SHARED } as const;

  test('the claim shared: "write" lets a device write, others are told READ_ONLY', async () => {
    const server = await useServer(OPTIONS);
    const [admin, anna] = [
      await tokenFor('admin', { more: { shared: 'write' } }),
      await tokenFor('anna', { more: { shared: 'read' } }),
    ];
    const desk = openJson(server, 'admin', 'desk', { headers: bearer(admin) });
    const phone = openJson(server, 'anna', 'phone', { headers: bearer(anna) });
    await Promise.all([desk.next('CONNECTION_CONFIRMED'), phone.next('CONNECTION_CONFIRMED')]);
    phone.update('doctors', { id: 'd2', name: 'Dr. No' }, { ack: 'no' });
    expect(await phone.next('ERROR')).toMatchObject({ code: 'READ_ONLY', ack: 'no' });
    desk.update('doctors', RAO);
    await phone.until(() => phone.store.doctors?.d1 !== undefined);
    phone.update('appointments', { id: 'a1' });
    await phone.saved();
    expect((await rows(get(server.url, 'anna', bearer(anna)))).doctors).toEqual([RAO]);
    const native = openNative(server, '~shared', 'tablet', { params: { token: anna } });
    await native.synced();
    expect(native.json()).toEqual({ doctors: { d1: RAO } });
  });

  test('[H2] over HTTP, a batch with one that may not be written changes nothing', async () => {
    const server = await useServer(OPTIONS);
    const token = await tokenFor('anna');
    const own = {
      ...change('anna', 'http', {}),
      data: { collection: 'appointments', document: { id: 'a1' } },
    };
    const refused = await post(
      server.url,
      'anna',
      [own, change('anna', 'http', { id: 'd2' })],
      bearer(token),
    );
    expect([refused.status, await refused.json()]).toMatchObject([403, { code: 'READ_ONLY', index: 1 }]);
    expect((await rows(get(server.url, 'anna', bearer(token)))).appointments).toEqual([]);
  });

  test('[A2] who may only read a patient may write shared collections all the same, and the other way round', async () => {
    const server = await useServer(OPTIONS);
    const access = [{ user: 'anna', mode: 'read' as const }];
    const token = await tokenFor('admin', { access, more: { shared: 'write' } });
    const desk = openJson(server, 'anna', 'desk', { headers: bearer(token) });
    await desk.next('CONNECTION_CONFIRMED');
    desk.update('appointments', { id: 'a1' }, { ack: 'no' });
    expect(await desk.next('ERROR')).toMatchObject({ code: 'READ_ONLY', ack: 'no' });
    desk.update('doctors', RAO, { ack: 'yes' });
    expect(await desk.next('ACK')).toMatchObject({ ack: 'yes' });
  });
});

describe('[D8 H2] a batch over HTTP', () => {
  test('with changes of both documents is applied as a whole', async () => {
    const server = await useServer(SHARED);
    const own = {
      ...change('anna', 'http', {}),
      data: { collection: 'appointments', document: { id: 'a1' } },
    };
    const answer = await rows(post(server.url, 'anna', [change('anna', 'http', RAO), own]));
    expect(answer).toMatchObject({ doctors: [RAO], appointments: [{ id: 'a1' }] });
    expect((await rows(get(server.url, 'bert'))).doctors).toEqual([RAO]);
  });
});

describe('[D8] a collection of that name in the document of a user', () => {
  test('is no news to JSON devices: what a native client of theirs changes in it stays with native clients', async () => {
    const server = await useServer(SHARED);
    const desk = await useJson(server, 'admin', 'desk');
    await save(desk, RAO);
    const phone = await useJson(server, 'anna', 'phone');
    const old = await useNative(server, 'anna', 'tablet');
    old.record('doctors', 'd1').set('name', 'Dr. Old');
    old.record('appointments', 'a1').set('at', '10:00'); // goes behind it
    await phone.until(() => phone.store.appointments?.a1 !== undefined);
    expect(phone.store.doctors).toEqual({ d1: RAO });
  });
});
