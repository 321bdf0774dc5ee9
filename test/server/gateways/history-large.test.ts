/** The history of records with large texts keeps nobody waiting for all of them at once (H6, P7, S4). */
import { afterEach, expect, test, vi } from 'vitest';
import { readHistory, type ShownEntry } from '../../support/history.js';
import { useJson, useServer } from '../../support/use.js';

afterEach(() => {
  vi.restoreAllMocks();
});

const LARGE = 200_000;

test.each([
  ['[H6] a page of the history', async (url: string) => readHistory({ url, user: 'anna' })],
  [
    '[P7] the export',
    async (url: string) =>
      ((await (await fetch(`${url}/api/users/anna/export`)).json()) as { history: ShownEntry[] }).history,
  ],
])('[S4] %s is made into JSON record by record', async (_, read) => {
  const { url } = await useServer();
  const phone = await useJson({ url }, 'anna', 'phone');
  const versions = ['a', 'b', 'c'].map((end) => ({ id: 'n1', text: 'x'.repeat(LARGE) + end }));
  for (const version of versions) phone.update('notes', version);
  await phone.saved();
  const stringify = vi.spyOn(JSON, 'stringify');
  const entries = (await read(url)).sort((x, y) => y.revision - x.revision);
  const lengths = stringify.mock.results.map(({ value }) => String(value).length);
  stringify.mockRestore();
  expect(Math.max(...lengths)).toBeLessThan(1.5 * LARGE);
  const [a, b, c] = versions;
  expect(entries).toMatchObject([
    { revision: 3, id: 'n1', before: b, after: c, deviceId: 'phone', via: 'json' },
    { revision: 2, id: 'n1', before: a, after: b, deviceId: 'phone', via: 'json' },
    { revision: 1, id: 'n1', before: null, after: a, deviceId: 'phone', via: 'json' },
  ]);
});
