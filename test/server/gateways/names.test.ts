/** Users and devices as identity providers and apps name them, at every door (D6). */
import { describe, expect, test } from 'vitest';
import WebSocket from 'ws';
import type { Collections } from '../../../shared/json.js';
import { closeClients, synced, testClient } from '../../support/devices/test-client.js';
import { bearer, JWT, tokenFor } from '../../support/tokens.js';
import { useJson, useNative, useServer } from '../../support/use.js';

const USERS = [
  'auth0|64f0c2d1a9',
  'google-oauth2|103547991597142817347',
  'anna+test@x.org',
  'zoë@x.org',
  "o'neil!*();,&=$[]{}^`",
  '漢字🩺',
];

describe('[D6] a user as identity providers name them', () => {
  test.each(USERS)('%s: every way in leads to one document', async (user) => {
    const server = await useServer(JWT);
    const headers = bearer(await tokenFor(user));
    const token = await tokenFor(user);
    const native = await useNative(server, user, 'laptop', { params: { token } });
    native.doc.transact(() => native.record('notes', 'n1').set('by', 'laptop'));
    await native.saved();
    const client = testClient();
    await client.initialize({
      serverUrl: server.url,
      userId: user,
      deviceId: 'Pixel 7',
      getToken: () => token,
    });
    await synced(client);
    await client.addData('notes', { id: 'n2', by: 'Pixel 7' });
    await synced(client);
    await closeClients();
    const change = {
      type: 'DATA_UPDATE',
      data: { collection: 'notes', document: { id: 'n3', by: 'http' } },
      userId: user,
      deviceId: 'http',
    };
    const answer = await fetch(`${server.url}/api/sync/${encodeURIComponent(user)}`, {
      method: 'POST',
      headers: { ...headers, 'Device-ID': 'http' },
      body: JSON.stringify({ changes: [change] }),
    });
    expect(answer.status).toBe(200);
    const { notes = [] } = (await answer.json()) as Collections;
    expect(notes.map(({ id, by }) => [id, by])).toEqual([
      ['n1', 'laptop'],
      ['n2', 'Pixel 7'],
      ['n3', 'http'],
    ]);
    const history = await fetch(`${server.url}/api/history/${encodeURIComponent(user)}`, { headers });
    const { entries } = (await history.json()) as { entries: { actor: string; deviceId: string }[] };
    expect(entries.map(({ actor, deviceId }) => [actor, deviceId])).toEqual([
      [user, 'http'],
      [user, 'Pixel 7'],
      [user, 'laptop'],
    ]);
  });

  test.each([
    ['raw', (text: string) => text],
    ['encoded', encodeURIComponent],
  ])('a plus in the query is a plus, %s', async (_, written) => {
    const server = await useServer();
    await expect(
      confirmed(server.url, `userId=${written('anna+test@x.org')}&deviceId=d`),
    ).resolves.toMatchObject({
      userId: 'anna+test@x.org',
    });
  });

  test('NFC and NFD are two users: nothing is normalised', async () => {
    const server = await useServer();
    const composed = await useJson(server, 'zo\u00eb', 'd');
    composed.update('notes', { id: 'n1' });
    await composed.saved();
    expect((await useJson(server, 'zoe\u0308', 'd')).store.notes).toBeUndefined();
    expect((await useJson(server, 'zo\u00eb', 'e')).store.notes).toEqual({ n1: { id: 'n1' } });
  });

  test.each(['~other', 'a%2Fb', 'a%5Cb', 'a%3Fb', 'a%23b', 'a%25b', 'a%20b', 'a%E2%80%AEb', '%ff'])(
    '%s is refused by all, with the cause',
    async (written) => {
      const server = await useServer();
      const http = await fetch(`${server.url}/api/sync/${written}`);
      expect([http.status, await http.json()]).toEqual([
        400,
        expect.objectContaining({ code: 'INVALID_IDENTITY' }),
      ]);
      const ws = server.url.replace('http', 'ws');
      const json = await endOf(`${ws}/sync?userId=${written}&deviceId=d`);
      expect(json).toEqual([
        1008,
        expect.stringMatching(written === '%ff' ? /^Missing/ : /^The userId .*\.$/),
      ]);
      expect(await endOf(`${ws}/yjs/${written}?deviceId=d`)).toEqual([
        1008,
        expect.stringMatching(/^The userId/),
      ]);
    },
  );
});

