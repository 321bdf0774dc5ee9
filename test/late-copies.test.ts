/**
 * Messages of a JSON device that lie in a connection whose network is parted: the device sends them once more over
 * another one, goes on, and then those come in, too (L4, L5).
 */
import { expect, test } from 'vitest';
import { recordMap, writeRecord } from '../shared/records.js';
import { record, Ward, type WardDevice } from './support/ward.js';

const N1 = record('notes', 'n1');
/** How long the network is parted, in ms. */
const PARTED = 5_800;

/** A tablet that writes `stuck` values, then another one over a second connection; the record when all has come in. */
async function parted(stuck: number, between: (ward: Ward, second: WardDevice) => void = () => {}) {
  const ward = await Ward.open();
  ward.write('phone', (doc) => writeRecord(doc, N1.collection, N1.id, { id: 'n1', by: { laptop: 5 } }));
  const first = await ward.line('tablet').ready();
  ward.now += 40_000;
  await first.updateAt('notes', { id: 'n0' }, ward.now, ward.now); // its clock is known
  ward.now += 5_000;
  const began = ward.now;
  const sends = async (line: WardDevice, off: number) => {
    for (let n = 0; n < stuck; n++) {
      const at = began + 2 * n - off;
      await line.updateAt('notes', { id: 'n1', by: { laptop: 5, tablet: n } }, at, at);
    }
  };
  ward.now = began + 2_000;
  const second = await ward.line('tablet').ready();
  await sends(second, 0);
  ward.now += 800;
  await second.updateAt('notes', { id: 'n1', by: { laptop: 5, tablet: 67 } }, ward.now, ward.now);
  between(ward, second);
  ward.now = began + PARTED;
  await sends(first, 1); // times differ by a millisecond, as the clock is known a little better by now
  return ward.json('notes', 'n1');
}

const AFTER = { id: 'n1', by: { laptop: 5, tablet: 67 } };

test.each([1, 2, 3])(
  '[L5 L6] %i late copies take nothing back of what the device wrote since',
  async (stuck) => {
    expect(await parted(stuck)).toEqual(AFTER);
  },
);

test('[L5 L6] nor where others changed the record meanwhile, or the second connection is gone', async () => {
  const set = (ward: Ward) =>
    ward.write('phone', (doc) => recordMap(doc, N1.collection, N1.id)?.set('batch', 19));
  expect(await parted(2, set)).toEqual({ ...AFTER, batch: 19 });
  expect(await parted(2, (_, second) => second.leave())).toEqual(AFTER);
});
