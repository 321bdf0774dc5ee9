/** The server refuses the very first change of a user, of whom it has nothing; another tab is open (C9, C10, C11). */
import { afterEach, expect, test } from 'vitest';
import { memoryStorage } from '../../client/local-store/memory.js';
import type { Platform } from '../../client/platform/platform.js';
import { closeClients, statusWhere, synced, testClient } from '../support/devices/test-client.js';
import { useServer } from '../support/use.js';

afterEach(closeClients);

test.each<[string, Partial<Platform>]>([
  ['a socket', {}],
  ['HTTP', { WebSocket: undefined }],
])(
  '[C9 C10 C11] over %s: it is named in both tabs, and neither takes that for an erasure',
  async (_, parts) => {
    const { url: serverUrl } = await useServer({ MAX_STRUCTS: '200' });
    const storage = memoryStorage();
    const tabs = [testClient({ ...parts, storage }), testClient({ ...parts, storage })] as const;
    const told: string[] = [];
    for (const tab of tabs) {
      await tab.initialize({ serverUrl, userId: 'anna', autoConnect: false });
      tab.status.subscribe(({ connection }) => told.push(connection));
    }
    const many = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`k${i}`, i]));
    await tabs[0].addData('notes', { id: 'big', ...many });
    await Promise.all(tabs.map((tab) => tab.connect()));
    for (const tab of tabs) await statusWhere(tab, ({ refused }) => refused.length === 1);
    await Promise.all(tabs.map(synced));
    expect(told).not.toContain('refused');
    expect(tabs.map(({ status }) => status.current.refused.map(({ id }) => id))).toEqual([['big'], ['big']]);
  },
);
