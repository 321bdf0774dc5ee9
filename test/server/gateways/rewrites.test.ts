/** Documents that are written anew, over real sockets and LevelDB (P10). */
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { LeveldbPersistence } from 'y-leveldb';
import * as Y from 'yjs';
import { collectingLog } from '../../../server/log.js';
import { encodeExchange } from '../../../server/protocol/exchange.js';
import { newKey } from '../../../server/store/encryption/key-ring.js';
import type { NativeDevice } from '../../support/devices/native-device.js';
import { temporaryFolder } from '../../support/level-fixture.js';
import { longLived } from '../../support/long-lived.js';
import { client } from '../../support/replicas.js';
import { startServer, type TestServer } from '../../support/server.js';
import { openNative, useJson, useNative, useServer } from '../../support/use.js';

const QUICK = { REST_AFTER: '60ms', HISTORY_DAYS: '0', ADMIN_TOKEN: 'an-admin-token-of-32-characters!!' };
const OURS = { rewrites: '1' };
const GONE = [4409];

const ours = (server: TestServer, device: string, doc = new Y.Doc()): Promise<NativeDevice> =>
  useNative(server, 'anna', device, { doc, params: OURS });

function copyOf(doc: Y.Doc, id: number): Y.Doc {
  const copy = client(id);
  Y.applyUpdate(copy, Y.encodeStateAsUpdate(doc));
  return copy;
}

/** Its only device has been sent away. */
async function rewritten(server: TestServer, doc = longLived()): Promise<void> {
  const phone = await ours(server, 'phone', doc);
  await phone.until(() => phone.closes.length > 0);
  expect(phone.closes).toEqual(GONE);
}

const exchange = async (server: TestServer, stateVector: Uint8Array, update: Uint8Array, user = 'anna') => {
  const body = Buffer.from(encodeExchange({ stateVector, update }));
  const answer = await fetch(`${server.url}/api/yjs/${user}?rewrites=1`, { method: 'POST', body });
  return [answer.status, answer.status === 200 ? null : ((await answer.json()) as { code: string }).code];
};

test.each([
  ['plain', {}],
  ['encrypted', { ENCRYPTION_KEY: newKey() }],
])('[P10] native devices begin anew, JSON devices go on, all have the same: %s', async (_, encryption) => {
  const { log, events } = collectingLog();
  const server = await useServer({ ...QUICK, ...encryption }, { log });
  const old = longLived();
  const away = copyOf(old, 21);
  const json = await useJson(server, 'anna', 'tablet');
  json.update('notes', { id: 'j1', text: 'by the tablet' });
  await rewritten(server, old);
  expect(json.closed).toBeNull();
  json.update('notes', { id: 'j2', text: 'afterwards' });
  const fresh = await ours(server, 'phone');
  await fresh.until(() => fresh.json().notes?.j2 && fresh.json().notes?.j1);
  expect(fresh.json().notes?.n3).toEqual({ text: 'of start 500' });
  expect(Object.keys(fresh.json().notes ?? {})).toHaveLength(9);
  await json.until(() => json.store.notes?.n3?.text === 'of start 500');
  fresh.record('notes', 'n3').set('text', 'on it goes');
  await fresh.saved();
  await json.until(() => json.store.notes?.n3?.text === 'on it goes');

  away.getMap<Y.Map<unknown>>('notes').get('n3')?.set('text', 'a year away');
  const vector = Y.encodeStateVector(away);
  expect(await exchange(server, vector, new Uint8Array(0))).toEqual([409, 'REWRITTEN']);
  expect(await exchange(server, Uint8Array.of(0), Y.encodeStateAsUpdate(away))).toEqual([409, 'REWRITTEN']);
  expect(await exchange(server, Uint8Array.of(0), new Uint8Array(0))).toEqual([200, null]);
  const plain = openNative(server, 'anna', 'laptop', { doc: away });
  await plain.until(() => plain.closes.length > 0);
  expect([plain.closes, plain.connections, plain.provider.shouldConnect]).toEqual([GONE, 1, false]);
  expect(fresh.json().notes?.n3).toEqual({ text: 'on it goes' });

  const told = events.filter(({ name }) => name === 'rewritten');
  expect(told.map(({ fields }) => fields)).toEqual([
    expect.objectContaining({ user: 'anna', clients: 502, structsAfter: 17 }),
  ]);
  const headers = { Authorization: `Bearer ${QUICK.ADMIN_TOKEN}` };
  const metrics = await (await fetch(`${server.url}/metrics`, { headers })).text();
  expect(metrics).toContain('telemed_documents_rewritten_total 1\n');
});

