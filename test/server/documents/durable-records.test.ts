/** What everybody shares, as it is durable (D8). */
import { afterEach, expect, test, vi } from 'vitest';
import * as Y from 'yjs';
import { DurableRecords } from '../../../server/documents/durable-records.js';
import { Slices } from '../../../server/documents/loading/slices.js';
import { SyncError } from '../../../server/errors.js';
import { MemoryStore } from '../../../server/store/memory/memory-store.js';
import type { CollectionName, DeviceId, RecordId } from '../../../shared/names.js';
import { writeRecord } from '../../../shared/records.js';
import { openDocument } from '../../support/document.js';
import { docOf } from '../../support/large-document.js';
import { user } from '../../support/notes.js';

const DOCTORS = 'doctors' as CollectionName;
const SHARED = user('~shared');
const origin = { via: 'json', device: 'desk' as DeviceId, actor: null, subscriber: null } as const;

afterEach(() => {
  vi.restoreAllMocks();
});

/** As they are shown, and of how many records the JSON was made for that. */
function shownBy(records: DurableRecords, name = DOCTORS) {
  const stringify = vi.spyOn(JSON, 'stringify');
  const text = records.view([name]).toJson().toString();
  const made = stringify.mock.calls.filter(([value]) => typeof value === 'object').length;
  stringify.mockRestore();
  return { ...JSON.parse(text), made };
}

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
  expect([records.revision, shownBy(records)]).toEqual([1, { doctors: [{ id: 'd1' }], made: 1 }]);
});

test('[D8 S4] their JSON is made once for all who come, then only of what changes', async () => {
  const document = await openDocument(new MemoryStore(), SHARED);
  const put = (id: string, name: string) =>
    document.write(origin, (doc) => writeRecord(doc, DOCTORS, id as RecordId, { id, name }));
  put('d1', 'Rao');
  put('d2', 'Ito');
  const records = await DurableRecords.of(document);
  const [rao, ito] = [
    { id: 'd1', name: 'Rao' },
    { id: 'd2', name: 'Ito' },
  ];
  expect(shownBy(records)).toEqual({ doctors: [rao, ito], made: 2 });
  expect(shownBy(records)).toEqual({ doctors: [rao, ito], made: 0 });
  put('d2', 'Itō');
  await document.durable();
  expect(shownBy(records)).toEqual({ doctors: [rao, { ...ito, name: 'Itō' }], made: 1 });
  document.write(origin, (doc) => doc.getMap(DOCTORS).delete('d1'));
  await document.durable();
  expect(shownBy(records)).toEqual({ doctors: [{ ...ito, name: 'Itō' }], made: 0 });
  const largest = Buffer.byteLength(JSON.stringify({ ...ito, name: 'Itō' }));
  expect(records.view([DOCTORS]).largest).toBe(largest);
});

test('[D8 S4] of a large document it is made in steps', async () => {
  const store = new MemoryStore();
  await store.load(SHARED);
  await store.commit(SHARED, { update: Y.encodeStateAsUpdate(docOf(8_000)), revision: 1 });
  const document = await openDocument(store, SHARED);
  const inSteps = vi.spyOn(Slices.prototype, 'run');
  const records = await DurableRecords.of(document);
  expect(inSteps).toHaveBeenCalledOnce();
  const { patients, made } = shownBy(records, 'patients' as CollectionName);
  expect([patients.length, made]).toEqual([8_000, 0]);
});
