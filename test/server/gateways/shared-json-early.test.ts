/**
 * What a JSON device sends as soon as its socket is open, while somebody's change of the shared collections is not
 * durable yet: its first full sync waits for that, and what it sent waits with it (L1, D8).
 */
import { expect, test } from 'vitest';
import { MemoryStore } from '../../../server/store/memory/memory-store.js';
import type { JsonDevice } from '../../support/devices/json-device.js';
import type { TestServer } from '../../support/server.js';
import { openJson, useJson, useServer } from '../../support/use.js';
import { PATIENCE } from '../../support/wait.js';

const RAO = { id: 'd1', name: 'Dr. Rao' };
const VISIT = { id: 'a1', at: '9:00' };

interface Scene {
  readonly server: TestServer;
  readonly phone: JsonDevice;
  /** From here on, what was held is durable. */
  readonly release: () => void;
}

/** A phone says something to a server whose shared collections are being changed. */
async function early(say: (phone: JsonDevice) => void): Promise<Scene> {
  const store = new MemoryStore();
  const server = await useServer({ SHARED_COLLECTIONS: 'doctors' }, { store });
  const desk = await useJson(server, 'admin', 'desk');
  store.hold();
  desk.update('doctors', RAO);
  await desk.heard();
  const before = await received(server);
  const phone = openJson(server, 'anna', 'phone');
  await phone.until(() => phone.ws.readyState === phone.ws.OPEN);
  say(phone);
  await expect.poll(() => received(server), { timeout: PATIENCE }).toBeGreaterThan(before);
  return { server, phone, release: () => store.release() };
}

/** How many messages of JSON devices have come in. */
async function received({ url }: TestServer): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(/messages_received_total\{[^}]*json[^}]*\} (\d+)/.exec(text)?.[1]);
}

async function rows({ url }: TestServer, collection: string): Promise<object[]> {
  const answer = await fetch(`${url}/api/sync/anna`);
  return ((await answer.json()) as Record<string, object[]>)[collection] ?? [];
}

test.each([
  ['appointments', VISIT],
  ['doctors', { id: 'd2', name: 'Dr. Lee' }],
])('[L1 L11 D8] a write to %s is kept, and acknowledged behind the full sync', async (of, document) => {
  const { server, phone, release } = await early((it) => it.update(of, document, { ack: 'w' }));
  expect(phone.messages).toEqual([]);
  release();
  expect((await phone.next('ACK')).ack).toBe('w');
  expect(phone.messages.slice(0, 2).map(({ type }) => type)).toEqual(['FULL_SYNC', 'CONNECTION_CONFIRMED']);
  expect(await rows(server, of)).toContainEqual(document);
});

test('[L1 D8] a write is kept where the phone is gone before its full sync', async () => {
  const { server, phone, release } = await early((it) => it.update('appointments', VISIT));
  phone.ws.terminate();
  release();
  await expect.poll(() => rows(server, 'appointments'), { timeout: PATIENCE }).toEqual([VISIT]);
});

test('[L1 D8] a full sync that it asks for comes once, with what was to be durable', async () => {
  const { phone, release } = await early((it) => it.requestSync({ ack: 's' }));
  release();
  await phone.next('ACK');
  expect(phone.of('CONNECTION_CONFIRMED')).toHaveLength(1);
  expect(phone.store.doctors).toEqual({ d1: RAO });
});
