/** One user floods within the limits: what others feel of it, and what becomes of the flood (S). */
import { expect, onTestFinished, test } from 'vitest';
import type { JsonDevice } from '../../support/devices/json-device.js';
import { ServerProcess } from '../../support/server-process.js';
import { useJson } from '../../support/use.js';
import { LATENESS } from '../../support/wait.js';

const SOCKETS = 10;
const MESSAGES = 300;
const ALL = SOCKETS * MESSAGES;

async function useProcess(options: Readonly<Record<string, string>> = {}): Promise<ServerProcess> {
  const server = await ServerProcess.start({ LOG_LEVEL: 'info', ...options });
  onTestFinished(() => server.dispose());
  return server;
}

/** Ten devices of a user that send everything at once, each within what one connection may; so does the user. */
async function flood(server: ServerProcess, user: string, sockets = SOCKETS): Promise<JsonDevice[]> {
  const devices: JsonDevice[] = [];
  for (let n = 0; n < sockets; n++) devices.push(await useJson(server, user, `flood-${n}`));
  for (let n = 0; n < MESSAGES; n++) {
    for (const [index, device] of devices.entries()) {
      const document = { id: `r${n % 20}`, [`k${index}`]: n, text: 'x'.repeat(100) };
      device.update('notes', document, { ack: `${index} ${n}` });
    }
  }
  return devices;
}

const acknowledged = (devices: readonly JsonDevice[]): number =>
  devices.reduce((sum, device) => sum + device.of('ACK').length, 0);

/** So many edits, each after the one before it is durable. */
async function edit(device: JsonDevice, count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    device.update('appointments', { id: 'a', n });
    await device.saved();
  }
}

test.each([1, 3])(
  '[S] %i users flood: ten edits of another one are durable long before the floods are',
  async (users) => {
    const server = await useProcess({ USER_RATE: '0' });
    const desk = await useJson(server, 'dora', 'desk');
    await edit(desk, 3);
    const floods = await Promise.all(Array.from({ length: users }, (_, n) => flood(server, `flood-${n}`)));
    await edit(desk, 10);
    expect(acknowledged(floods.flat())).toBeLessThan((users * ALL) / 2);
  },
  60_000,
);

test('[S] requests of another user do not wait for a flood', async () => {
  const server = await useProcess({ USER_RATE: '0' });
  const devices = await flood(server, 'anna');
  for (let n = 0; n < 10; n++) {
    const answer = await fetch(`${server.url}/api/sync/dora`);
    expect([answer.status, await answer.json()]).toEqual([
      200,
      expect.objectContaining({ appointments: [] }),
    ]);
  }
  expect(acknowledged(devices)).toBeLessThan(ALL / 2);
}, 60_000);

test('[S O4] SIGTERM while a user floods: it ends within 10 s, and nothing that was acknowledged is lost', async () => {
  const server = await useProcess({ USER_RATE: '0' });
  const devices = await flood(server, 'anna', 4);
  await devices[0]?.until(() => acknowledged(devices) > 100);
  const began = Date.now();
  const { code } = await server.stop();
  expect(code).toBe(0);
  expect(Date.now() - began).toBeLessThan(10_000 + LATENESS);
  const acks = devices.map((device) => device.of('ACK').length);
  await server.restart();
  const fresh = await useJson(server, 'anna', 'fresh');
  for (const [index, count] of acks.entries()) {
    const stored = Object.values(fresh.store.notes ?? {}).map((record) => Number(record[`k${index}`] ?? -1));
    expect(Math.max(...stored)).toBeGreaterThanOrEqual(count - 1);
  }
}, 60_000);

test('[S] USER_RATE: what comes beyond it is read more slowly, none of it is lost, no connection is ended', async () => {
  const server = await useProcess({ MESSAGE_RATE: '100', MESSAGE_BURST: '100', USER_RATE: '2' });
  const names = Array.from({ length: 8 }, (_, n) => `phone-${n}`);
  const devices = await Promise.all(names.map((name) => useJson(server, 'anna', name)));
  const began = Date.now();
  for (let n = 0; n < 99; n++) {
    for (const [index, device] of devices.entries()) device.update('notes', { id: `${index} ${n}` });
  }
  await Promise.all(devices.map((device) => device.saved()));
  // 800 messages, of which 200 may come at once and 200 more each second.
  expect(Date.now() - began).toBeGreaterThan(2_900);
  expect(devices.map(({ closed }) => closed)).toEqual(devices.map(() => null));
  const fresh = await useJson(server, 'anna', 'fresh');
  expect(Object.keys(fresh.store.notes ?? {})).toHaveLength(8 * 99);
}, 60_000);
