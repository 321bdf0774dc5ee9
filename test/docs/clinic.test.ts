/** What docs/guides/CLINIC.md says: whose document a record is in, and who comes to it. */
import '../support/web-globals.js';
import { expect, onTestFinished, test, vi } from 'vitest';
import { createSyncClient, syncManager } from '../../client/index.js';
import { book, openPatient, openShared } from '../../docs/examples/guides/clinic.js';
import { getToken } from '../../docs/examples/guides/sign-in.js';
import { bearer, JWT, tokenFor } from '../support/tokens.js';
import { useServer } from '../support/use.js';

test('[A2 D8 H5] a person at the desk books for a patient, and the history names the person', async () => {
  const server = await useServer({ ...JWT, SHARED_COLLECTIONS: 'doctors,rooms' });
  const write = (user: string) => ({ user, mode: 'write' as const });
  const token = await tokenFor('ms-kim', {
    access: [write('desk-north'), write('anna')],
    more: { shared: 'write' },
  });
  const real = fetch;
  const page = (path: string | URL | Request, init?: RequestInit) =>
    path === '/sync-token' ? Promise.resolve(Response.json({ token })) : real(path, init);
  vi.stubGlobal('fetch', page);
  const patient = await openPatient(server.url, 'anna');
  const desk = createSyncClient();
  onTestFinished(async () => {
    await Promise.all([syncManager.close(), patient.close(), desk.close()]);
    vi.unstubAllGlobals();
  });
  await desk.initialize({ serverUrl: server.url, userId: 'desk-north', getToken });
  const id = await book(desk, patient, 'anna', '2026-11-30T09:00');
  await Promise.all([patient.whenSynced(), desk.whenSynced()]);
  const ask = async (path: string): Promise<unknown> =>
    (await real(`${server.url}${path}`, { headers: bearer(token) })).json();
  expect(await ask('/api/sync/anna')).toMatchObject({ appointments: [{ id, status: 'booked' }] });
  expect(await ask('/api/sync/desk-north')).toMatchObject({ plan: [{ id, patientId: 'anna' }] });
  expect(await ask('/api/history/desk-north')).toMatchObject({ entries: [{ id, actor: 'ms-kim' }] });

  await openShared(server.url, 'ms-kim');
  await syncManager.addData('doctors', { id: 'd1', name: 'Dr. Rao' });
  await syncManager.whenSynced();
  expect(await ask('/api/sync/anna')).toMatchObject({ doctors: [{ id: 'd1' }] });
});
