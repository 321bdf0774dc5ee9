import { expect, onTestFinished, test } from 'vitest';
import * as Y from 'yjs';
import type { Origin } from '../../../../server/documents/changes.js';
import { DRY_RUN_LIMITS, DryRuns } from '../../../../server/documents/intake/dry-run.js';
import type { RegistryOptions } from '../../../../server/documents/registry.js';
import { SyncError } from '../../../../server/errors.js';
import { MemoryStore } from '../../../../server/store/memory/memory-store.js';
import type { DeviceId } from '../../../../shared/names.js';
import { largeArray, mergeable, offlineDocument, scatteredDeletions } from '../../../hostile/updates.js';
import { openDocument } from '../../../support/document.js';

const origin: Origin = { via: 'yjs', device: 'phone' as DeviceId, actor: null, subscriber: null };

async function open(limits = { ...DRY_RUN_LIMITS, timeout: 60_000 }, options: Partial<RegistryOptions> = {}) {
  const dryRuns = new DryRuns(limits);
  onTestFinished(() => dryRuns.close());
  const store = new MemoryStore();
  return { store, document: await openDocument(store, 'anna', { dryRuns, ...options }) };
}

const stateOf = (updates: readonly Uint8Array[]): unknown => {
  const doc = new Y.Doc();
  for (const update of updates) Y.applyUpdate(doc, update);
  return { notes: doc.getMap('notes').toJSON(), appointments: doc.getMap('appointments').toJSON() };
};

test('[S1] a large first upload is tried in a worker, then applied in parts', async () => {
  const { store, document } = await open();
  const update = offlineDocument(3_000);
  const { tried, missing } = document.receive(origin, update, null);
  expect(missing).toBeNull();
  expect(tried).toBeInstanceOf(Promise);
  await tried;
  await document.durable();
  expect(document.record({ collection: 'appointments', id: 'a2999' } as never)).toMatchObject({ room: 39 });
  const { updates } = await store.load('anna' as never);
  expect(updates.length).toBeGreaterThan(3);
  expect(stateOf(updates)).toEqual(stateOf([update]));
}, 60_000);

test('[P4] one that makes a compaction due brings it about, though nothing comes after it', async () => {
  const { store, document } = await open(undefined, { compactUpdates: 2, compactBytes: 1 });
  // What makes one due grows with the first update. How many parts the upload comes in is the machine's pace.
  const first = offlineDocument(1);
  expect(document.receive(origin, first, null).tried).toBeUndefined();
  const update = offlineDocument(1_000);
  const { tried } = document.receive(origin, update, null);
  expect(tried).toBeInstanceOf(Promise);
  await tried;
  await new Promise<void>((ready) => document.whenReady(ready));
  await document.compaction.ended;
  await document.durable();
  const { updates } = await store.load('anna' as never);
  expect(updates).toHaveLength(1);
  expect(stateOf(updates)).toEqual(stateOf([first, update]));
}, 60_000);

test('[S1] what Yjs joins at length comes out joined, and deletions of a large array pass', async () => {
  const { store, document } = await open();
  await document.receive(origin, mergeable(4_000), null).tried;
  const other = await open();
  other.document.receive(origin, largeArray(20_000), null);
  await other.document.receive(origin, scatteredDeletions(2_000, 20_000), null).tried;
  await other.document.durable();
  const { updates } = await other.store.load('anna' as never);
  expect(stateOf(updates)).toEqual(stateOf([largeArray(20_000), scatteredDeletions(2_000, 20_000)]));
  expect((await store.load('anna' as never)).updates[0]?.length).toBeLessThan(mergeable(4_000).length);
}, 60_000);

test('[S1] what takes too long is refused, and the document goes on', async () => {
  const { document } = await open({ ...DRY_RUN_LIMITS, timeout: 1 });
  const { tried } = document.receive(origin, offlineDocument(3_000), null);
  let entered = false;
  document.whenReady(() => {
    entered = true;
  });
  expect(entered).toBe(false);
  const error = await tried?.catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(SyncError);
  expect((error as SyncError).code).toBe('UPDATE_TOO_COSTLY');
  await expect.poll(() => entered).toBe(true);
  expect(document.receive(origin, offlineDocument(1), null)).toEqual({ missing: null });
});
