/** What a server that stops saves: of a batch that has just begun, and of who was there (O4, H2, L4). */
import { afterEach, describe, expect, test, vi } from 'vitest';
import { RequestView } from '../../server/documents/json-devices/request-view.js';
import { DocumentRegistry } from '../../server/documents/registry.js';
import { UserDocument } from '../../server/documents/user-document.js';
import { MemoryStore } from '../../server/store/memory/memory-store.js';
import { SHARED_DOCUMENT } from '../../shared/names.js';
import { user } from '../support/notes.js';
import type { TestServer } from '../support/server.js';
import { useJson, useServer } from '../support/use.js';

const ANNA = user('anna');

afterEach(() => {
  vi.restoreAllMocks();
});

const post = ({ url }: TestServer, changes: readonly object[]) =>
  fetch(`${url}/api/sync/anna`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ changes }),
  });

const changesOf = (collection: string, count: number) =>
  Array.from({ length: count }, (_, n) => ({
    type: 'DATA_UPDATE',
    userId: 'anna',
    deviceId: 'phone',
    data: { collection, document: { id: `n${n}`, name: 'queued' } },
  }));

/**
 * Stops the server while a batch waits, in its turn, for an earlier change to be durable; resolves with whether it could
 * save everything, and with the status of the batch.
 */
async function stopBefore(server: TestServer, memory: MemoryStore, change: object[], batch: object[]) {
  const flush = vi.spyOn(DocumentRegistry.prototype, 'flush');
  const commit = vi.spyOn(memory, 'commit');
  memory.hold();
  const earlier = post(server, change);
  await vi.waitUntil(() => commit.mock.calls.length > 0, { interval: 1 });
  // All changes are looked at before the first one is made.
  const contextOf = vi.spyOn(RequestView.prototype, 'contextOf');
  const answer = post(server, batch);
  await vi.waitUntil(() => contextOf.mock.calls.length >= batch.length, { interval: 1 });
  const stopped = server.app.close();
  await vi.waitUntil(() => flush.mock.calls.length > 0, { interval: 1 });
  await new Promise(setImmediate); // it waits for what it has found by then
  memory.release();
  const isSaved = await stopped;
  expect((await earlier).status).toBe(200);
  return { isSaved, status: (await answer).status };
}

describe('[O4] [H2] a server that stops as a batch begins', () => {
  test('[P4] waits for the compaction that the batch makes due, too', async () => {
    const store = new MemoryStore();
    const server = await useServer({ COMPACT_UPDATES: '3' }, { store });
    await post(server, changesOf('notes', 1));
    const compact = vi.spyOn(store, 'compact');
    const outcome = await stopBefore(server, store, changesOf('notes', 2), changesOf('notes', 500));
    expect(outcome).toEqual({ isSaved: true, status: 200 });
    expect(compact).toHaveBeenCalled();
    expect(store.contents.get(ANNA)?.revision).toBe(500);
  });

  test('[D8] waits for what of it is of its user, behind what is of the shared collections', async () => {
    const store = new MemoryStore();
    const server = await useServer({ SHARED_COLLECTIONS: 'doctors' }, { store });
    const batch = [...changesOf('notes', 500), ...changesOf('doctors', 499)];
    const outcome = await stopBefore(server, store, changesOf('doctors', 1), batch);
    expect(outcome).toEqual({ isSaved: true, status: 200 });
    const revisions = [ANNA, SHARED_DOCUMENT].map((name) => store.contents.get(name)?.revision);
    expect(revisions).toEqual([500, 499]);
  });
});

describe('[O4] a server that stops', () => {
  test('[N2] notes once how a document is, so that the next one need not load it', async () => {
    const store = new MemoryStore();
    const server = await useServer({}, { store });
    await post(server, changesOf('notes', 1));
    const put = vi.spyOn(store, 'putToRest');
    expect(await server.app.close()).toBe(true);
    expect(put).toHaveBeenCalledTimes(1);
  });

  test('[L4] saves what JSON devices know though which devices were there can not be written in time', async () => {
    const store = new MemoryStore();
    const server = await useServer({ SHUTDOWN_TIMEOUT: '1s' }, { store });
    await post(server, changesOf('notes', 1));
    await fetch(`${server.url}/api/sync/anna`, { headers: { 'Device-ID': 'phone' } });
    const seen = vi.spyOn(store, 'seen').mockReturnValue(new Promise(() => {}));
    const save = vi.spyOn(UserDocument.prototype, 'saveDevices');
    await server.app.close();
    expect(seen).toHaveBeenCalled();
    expect(save).toHaveBeenCalledWith('all');
  });

  test('[L4] [A0] saves what a JSON device had whose line is dead, which is cut off, as of one that says goodbye', async () => {
    const store = new MemoryStore();
    const server = await useServer({}, { store });
    await post(server, changesOf('notes', 1));
    const dead = await useJson(server, 'anna', 'phone');
    await useJson(server, 'berta', 'phone');
    expect(openedAt(store)).toEqual([expect.any(Number)]);
    dead.ws.pause(); // does not see the close, so does not answer it
    expect(await server.app.close()).toBe(true);
    expect(openedAt(store)).toEqual([null]);
    expect(`${Buffer.from(store.contents.get(ANNA)?.seen ?? [])}`).toContain('"revision":1');
  });
});

/** Since when her JSON devices were connected, as it is stored; `null`: it is known how that ended. */
const openedAt = ({ contents }: MemoryStore): unknown[] =>
  [...(contents.get(ANNA)?.devices.values() ?? [])].map(
    (bytes) => JSON.parse(`${Buffer.from(bytes)}`).connections?.openedAt,
  );
