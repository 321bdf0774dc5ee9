/** What everybody shares, as it is durable (D8). */
import { expect, test } from 'vitest';
import { DurableRecords } from '../../../server/documents/durable-records.js';
import { SyncError } from '../../../server/errors.js';
import { MemoryStore } from '../../../server/store/memory/memory-store.js';
import type { CollectionName, DeviceId, RecordId } from '../../../shared/names.js';
import { writeRecord } from '../../../shared/records.js';
import { openDocument } from '../../support/document.js';

const DOCTORS = 'doctors' as CollectionName;
const origin = { via: 'json', device: 'desk' as DeviceId, actor: null, subscriber: null } as const;

test('[D8 N3] whoever asked before their document failed shows what was saved, and not that there is nothing', async () => {
  const store = new MemoryStore();
  const document = await openDocument(store, '~shared');
  const add = (id: string) =>
    document.write(origin, (doc) => writeRecord(doc, DOCTORS, id as RecordId, { id }));
  add('d1');
  const records = await DurableRecords.of(document);
  store.failNext({ kept: false });
  add('d2');
  await expect(document.durable()).rejects.toBeInstanceOf(SyncError);
  expect([records.revision, records.of([DOCTORS])]).toEqual([1, { doctors: [{ id: 'd1' }] }]);
});