describe('[D6] a device as it names itself', () => {
  test.each(['Pixel%207', 'Pixel+7', 'Pixel 7'])('in the query, %s has a space', async (written) => {
    const server = await useServer();
    const found = await confirmed(server.url, `userId=u&deviceId=${written}`);
    expect(found).toMatchObject({ deviceId: 'Pixel 7' });
  });

  test.each([
    ['Pixel 7', 'Pixel 7'],
    ['anna%2B1', 'anna+1'],
    ['anna+1', 'anna+1'],
    ['Zo%C3%AB%E2%80%99s phone', 'Zoë’s phone'],
    ['Zo\u00c3\u00ab', 'Zoë'], // UTF-8, byte by byte
    ['Zo\u00eb', 'Zoë'], // Latin-1, as fetch sends it
  ])('in the header, %s is %s', async (written, device) => {
    const server = await useServer();
    const change = { type: 'DATA_UPDATE', data: { collection: 'notes', document: { id: 'n1' } } };
    const body = JSON.stringify({ changes: [{ ...change, userId: 'u', deviceId: device }] });
    const headers = { 'Device-ID': written };
    await fetch(`${server.url}/api/sync/u`, { method: 'POST', headers, body });
    const history = await (await fetch(`${server.url}/api/history/u`)).json();
    expect(history).toMatchObject({ entries: [{ deviceId: device }] });
  });

  test.each(['~x', 'a/b', 'a%2Fb', 'a%', 'a%ff', 'a%E2%80%8Bb'])(
    '%s is refused in a header',
    async (written) => {
      const server = await useServer();
      const answer = await fetch(`${server.url}/api/sync/u`, { headers: { 'Device-ID': written } });
      expect([answer.status, await answer.json()]).toMatchObject([400, { code: 'INVALID_IDENTITY' }]);
    },
  );

  test('our client sends the same one over HTTP as over a socket, in any script', async () => {
    const server = await useServer();
    for (const [id, parts] of Object.entries({ socket: {}, http: { WebSocket: undefined } })) {
      const client = testClient(parts);
      await client.initialize({ serverUrl: server.url, userId: 'u', deviceId: ' Zoë’s 漢 🩺 phone ' });
      await client.addData('notes', { id });
      await synced(client);
      await closeClients();
    }
    const history = await (await fetch(`${server.url}/api/history/u`)).json();
    const deviceId = ' Zoë’s 漢 🩺 phone ';
    expect(history).toMatchObject({ entries: [{ deviceId }, { deviceId }] });
  });

  test('[A2] no id of a device makes it that of another person', async () => {
    const server = await useServer(JWT);
    const grant = { access: [{ user: 'anna', mode: 'write' }] } as const;
    const owner = bearer(await tokenFor('anna'));
    const bert = bearer(await tokenFor('bert', grant));
    const sync = async (headers: object, device: string): Promise<void> => {
      const answer = await fetch(`${server.url}/api/sync/anna`, {
        headers: { ...headers, 'Device-ID': device },
      });
      expect(answer.status).toBe(200);
    };
    const json = { type: 'DATA_UPDATE', data: { collection: 'notes', document: { id: 'n1' } } };
    const body = JSON.stringify({ changes: [{ ...json, userId: 'anna', deviceId: 'desk' }] });
    const headers = { ...owner, 'Device-ID': 'desk' };
    await fetch(`${server.url}/api/sync/anna`, { method: 'POST', headers, body });
    await sync(bert, 'phone');
    await sync(owner, 'bert!phone');
    await sync(owner, 'bert!!phone');
    const data = await (await fetch(`${server.url}/api/users/anna/export`, { headers: owner })).json();
    const { devices } = data as { devices: string[] };
    expect(new Set(devices).size).toBe(4);
  });
});

/** What a JSON device is told that its names are. */
function confirmed(url: string, query: string): Promise<object> {
  return new Promise((resolve, reject) => {
    const ws = new WebSocket(`${url.replace('http', 'ws')}/sync?${query}`);
    ws.on('message', (data) => {
      const message = JSON.parse(data.toString()) as { type: string };
      if (message.type !== 'CONNECTION_CONFIRMED') return;
      ws.close();
      resolve(message);
    });
    ws.on('close', (code, reason) => reject(new Error(`${code} ${reason}`)));
    ws.on('error', reject);
  });
}

function endOf(url: string): Promise<[number, string]> {
  return new Promise((resolve, reject) => {
    const ws = new WebSocket(url);
    ws.on('close', (code, reason) => resolve([code, reason.toString()]));
    ws.on('error', reject);
  });
}
