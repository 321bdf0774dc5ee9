/** A change of several records reaches a JSON device one by one: what of it has arrived is told by pongs (L4). */
import { expect, test } from 'vitest';
import type * as Y from 'yjs';
import type { CollectionName, RecordId } from '../shared/names.js';
import { writeRecord } from '../shared/records.js';
import { JsonLine } from './support/devices/json-line.js';
import { Ward } from './support/ward.js';

test('[L4 L6] a pong for the first record of a change tells nothing of those behind it', async () => {
  const ward = await Ward.open();
  const set = (v: number) => (doc: Y.Doc) => {
    for (const id of ['n1', 'n2']) writeRecord(doc, 'notes' as CollectionName, id as RecordId, { id, v });
  };
  ward.write('phone', set(0));
  const line = new JsonLine({
    document: ward.document,
    device: 'tablet',
    now: () => ward.now,
    closed: () => {},
  });
  const pong = async () => {
    await expect.poll(() => line.frames.some((frame) => 'ping' in frame)).toBe(true);
    line.pong(line.takePing() ?? '');
  };
  await pong(); // it has the full sync
  ward.now += 40_000;
  line.say({
    type: 'DATA_UPDATE',
    data: { collection: 'notes', document: { id: 'n0' }, timestamp: ward.now },
    timestamp: ward.now,
  });
  await ward.document.durable();
  ward.now += 10_000;
  ward.write('desk', set(1));
  await ward.document.durable();
  await pong(); // `n1` has arrived; the line is cut before `n2`
  ward.now += 5_000;
  const at = ward.now; // long after it has read `n1`
  line.leave();
  ward.now += 1_000;
  const later = await ward.line('tablet').ready();
  await later.updateAt('notes', { id: 'n2', v: 0, by: 'tablet' }, at, ward.now);
  expect(ward.json('notes', 'n2')).toEqual({ id: 'n2', v: 1, by: 'tablet' });
});
