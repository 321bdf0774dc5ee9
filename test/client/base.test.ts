import { afterEach, describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import type { SyncRecord } from '../../client/api/api.js';
import { changedRecord } from '../../client/records/record-change.js';
import { closeClients, offlineClient } from '../support/devices/test-client.js';

afterEach(closeClients);

type Fields = Record<string, unknown>;

/** A form is opened on `record`, somebody makes `theirs` of it, and the form is saved. */
async function saved(record: Fields, theirs: Fields, save: (form: SyncRecord) => Fields): Promise<unknown> {
  const client = await offlineClient();
  await client.addData('appointments', { id: 'a', ...record });
  const base = (await client.getLocalData('appointments', 'a')) as SyncRecord;
  await client.updateData('appointments', 'a', theirs);
  await client.updateData('appointments', 'a', save(base), { base });
  return client.getLocalData('appointments', 'a');
}

describe('a form that was open', () => {
  test('[C14] saves a whole record, and what came meanwhile stays', async () => {
    const record = { status: 'booked', room: 4, note: 'x' };
    const result = await saved(record, { room: 7, note: undefined, doctor: 'B' }, (form) => ({
      ...form,
      status: 'arrived',
    }));
    expect(result).toEqual({ id: 'a', status: 'arrived', room: 7, doctor: 'B' });
  });

  test('[C14] objects are merged by field, lists by element', async () => {
    const record = { address: { city: 'A', zip: 1 }, medicines: [{ id: 'm1', dose: 1 }], tags: ['a', 'b'] };
    const theirs = {
      address: { city: 'A', zip: 2 },
      medicines: [{ id: 'm1', dose: 2 }, { id: 'm2' }],
      tags: ['b'],
    };
    const result = await saved(record, theirs, () => ({
      address: { city: 'B', zip: 1 },
      medicines: [{ id: 'm1', dose: 1, name: 'M' }, { id: 'm3' }],
      tags: ['a', 'b', 'c'],
    }));
    expect(result).toEqual({
      id: 'a',
      address: { city: 'B', zip: 2 },
      medicines: [{ id: 'm1', dose: 2, name: 'M' }, expect.anything(), expect.anything()],
      tags: ['b', 'c'],
    });
  });

  test('[C14] where both changed one value the form wins; what it removed goes, and a date is compared as stored', async () => {
    const at = new Date('2026-01-02T03:04:05Z');
    const result = await saved({ room: 4, note: 'x', at }, { room: 7, at: 'later' }, () => ({
      room: 5,
      note: undefined,
      at,
    }));
    expect(result).toEqual({ id: 'a', room: 5, at: 'later' });
  });

  test('[C14] shared texts are merged by word', () => {
    const map = new Y.Doc().getMap('record');
    map.set('note', new Y.Text('one two three four'));
    const change = { fields: { note: 'one 2 three' }, removed: [], base: { note: 'one two three' } };
    const merged = changedRecord({ id: 'a', note: 'one two three four' }, change, map);
    expect(merged).toEqual({ id: 'a', note: 'one 2 three four' });
  });

  test('[C14] a record that was deleted meanwhile is missing', async () => {
    const client = await offlineClient();
    await client.addData('notes', { id: 'a', t: 1 });
    await client.deleteData('notes', 'a');
    const update = client.updateData('notes', 'a', { t: 2 }, { base: { t: 1 } });
    await expect(update).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});
