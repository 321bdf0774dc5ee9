/** y-websocket reconnects when no message came for 30 s, and pings are none: the server keeps it company (N6). */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { MemoryStore } from '../../../server/store/memory/memory-store.js';
import type { NativeDevice } from '../../support/devices/native-device.js';
import { openNative, useNative, useRaw, useServer } from '../../support/use.js';

// y-websocket keeps the `Date.now` that there was when it was loaded: this one follows the time that the tests set.
vi.hoisted(() => {
  const { Date: RealDate } = globalThis;
  const realNow = RealDate.now;
  RealDate.now = () => (globalThis.Date === RealDate ? realNow() : globalThis.Date.now());
});

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Time goes by, second by second; each time all that was sent arrives. */
async function pass(seconds: number, arrived: () => Promise<unknown>): Promise<void> {
  for (let second = 0; second < seconds; second++) {
    vi.advanceTimersByTime(1_000);
    await arrived();
  }
}

/** A pong is no message, so that nothing keeps the provider company that a lone one does not have. */
async function ponged({ provider }: NativeDevice): Promise<void> {
  const ws = provider.ws as unknown as WebSocket | null;
  if (ws === null || ws.readyState !== ws.OPEN) return;
  ws.ping();
  await new Promise<void>((resolve) => {
    const done = () => {
      ws.off('pong', done).off('close', done);
      resolve();
    };
    ws.on('pong', done).on('close', done);
  });
}

const idle = (device: NativeDevice): void => {
  device.provider.awareness.setLocalState(null); // or it would renew its state, which is a message of its own
};

test('[N6] a lone idle provider stays on one connection for 90 s', async () => {
  const server = await useServer({}, { store: new MemoryStore() });
  const phone = await useNative(server, 'anna', 'phone');
  idle(phone);
  await pass(90, () => ponged(phone));
  expect([phone.connections, phone.provider.synced]).toEqual([1, true]);
});

test('[N6] a server that is silent loses the provider within 40 s by the same clock', async () => {
  const silent = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  onTestFinished(() => silent.close());
  await once(silent, 'listening');
  const { port } = silent.address() as AddressInfo;
  const phone = openNative({ url: `http://127.0.0.1:${port}` }, 'anna', 'phone');
  idle(phone);
  await phone.until(() => phone.connections === 1);
  await pass(40, () => ponged(phone));
  await phone.until(() => phone.connections > 1);
});

test('[N6] an idle connection gets a message at least every 15 s of 90', async () => {
  const server = await useServer({ PING_INTERVAL: '0' }, { store: new MemoryStore() });
  const raw = await useRaw(server, 'anna', 'phone');
  const times = [Date.now()];
  raw.ws.on('message', () => times.push(Date.now()));
  await pass(90, () => raw.heard());
  times.push(Date.now());
  const gaps = times.slice(1).map((at, index) => at - (times[index] as number));
  expect(Math.max(...gaps)).toBeLessThanOrEqual(15_000);
  expect(times.length).toBeLessThan(12);
});
