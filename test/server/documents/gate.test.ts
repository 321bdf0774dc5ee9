/** What is done alone with a document that fails meanwhile: its user goes on, with the next one (P8). */
import { expect, onTestFinished, test } from 'vitest';
import * as Y from 'yjs';
import type { Origin } from '../../../server/documents/changes.js';
import { inOrder } from '../../../server/documents/in-order.js';
import { DRY_RUN_LIMITS, DryRuns } from '../../../server/documents/intake/dry-run.js';
import type { RegistryOptions } from '../../../server/documents/registry.js';
import { TURN_CLOCK, Turns } from '../../../server/documents/turns/turns.js';
import type { UserDocument } from '../../../server/documents/user-document.js';
import { SyncError } from '../../../server/errors.js';
import { RateLimiter } from '../../../server/net/token-bucket.js';
import { MemoryStore } from '../../../server/store/memory/memory-store.js';
import type { DeviceId, UserId } from '../../../shared/names.js';
import { offlineDocument } from '../../hostile/updates.js';
import { registryOf } from '../../support/document.js';
import { StoreGate } from '../../support/store-gate.js';

const ORIGIN: Origin = { via: 'yjs', device: 'phone' as DeviceId, actor: null, subscriber: null };
const ENDLESS = { rate: Number.POSITIVE_INFINITY, burst: Number.POSITIVE_INFINITY };
const MOVED = new SyncError('RESTARTING');
const DOWN = new SyncError('STORE_UNAVAILABLE');

/** Work that ends when a test says so. */
function later(): { promise: Promise<void>; resolve: () => void; reject: (error: Error) => void } {
  let [resolve, reject] = [(): void => {}, (_: Error): void => {}];
  const promise = new Promise<void>((done, failed) => {
    [resolve, reject] = [done, failed];
  });
  return { promise, resolve, reject };
}

/** Opens the document of one user; one that has failed is loaded anew. */
function useUser(options: Partial<RegistryOptions> = {}): () => Promise<UserDocument> {
  const turns = new Turns({
    clock: TURN_CLOCK,
    rateOf: () => new RateLimiter({ messages: ENDLESS, bytes: ENDLESS }, () => 0),
    maxUnsavedPerUser: 1e9,
    maxUnsaved: 1e9,
  });
  const registry = registryOf(new MemoryStore(), { turns, ...options });
  return async () => (await registry.open('anna' as UserId)).document;
}

test('[P8] [N3] what waited to be alone with a document that has failed does not keep its user waiting', async () => {
  const open = useUser();
  const document = await open();
  const reading = later();
  const done: string[] = [];
  const first = document.exclusive(() => reading.promise);
  const second = document.exclusive(async () => {
    done.push('second');
    throw DOWN;
  });
  document.whenReady(() => done.push('third'));
  document.fail(MOVED);
  reading.reject(DOWN);
  await Promise.all([first, second]);
  expect([document.failure, document.isPaused, done]).toEqual([MOVED, false, ['third']]);
  await document.exclusive(() => Promise.reject(DOWN)); // asked for only now
  expect(await inOrder(await open(), () => 'served')).toBe('served');
});

test('[P8] the end of what was done with a document that has failed lets nothing in while the next one is in work', async () => {
  const open = useUser();
  const document = await open();
  const [old, own] = [later(), later()];
  const outdated = document.exclusive(() => old.promise);
  document.fail(MOVED);
  const next = await open();
  const working = next.exclusive(() => own.promise);
  let isServed = false;
  next.turns.enter(() => {
    isServed = true;
  });
  old.resolve();
  await outdated;
  await new Promise(setImmediate);
  expect(isServed).toBe(false);
  own.resolve();
  await working;
  await new Promise(setImmediate);
  expect(isServed).toBe(true);
});

test('[P8] [N3] an update that was to be tried is refused when its document fails before its turn', async () => {
  const dryRuns = new DryRuns(DRY_RUN_LIMITS);
  onTestFinished(() => dryRuns.close());
  const gate = new StoreGate();
  const store = gate.around(new MemoryStore());
  const document = await useUser({ dryRuns, store })();
  gate.hold('commit');
  const small = new Y.Doc();
  small.getMap('notes').set('n1', 1);
  document.receive(ORIGIN, Y.encodeStateAsUpdate(small), null);
  const { tried } = document.receive(ORIGIN, offlineDocument(3_000), null);
  expect(tried).toBeInstanceOf(Promise);
  document.fail(MOVED);
  await expect(tried).rejects.toBe(MOVED);
});
