/** A doctor with more patients than a token can carry, at every door (A2, A4). */
import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { collectingLog } from '../../../server/log.js';
import { useAccessProvider } from '../../support/access-provider.js';
import { closeClients, synced, testClient } from '../../support/devices/test-client.js';
import { SetClock } from '../../support/set-clock.js';
import { bearer, JWT, seconds, tokenFor } from '../../support/tokens.js';
import { openJson, openNative, useServer } from '../../support/use.js';

const MINUTE = 60_000;
const PATIENTS = Array.from({ length: 1_000 }, () => randomUUID());
const [SOME = '', OTHER = ''] = PATIENTS;

describe('[A2] access by ACCESS_URL', () => {
  test('opens any of 1,000 patients by HTTP, JSON and native, to read or to write', async () => {
    const provider = await useAccessProvider();
    for (const patient of PATIENTS) provider.modes.set(patient, 'write');
    provider.modes.set(OTHER, 'read');
    const server = await useServer({ ...JWT, ACCESS_URL: provider.url });
    const token = await tokenFor('auth0|doctor');
    const client = testClient();
    await client.initialize({ serverUrl: server.url, userId: SOME, getToken: () => token });
    await client.addData('notes', { id: 'n1', by: 'doctor' });
    await synced(client);
    await closeClients();
    const json = openJson(server, SOME, 'desk', { headers: bearer(token) });
    await json.next('CONNECTION_CONFIRMED');
    expect(json.store.notes).toEqual({ n1: { id: 'n1', by: 'doctor' } });
    const statuses = await Promise.all(
      PATIENTS.slice(0, 40).map(async (patient) => {
        const answer = await fetch(`${server.url}/api/sync/${patient}`, { headers: bearer(token) });
        return answer.status;
      }),
    );
    expect(new Set(statuses)).toEqual(new Set([200]));
    const reader = openJson(server, OTHER, 'desk', { headers: bearer(token) });
    await reader.next('CONNECTION_CONFIRMED');
    reader.update('notes', { id: 'n1' });
    expect(await reader.next('ERROR')).toMatchObject({ code: 'READ_ONLY' });
  });

  test('is not asked for the own document, nor for what the token says itself', async () => {
    const provider = await useAccessProvider();
    provider.modes.set('doctor', 'none').set('bert', 'write');
    const server = await useServer({ ...JWT, ACCESS_URL: provider.url });
    const token = await tokenFor('doctor', { access: [{ user: 'bert', mode: 'read' }] });
    const of = (user: string, method = 'GET') =>
      fetch(`${server.url}/api/sync/${user}`, {
        method,
        headers: bearer(token),
        ...(method === 'POST' && {
          body: JSON.stringify({
            changes: [
              {
                type: 'DATA_DELETE',
                data: { collection: 'n', documentId: 'x' },
                userId: user,
                deviceId: 'd',
              },
            ],
          }),
        }),
      });
    expect([
      (await of('doctor')).status,
      (await of('bert')).status,
      (await of('bert', 'POST')).status,
    ]).toEqual([200, 200, 403]);
    expect(provider.asked).toEqual([]);
  });

  test('[A4] a no is the answer that a user gets who does not exist; a bad token is never shown to the service', async () => {
    const provider = await useAccessProvider();
    provider.modes.set('real', (response) => void response.writeHead(403).end());
    const server = await useServer({ ...JWT, ACCESS_URL: provider.url });
    const token = await tokenFor('doctor');
    const answers = await Promise.all(
      ['real', 'made-up'].map(async (user) => {
        const answer = await fetch(`${server.url}/api/sync/${user}`, { headers: bearer(token) });
        return [answer.status, await answer.text()];
      }),
    );
    expect(answers[0]).toEqual(answers[1]);
    expect(answers[0]?.[0]).toBe(403);
    expect(await openJson(server, 'real', 'd', { headers: bearer(token) }).end()).toMatchObject({
      code: 4403,
    });
    const before = provider.asked.length;
    for (const bad of [await tokenFor('doctor', { expiresIn: -60 }), 'nonsense', `${token}x`]) {
      expect((await fetch(`${server.url}/api/sync/other`, { headers: bearer(bad) })).status).toBe(401);
    }
    expect(provider.asked.length).toBe(before);
  });

  test('while the service gives no answer: 503, 1013, and the log says why without the token', async () => {
    const provider = await useAccessProvider();
    provider.modes.set('anna', (response) => void response.writeHead(500).end());
    const { log, events } = collectingLog();
    const server = await useServer({ ...JWT, ACCESS_URL: provider.url }, { log });
    const token = await tokenFor('doctor');
    const http = await fetch(`${server.url}/api/sync/anna`, { headers: bearer(token) });
    expect([http.status, await http.json()]).toMatchObject([503, { code: 'ACCESS_UNAVAILABLE' }]);
    expect(await openJson(server, 'anna', 'd', { headers: bearer(token) }).end()).toMatchObject({
      code: 1013,
    });
    const refused = events.filter(({ name }) => name === 'accessRefused');
    expect(refused).toHaveLength(2);
    for (const { fields } of refused) expect(fields.reason).toBe('ACCESS_URL answered with 500');
    expect(JSON.stringify(events)).not.toContain(token.slice(-20));
    provider.modes.set('anna', 'read');
    expect((await fetch(`${server.url}/api/sync/anna`, { headers: bearer(token) })).status).toBe(200);
  });

  test('[A4] access that is taken back ends open connections, one that is less is taken up; others stay', async () => {
    const provider = await useAccessProvider();
    provider.modes.set('anna', 'write').set('bert', 'write').set('carl', 'read');
    const server = await useServer({ ...JWT, ACCESS_URL: provider.url, ACCESS_CACHE: '0' });
    const token = await tokenFor('doctor');
    const open = async (user: string) => {
      const json = openJson(server, user, 'desk', { headers: bearer(token) });
      await json.next('CONNECTION_CONFIRMED');
      return json;
    };
    const [anna, bert, carl] = [await open('anna'), await open('bert'), await open('carl')];
    const own = openNative(server, 'doctor', 'laptop', { params: { token } });
    await own.synced();
    provider.modes.set('anna', 'none').set('bert', 'read');
    provider.modes.set('carl', (response) => void response.writeHead(503).end());
    expect(await anna.end()).toMatchObject({ code: 4403 });
    expect(await bert.end()).toMatchObject({ code: 1012, reason: expect.stringContaining('connect again') });
    expect([carl.closed, own.closes]).toEqual([null, []]);
    const again = await open('bert');
    again.update('notes', { id: 'n1' });
    expect(await again.next('ERROR')).toMatchObject({ code: 'READ_ONLY' });
  });

  test.each([
    ['set back by half an hour', -1_800_000],
    ['set back by a minute', -MINUTE],
    ['right', 0],
  ])('[P9 A4] a yes ends after ACCESS_CACHE of uptime, also where the clock was %s', async (_, offset) => {
    const provider = await useAccessProvider();
    provider.modes.set('anna', 'write');
    const time = new SetClock();
    time.offset = Date.now() - time.time;
    const server = await useServer({ ...JWT, ACCESS_URL: provider.url }, { time });
    const token = await tokenFor('doctor', { more: { iat: seconds() - 7_200 } });
    const ask = async () => (await fetch(`${server.url}/api/sync/anna`, { headers: bearer(token) })).status;
    expect(await ask()).toBe(200);
    provider.modes.set('anna', 'none');
    time.offset += offset;
    time.pass(MINUTE - 1);
    expect(await ask()).toBe(200);
    time.pass(1);
    expect(await ask()).toBe(403);
    provider.modes.set('anna', 'read');
    time.pass(5_000);
    expect(await ask()).toBe(200);
  });

  test('the audit trail has each access of the doctor, and /admin/revoke ends them', async () => {
    const provider = await useAccessProvider();
    provider.modes.set('anna', 'write');
    const ADMIN_TOKEN = 'the-admin-token-of-the-tests';
    const server = await useServer({ ...JWT, ACCESS_URL: provider.url, ADMIN_TOKEN });
    const token = await tokenFor('doctor');
    const json = openJson(server, 'anna', 'desk', { headers: bearer(token) });
    await json.next('CONNECTION_CONFIRMED');
    const body = JSON.stringify({ user: 'doctor' });
    await fetch(`${server.url}/admin/revoke`, { method: 'POST', headers: bearer(ADMIN_TOKEN), body });
    expect(await json.end()).toEqual({ code: 4401, reason: 'The token was revoked.' });
    expect((await fetch(`${server.url}/api/sync/anna`, { headers: bearer(token) })).status).toBe(401);
  });
});

