/** Tokens that are taken back before they expire (A2), and who may do that. */
import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Revocations } from '../../../server/access/revocations.js';
import { collectingLog } from '../../../server/log.js';
import type { UserId } from '../../../shared/names.js';
import { bearer, JWT, seconds, tokenFor } from '../../support/tokens.js';
import { openJson, openNative, useServer } from '../../support/use.js';

const ADMIN_TOKEN = 'the-admin-token-of-the-tests';
const WITH_ADMIN = { ...JWT, ADMIN_TOKEN };

const revoke = (url: string, body: object, headers: object = bearer(ADMIN_TOKEN)): Promise<Response> =>
  fetch(`${url}/admin/revoke`, { method: 'POST', headers: { ...headers }, body: JSON.stringify(body) });
const statusOf = async (url: string, token: string): Promise<number> =>
  (await fetch(`${url}/api/sync/anna`, { headers: bearer(token) })).status;

/** A folder that outlives the servers of a test. */
async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'revoked-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

describe('[A2 A4] POST /admin/revoke', () => {
  test('a token: its connections close with 4401 at once, others of the user stay; what came before is kept', async () => {
    const { log, events } = collectingLog();
    const server = await useServer(WITH_ADMIN, { log });
    const [stolen, good] = [
      await tokenFor('anna', { jti: 'stolen' }),
      await tokenFor('anna', { jti: 'good' }),
    ];
    const native = openNative(server, 'anna', 'laptop', { params: { token: stolen } });
    await native.synced();
    const [taken, kept] = [stolen, good].map((token, index) =>
      openJson(server, 'anna', `phone-${index}`, { headers: bearer(token) }),
    );
    await Promise.all([taken?.next('CONNECTION_CONFIRMED'), kept?.next('CONNECTION_CONFIRMED')]);
    native.record('appointments', 'a1').set('room', 4);
    await native.saved();
    const answer = await revoke(server.url, { jti: 'stolen', exp: seconds() + 300 });
    expect([answer.status, await answer.json()]).toMatchObject([200, { revoked: { jti: 'stolen' } }]);
    expect(await taken?.end()).toEqual({ code: 4401, reason: 'The token was revoked.' });
    await native.until(() => native.closes.includes(4401));
    expect([await statusOf(server.url, stolen), await statusOf(server.url, good)]).toEqual([401, 200]);
    kept?.requestSync();
    await kept?.until(() => kept.of('FULL_SYNC').length === 2);
    expect(kept?.store.appointments).toEqual({ a1: { id: 'a1', room: 4 } });
    expect(events).toContainEqual({ name: 'revoked', fields: { what: 'one token' } });
  });

  test('what a connection sends after its token was revoked is not taken', async () => {
    const server = await useServer(WITH_ADMIN);
    const device = openJson(server, 'anna', 'phone', {
      headers: bearer(await tokenFor('anna', { jti: 'stolen' })),
    });
    await device.next('CONNECTION_CONFIRMED');
    device.ws.pause(); // it does not see that it is closed, and goes on
    await revoke(server.url, { jti: 'stolen' });
    for (let i = 0; i < 100; i++) device.update('notes', { id: `n${i}` });
    const good = await tokenFor('anna');
    for (let look = 0; look < 50; look++) {
      const response = await fetch(`${server.url}/api/sync/anna`, { headers: bearer(good) });
      expect(await response.json()).not.toHaveProperty('notes');
    }
    device.ws.resume();
    expect((await device.end()).code).toBe(4401);
  });

  test('a request whose body comes after its token was revoked is not taken', async () => {
    const server = await useServer(WITH_ADMIN);
    const token = await tokenFor('anna', { jti: 'stolen' });
    const data = { collection: 'notes', document: { id: 'n1' } };
    const change = { type: 'DATA_UPDATE', data, userId: 'anna', deviceId: 'phone' };
    const body = JSON.stringify({ changes: [change] });
    const headers = { ...bearer(token), 'content-length': body.length };
    const path = { port: server.port, host: '127.0.0.1', path: '/api/sync/anna', method: 'POST', headers };
    const status = await new Promise<number>((resolve, reject) => {
      const sent = request(path, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      sent.on('error', reject);
      sent.write(body.slice(0, 10));
      // The server has the head by then: it answers a later request first.
      statusOf(server.url, token)
        .then(() => revoke(server.url, { jti: 'stolen' }))
        .then(() => sent.end(body.slice(10)), reject);
    });
    expect(status).toBe(401);
    const stored = await fetch(`${server.url}/api/sync/anna`, { headers: bearer(await tokenFor('anna')) });
    expect(await stored.json()).not.toHaveProperty('notes');
  });

  test('a user: every token that was issued until now, whoever it opens; not one that is issued later', async () => {
    const server = await useServer(WITH_ADMIN);
    const doctor = { access: [{ user: 'anna', mode: 'read' as const }] };
    const old = await tokenFor('doctor', doctor);
    const undated = await tokenFor('doctor', { ...doctor, more: { iat: undefined } });
    expect(await statusOf(server.url, old)).toBe(200);
    await revoke(server.url, { user: 'doctor' });
    const later = await tokenFor('doctor', { ...doctor, more: { iat: seconds() + 31 } });
    const owner = await tokenFor('anna');
    const statuses = [old, undated, later, owner].map((token) => statusOf(server.url, token));
    expect(await Promise.all(statuses)).toEqual([401, 401, 200, 200]);
  });

  test('a restart remembers, and a crash in the middle of a line takes nothing away', async () => {
    const DATA_DIR = await newFolder();
    const first = await useServer({ ...WITH_ADMIN, DATA_DIR });
    const tokens = [await tokenFor('anna', { jti: 'stolen' }), await tokenFor('bert')];
    await revoke(first.url, { jti: 'stolen' });
    await revoke(first.url, { user: 'bert' });
    await first.app.close();
    await appendFile(join(`${DATA_DIR}-access`, 'revoked.jsonl'), '{"jti":"hal');
    const second = await useServer({ ...WITH_ADMIN, DATA_DIR });
    for (const token of tokens) {
      const response = await fetch(`${second.url}/api/sync/bert`, { headers: bearer(token) });
      expect(response.status).toBe(401);
    }
    await revoke(second.url, { jti: 'another' });
    await second.app.close();
    const third = await useServer({ ...WITH_ADMIN, DATA_DIR });
    expect(await statusOf(third.url, await tokenFor('anna', { jti: 'another' }))).toBe(401);
  });

  test('a line that can’t be read stops the start: it may be the one that matters', async () => {
    const file = join(await newFolder(), 'revoked.jsonl');
    await writeFile(file, '{"jti":"a","until":null}\n{"jti":"b"\n{"jti":"c","until":null}\n');
    await expect(Revocations.open(file, Date.now)).rejects.toThrow(/is damaged/);
  });

  test('it is forgotten once the token has expired anyway', async () => {
    const file = join(await newFolder(), 'revoked.jsonl');
    let now = 1_700_000_000_000;
    const person = (jti: string) =>
      ({ kind: 'person', sub: 'anna', access: new Map(), jti, issuedAt: null, expiresAt: 0 }) as never;
    const first = await Revocations.open(file, () => now);
    await first.add({ jti: 'a', exp: now / 1000 + 60 });
    await first.add({ jti: 'b' });
    expect([first.has(person('a')), first.has(person('b')), first.has(person('c'))]).toEqual([
      true,
      true,
      false,
    ]);
    await first.close();
    now += 91_000; // with the tolerance of 30 s
    const second = await Revocations.open(file, () => now);
    onTestFinished(() => second.close());
    expect([second.has(person('a')), second.has(person('b'))]).toEqual([false, true]);
  });

  test('[P9] it is not forgotten by a clock that may be wrong, and shuts nobody out once that is right', async () => {
    const file = join(await newFolder(), 'revoked.jsonl');
    const time = 1_700_000_000_000;
    const year = 365 * 86_400_000;
    const person = (jti: string | null, issuedAt: number) =>
      ({ kind: 'person', sub: 'anna', access: new Map(), jti, issuedAt, expiresAt: 0 }) as never;
    const first = await Revocations.open(file, () => time);
    await first.add({ jti: 'a', exp: time / 1000 + 3_600 });
    await first.close();
    const wrong = { retention: () => time, past: (date: number) => date };
    const second = await Revocations.open(file, () => time + year, { times: wrong });
    expect(second.has(person('a', time))).toBe(true);
    await second.add({ user: 'anna' as UserId });
    await second.close();
    const right = { retention: () => time, past: (date: number) => Math.min(date, time) };
    const third = await Revocations.open(file, () => time + 60_000, { times: right });
    onTestFinished(() => third.close());
    expect([third.has(person(null, time)), third.has(person(null, time + 60_000))]).toEqual([true, false]);
  });

  test('what another server has told before, and tells again, closes no connection anew', async () => {
    const file = join(await newFolder(), 'revoked.jsonl');
    let tell = (_line: string): void => {};
    const follow = async (take: typeof tell): Promise<void> => {
      tell = take;
    };
    let taken = 0;
    const revocations = await Revocations.open(file, Date.now, {
      shared: { add: async () => {}, follow },
      onTaken: () => taken++,
    });
    onTestFinished(() => revocations.close());
    for (let times = 0; times < 3; times++) {
      tell('{"jti":"a","until":null}');
      tell('{"user":"anna","before":1000}');
    }
    expect(taken).toBe(2);
    tell('{"user":"anna","before":2000}');
    expect(taken).toBe(3);
  });

  test.each([{}, { jti: '' }, { jti: 7 }, { user: 'a b' }, { user: 'a', jti: 'b' }, { token: 'x' }, []])(
    'a body that names nothing to revoke is refused: %j',
    async (body) => {
      const server = await useServer(WITH_ADMIN);
      const response = await revoke(server.url, body);
      expect([response.status, await response.json()]).toMatchObject([400, { code: 'INVALID_MESSAGE' }]);
    },
  );
});

describe('[A2] without ADMIN_TOKEN, only this machine gets in', () => {
  const knock = (port: number, headers: Record<string, string>): Promise<number> =>
    new Promise((resolve, reject) => {
      const sent = request(
        { port, host: '127.0.0.1', path: '/admin/revoke', method: 'POST', headers },
        (response) => {
          response.resume();
          resolve(response.statusCode ?? 0);
        },
      );
      sent.on('error', reject);
      sent.end('{"jti":"x"}');
    });

  test.each([
    [{}, 200],
    [{ Host: 'localhost:3001' }, 200],
    [{ 'X-Forwarded-For': '127.0.0.1' }, 403],
    [{ Forwarded: 'for=127.0.0.1' }, 403],
    [{ 'X-Real-IP': '127.0.0.1' }, 403],
    // A page that somebody at this machine has open; one whose name was made to mean this machine.
    [{ Origin: 'https://evil.example' }, 403],
    [{ Origin: 'http://evil.example', Host: 'evil.example' }, 403],
    [{ Host: 'evil.example' }, 403],
  ])('%j: %i', async (headers, status) => {
    const server = await useServer(JWT);
    expect(await knock(server.port, headers as Record<string, string>)).toBe(status);
  });

  test('with AUTH=none there is nothing to revoke', async () => {
    const server = await useServer();
    expect(await knock(server.port, {})).toBe(404);
  });
});
