/** Devices whose clocks tell whole seconds: what they write within one has one time (L5, L6). */
import { expect, test } from 'vitest';
import { writeRecord } from '../shared/records.js';
import { record, Ward, type WardDevice } from './support/ward.js';

const N1 = record('notes', 'n1');
const SECOND = 1_000;

const whole = (at: number): number => Math.floor(at / SECOND) * SECOND;

/** A ward with a note, and devices that have been there for a while. */
async function open(...names: readonly string[]): Promise<{ ward: Ward; lines: WardDevice[] }> {
  const ward = await Ward.open();
  ward.write('desk', (doc) => writeRecord(doc, N1.collection, N1.id, { id: 'n1', a: 0, b: 0 }));
  const lines: WardDevice[] = [];
  for (const name of names) lines.push(await ward.line(name).ready());
  ward.now += 40 * SECOND;
  for (const line of lines) {
    ward.now += 300; // at any moment of a second
    await says(ward, line, { id: 'own' });
  }
  ward.now = whole(ward.now) + 10 * SECOND;
  return { ward, lines };
}

const says = (ward: Ward, line: WardDevice, note: object): Promise<void> =>
  line.updateAt('notes', note, whole(ward.now), whole(ward.now));

test.each(['while it is there', 'from its queue'])(
  '[L5 L6] of what one device writes within a second, the last stays (%s)',
  async (how) => {
    const { ward, lines } = await open('tablet');
    let [line] = lines as [WardDevice];
    const at = ward.now;
    if (how === 'from its queue') {
      line.leave();
      ward.now += 10 * SECOND;
      line = await ward.line('tablet').ready();
    }
    for (const a of [1, 2, 1]) {
      ward.now += 200;
      await line.updateAt('notes', { id: 'n1', a, b: a }, at, whole(ward.now));
      expect(ward.json('notes', 'n1')).toEqual({ id: 'n1', a, b: a });
    }
    await line.delete('notes', 'n1', at);
    expect(ward.json('notes', 'n1')).toBeNull();
    await line.updateAt('notes', { id: 'n1', a: 5, b: 0 }, at, whole(ward.now));
    expect(ward.json('notes', 'n1')).toEqual({ id: 'n1', a: 5, b: 0 });
  },
);

test('[L6] of two devices that change one field within a second, the one that comes last stays', async () => {
  const { ward, lines } = await open('tablet', 'phone');
  const [tablet, phone] = lines as [WardDevice, WardDevice];
  await says(ward, tablet, { id: 'n1', a: 1, b: 0 });
  ward.now += 200;
  await says(ward, phone, { id: 'n1', a: 2, b: 0 }); // before it has read that
  ward.now += 200;
  expect(ward.json('notes', 'n1')).toEqual({ id: 'n1', a: 2, b: 0 });
  ward.now += 5 * SECOND;
  await says(ward, tablet, { id: 'n1', a: 2, b: 3 });
  expect(ward.json('notes', 'n1')).toEqual({ id: 'n1', a: 2, b: 3 });
});