describe('[A2] the cause of a refusal', () => {
  test.each([
    ['expired', { expiresIn: -180 }, 'The token expired 3 min ago.'],
    [
      'another secret',
      { secret: 'another secret, which is long enough' },
      /^The signature of the token is not valid/,
    ],
    ['no user', { more: { sub: 'Anna B' } }, "The claim 'sub' is not a valid user id: it has white space."],
  ] as const)('%s: is told in the close reason and in the body', async (_, claims, sentence) => {
    const server = await useServer(JWT);
    const token = await tokenFor('anna', claims);
    const http = await fetch(`${server.url}/api/sync/anna`, { headers: bearer(token) });
    const matching = typeof sentence === 'string' ? sentence : expect.stringMatching(sentence);
    expect([http.status, await http.json()]).toEqual([401, { code: 'UNAUTHORIZED', message: matching }]);
    expect(await openJson(server, 'anna', 'd', { headers: bearer(token) }).end()).toEqual({
      code: 4401,
      reason: matching,
    });
    const client = testClient();
    await client.initialize({ serverUrl: server.url, userId: 'anna', getToken: () => token });
    await new Promise<void>((resolve) => {
      client.status.subscribe(({ connection }) => connection === 'needs-token' && resolve());
    });
    expect(client.status.current.reason).toEqual(matching);
    await closeClients();
  });

  test('no token', async () => {
    const server = await useServer(JWT);
    expect(await (await fetch(`${server.url}/api/sync/anna`)).json()).toEqual({
      code: 'UNAUTHORIZED',
      message: 'There is no token.',
    });
  });
});

describe('[A2] a large token', () => {
  test.each([120, 190, 250, 1_000])(
    'for %i users opens a document by the header, the subprotocol and the query',
    async (count) => {
      const server = await useServer(JWT);
      const access = PATIENTS.slice(0, count).map((user) => ({ user, mode: 'read' as const }));
      const token = await tokenFor('doctor', { access });
      const http = await fetch(`${server.url}/api/sync/${SOME}`, { headers: bearer(token) });
      expect(http.status).toBe(200);
      const client = testClient();
      await client.initialize({ serverUrl: server.url, userId: SOME, getToken: () => token });
      await synced(client);
      await closeClients();
      const native = openNative(server, SOME, 'laptop', { params: { token } });
      await native.synced();
    },
  );
});
