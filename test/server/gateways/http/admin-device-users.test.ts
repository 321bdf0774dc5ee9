/** Whom one phone was used for: the operator looks a device up across users (A0). */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { RESTORED } from '../../../../server/backup/restore.js';
import { messages } from '../../../../server/protocol/yjs.js';
import { MemoryStore } from '../../../../server/store/memory/memory-store.js';
import { user, writeNotes } from '../../../support/notes.js';
import type { TestServer } from '../../../support/server.js';
import { bearer } from '../../../support/tokens.js';
import { useJson, useRaw, useServer } from '../../../support/use.js';

const ADMIN_TOKEN = 'the-admin-token-of-the-tests';

async function usersOf(server: TestServer, device: string, query = '') {
  const path = `/admin/api/devices/${encodeURIComponent(device)}/users${query}`;
  const answer = await fetch(server.url + path, { headers: bearer(ADMIN_TOKEN) });
  return { status: answer.status, ...(await answer.json()) };
}

const namesIn = ({ users }: { users: { user: string }[] }): string[] => users.map(({ user }) => user).sort();

const visit = (server: TestServer, name: string, device: string) =>
  fetch(`${server.url}/api/sync/${name}`, {
    method: 'POST',
    headers: { 'Device-ID': device },
    body: JSON.stringify({
      changes: [
        {
          type: 'DATA_UPDATE',
          data: { collection: 'appointments', document: { id: 'a1', room: 1 }, timestamp: 1 },
          userId: name,
          deviceId: device,
          timestamp: 1,
        },
      ],
    }),
  });

test('[A0] a phone is found at each user it was there for, with what it has not sent; no document is loaded', async () => {
  const DATA_DIR = await mkdtemp(join(tmpdir(), 'admin-'));
  onTestFinished(() => rm(DATA_DIR, { recursive: true, force: true }));
  const before = await useServer({ ADMIN_TOKEN, DATA_DIR });
  for (const name of ['anna', 'bert']) await visit(before, name, 'phone 7');
  await visit(before, 'carl', 'phone 77');
  await before.app.close();
  const server = await useServer({ ADMIN_TOKEN, DATA_DIR });
  const away = await usersOf(server, 'phone 7');
  const overview = await fetch(`${server.url}/admin/api/overview`, { headers: bearer(ADMIN_TOKEN) });
  expect((await overview.json()).documents.inMemory).toBe(0);
  expect(away).toMatchObject({ status: 200, device: 'phone 7', looked: 3, next: null });
  expect(namesIn(away)).toEqual(['anna', 'bert']);
  expect(away.users[0]).toMatchObject({ via: 'http', connected: false, behind: 0, unsent: null });
  const there = await useRaw(server, 'bert', 'phone 7');
  there.send(messages.checkpoint(7, 12, 9, 60_000));
  await there.until(() => there.messages.some(({ type }) => type === 'checkpoint'));
  const found = await usersOf(server, 'phone 7');
  const bert = found.users.find(({ user }: { user: string }) => user === 'bert');
  expect(bert).toMatchObject({ connected: true, via: 'yjs', unsent: { count: 9, current: true } });
  expect(namesIn(await usersOf(server, 'phone'))).toEqual([]);
});

test('[A0] one that is connected as a user without a document is found, too', async () => {
  const server = await useServer({ ADMIN_TOKEN });
  await useJson(server, 'nobody', 'phone');
  expect(namesIn(await usersOf(server, 'phone'))).toEqual(['nobody']);
});

test('[A0] an answer looks at so many users, and says where to go on', async () => {
  const store = new MemoryStore();
  const users = Array.from({ length: 2_030 }, (_, index) => user(`u${String(index).padStart(4, '0')}`));
  await Promise.all(
    users.map(async (each) => {
      await store.load(each);
      await writeNotes(store, each, 1);
    }),
  );
  const server = await useServer({ ADMIN_TOKEN }, { store });
  await visit(server, 'u2029', 'phone');
  const first = await usersOf(server, 'phone');
  expect([first.looked, first.users, first.next]).toEqual([2_000, [], 'u1999']);
  const second = await usersOf(server, 'phone', `?after=${first.next}`);
  expect([second.looked, namesIn(second), second.next]).toEqual([30, ['u2029'], null]);
});

test('[A0] [P11] of those that are away since a restore, the 100 that were there last are named', async () => {
  const store = new MemoryStore();
  await store.setNote(RESTORED, Buffer.from(new Date(Date.now() + 60_000).toISOString()));
  const server = await useServer({ ADMIN_TOKEN }, { store });
  for (const name of ['anna', 'bert', 'carl'])
    await Promise.all(Array.from({ length: 35 }, (_, index) => visit(server, name, `phone ${index}`)));
  const answer = await fetch(`${server.url}/admin/api/restored`, { headers: bearer(ADMIN_TOKEN) });
  const { first, ...counted } = await answer.json();
  expect(counted).toMatchObject({ looked: 3, back: 0, away: 105, next: null });
  const times = first.map(({ at }: { at: number }) => at);
  expect([times.length, times]).toEqual([100, [...times].sort((a, b) => b - a)]);
});

test('[A0] the look is a line of the audit trail, pages and repetitions none more', async () => {
  const server = await useServer({ ADMIN_TOKEN });
  for (const query of ['', '?after=anna', '']) await usersOf(server, 'phone', query);
  await usersOf(server, 'tablet');
  const trail = await readFile(join(`${server.folder}-access`, 'audit.jsonl'), 'utf8');
  const lines = trail
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(lines).toMatchObject([
    { actor: '~operator', action: 'devices', user: '*', what: { device: 'phone' } },
    { action: 'devices', what: { device: 'tablet' } },
  ]);
  expect(lines).toHaveLength(2);
});

test.each(['%00', 'a%2Fb', 'x'.repeat(200)])('[A0] [D6] what can be no device is refused: %s', async (id) => {
  const server = await useServer({ ADMIN_TOKEN });
  const path = `${server.url}/admin/api/devices/${id}/users`;
  const answer = await fetch(path, { headers: bearer(ADMIN_TOKEN) });
  expect([answer.status, (await answer.json()).code]).toEqual([400, 'INVALID_IDENTITY']);
  expect((await fetch(path)).status).toBe(401);
});
