/** Whom a document takes that has as many client ids as there may be (P10). */
import { expect, test } from 'vitest';
import * as Y from 'yjs';
import { MemoryStore } from '../../../../server/store/memory/memory-store.js';
import type { DeviceId } from '../../../../shared/names.js';
import { longLived } from '../../../support/long-lived.js';
import { ANNA, SleepWorld } from '../../../support/sleep-world.js';

test('[N8] [P10] a device that has all of the fullest document is taken once the server has written in it, too', async () => {
  const MAX_CLIENTS = 50_000;
  const doc = longLived(MAX_CLIENTS);
  const contents: MemoryStore['contents'] = new Map();
  const store = new MemoryStore(contents);
  await store.load(ANNA);
  await store.commit(ANNA, { update: Y.encodeStateAsUpdate(doc), revision: 1 });
  await store.close();
  const world = new SleepWorld(contents);
  const { document, release } = await world.registry.open(ANNA);
  const desk = { via: 'json', device: 'desk' as DeviceId, actor: null, subscriber: null } as const;
  document.write(desk, (own) => void own.getMap('notes').set('desk', 1));
  await document.durable();
  Y.applyUpdate(doc, Y.encodeStateAsUpdate(document.doc, Y.encodeStateVector(doc)));
  release();
  expect(doc.store.clients.size).toBe(MAX_CLIENTS + 1);
  expect((await world.connect('phone', doc)).closed).toBeNull();
});
