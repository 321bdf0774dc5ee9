/** y-websocket reconnects when no message came for 30 s, and pings are none: the server keeps it company (N6). */
import { expect, test, vi } from 'vitest';
import { MemoryStore } from '../../../server/store/memory/memory-store.js';
import { useNative, useRaw, useServer } from '../../support/use.js';

const real = Boolean(process.env.CI || process.env.LONG);

test.runIf(real)(
  '[N6] a lone idle provider stays on one connection for 90 s',
  { timeout: 120_000 },
  async () => {
    const server = await useServer();
    const phone = await useNative(server, 'anna', 'phone');
    phone.provider.awareness.setLocalState(null); // or it would renew its state, which is a message of its own
    await new Promise((resolve) => setTimeout(resolve, 90_000));
    expect([phone.connections, phone.provider.synced]).toEqual([1, true]);
  },
);

test('[N6] an idle connection gets a message at least every 15 s of 90', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date', 'performance'] });
  try {
    const server = await useServer({ PING_INTERVAL: '0' }, { store: new MemoryStore() });
    const raw = await useRaw(server, 'anna', 'phone');
    const times = [Date.now()];
    raw.ws.on('message', () => times.push(Date.now()));
    for (let second = 0; second < 90; second++) {
      vi.advanceTimersByTime(1_000);
      await raw.heard();
    }
    times.push(Date.now());
    const gaps = times.slice(1).map((at, index) => at - (times[index] as number));
    expect(Math.max(...gaps)).toBeLessThanOrEqual(15_000);
    expect(times.length).toBeLessThan(12);
  } finally {
    vi.useRealTimers();
  }
});