test('[P10] [H6] what was deleted before comes back from the history, and the export has all of it', async () => {
  const server = await useServer({ ...QUICK, JSON_PACE: '0' });
  const old = longLived();
  const json = await useJson(server, 'anna', 'tablet');
  json.update('notes', { id: 'gone', text: 'deleted before', list: [{ id: 'x', dose: 1 }] });
  await json.saved();
  json.delete('notes', 'gone');
  await rewritten(server, old);
  const page = (await (await fetch(`${server.url}/api/history/anna?collection=notes&id=gone`)).json()) as {
    entries: { revision: number; before: unknown; after: unknown }[];
  };
  const made = page.entries.find(({ after }) => after !== null);
  expect(made?.after).toMatchObject({ text: 'deleted before' });
  const restored = await fetch(`${server.url}/api/history/anna/restore`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ collection: 'notes', id: 'gone', revision: made?.revision }),
  });
  expect(restored.status).toBe(200);
  const fresh = await ours(server, 'phone');
  await fresh.until(() => fresh.json().notes?.gone);
  expect(fresh.json().notes?.gone).toMatchObject({ text: 'deleted before', list: [{ id: 'x', dose: 1 }] });
  const all = (await (await fetch(`${server.url}/api/users/anna/export`)).json()) as {
    collections: { notes: unknown[] };
    history: unknown[];
  };
  expect(all.collections.notes).toHaveLength(8);
  expect(all.history.length).toBeGreaterThan(3);
});

test('[P10] [P6] another server on the same folder still refuses what is old; so does one after an erasure', async () => {
  const folder = await temporaryFolder();
  const first = await startServer({ ...QUICK, DATA_DIR: join(folder, 'data') });
  const old = longLived();
  const away = copyOf(old, 21);
  await rewritten(first, old);
  await first.close();
  const server = await useServer({ ...QUICK, DATA_DIR: join(folder, 'data') });
  const refused = openNative(server, 'anna', 'laptop', { doc: away, params: OURS });
  await refused.until(() => refused.closes.length > 0);
  expect(refused.closes).toEqual(GONE);
  expect(await exchange(server, Y.encodeStateVector(away), new Uint8Array(0))).toEqual([409, 'REWRITTEN']);
  await fetch(`${server.url}/api/users/anna`, { method: 'DELETE' });
  expect(await exchange(server, Y.encodeStateVector(away), new Uint8Array(0))).toEqual([410, 'ERASED']);
  const erased = openNative(server, 'anna', 'desk', { doc: away, params: OURS });
  await erased.until(() => erased.closes.length > 0);
  expect(erased.closes).toEqual([4410]);
});

test('[P10] [D8] the shared document as well', async () => {
  const server = await useServer({ ...QUICK, SHARED_COLLECTIONS: 'notes' });
  const json = await useJson(server, 'anna', 'tablet');
  const phone = await useNative(server, '~shared', 'phone', { doc: longLived(), params: OURS });
  await phone.until(() => phone.closes.length > 0);
  json.update('notes', { id: 'later', text: 'from anna' });
  const fresh = await useNative(server, '~shared', 'desk', { params: OURS });
  await fresh.until(() => fresh.json().notes?.later);
  expect([json.closed, Object.keys(fresh.json().notes ?? {}).length]).toEqual([null, 8]);
});

test('[P10] [P1] y-leveldb reads what was written anew', async () => {
  const folder = await temporaryFolder();
  const server = await startServer({ ...QUICK, DATA_DIR: join(folder, 'data') });
  onTestFinished(async () => void (await server.close()));
  await rewritten(server);
  const before = await (await fetch(`${server.url}/api/sync/anna`)).json();
  await server.app.close();
  const db = new LeveldbPersistence(join(folder, 'data'));
  const doc = await db.getYDoc('anna');
  await db.destroy();
  expect(Object.values(doc.getMap('notes').toJSON())).toHaveLength(7);
  expect(doc.store.clients.size).toBe(1);
  expect((before as { notes: unknown[] }).notes).toHaveLength(7);
});
