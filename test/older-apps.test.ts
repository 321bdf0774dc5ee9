/**
 * An app that does not know a field which others put into every record: what it may be left with after each of its
 * writes is known from the history, so that nothing more has to be saved (L4, L6).
 */
import { describe, expect, test } from 'vitest';
import type { Store } from '../server/store/store.js';
import { recordMap, writeRecord } from '../shared/records.js';
import { memoryShelf, record, Ward, type WardDevice } from './support/ward.js';

const FIELDS = { a: 0, address: { street: 'High Street' }, doses: [{ id: 'm1', mg: 5 }] };
/** The same, as newer apps have it. */
const NEWER = {
  ...FIELDS,
  note: 'of others',
  address: { ...FIELDS.address, zip: '1000' },
  doses: [{ id: 'm1', mg: 5, unit: 'mg' }],
};
const N1 = record('notes', 'n1');

/** Counts what is saved of devices. */
class Saves {
  count = 0;

  around = (store: Store): Store =>
    new Proxy(store, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== 'function') return value;
        if (name === 'commit') return this.#commit(target);
        return value.bind(target);
      },
    });

  #commit =
    (store: Store): Store['commit'] =>
    (user, commit) => {
      this.count += commit.devices?.size ?? 0;
      return store.commit(user, commit);
    };
}

async function open(count: number, saves = new Saves()): Promise<{ ward: Ward; phone: WardDevice }> {
  const ward = await Ward.open(memoryShelf(), { around: saves.around });
  ward.write('desk', (doc) => {
    for (let n = 1; n <= count; n++)
      writeRecord(doc, N1.collection, record('notes', `n${n}`).id, { id: `n${n}`, ...NEWER });
  });
  const phone = await ward.line('phone').ready();
  ward.now += 40_000;
  await phone.updateAt('notes', { id: 'own', ...FIELDS }, ward.now, ward.now);
  return { ward, phone };
}

test('[L4] its writes save no more of the device than those of other apps', async () => {
  const saves = new Saves();
  const { ward, phone } = await open(10, saves);
  saves.count = 0;
  for (let n = 1; n <= 10; n++) {
    ward.now += 1_000;
    await phone.update('notes', { id: `n${n}`, ...FIELDS, a: n });
    expect(ward.json('notes', `n${n}`)).toEqual({ id: `n${n}`, ...NEWER, a: n });
  }
  expect(saves.count).toBeLessThan(2);
});

describe.each(['leaves', 'is there when the server is killed'] as const)('the app %s', (how) => {
  /** What it sends from its queue then; by then it has sent everything that newer apps do in another record. */
  async function queued(sends: object, between: (ward: Ward) => void = () => {}): Promise<unknown> {
    const { ward, phone } = await open(1);
    ward.now += 1_000;
    await phone.update('notes', { id: 'n1', ...FIELDS, a: 1 });
    if (how === 'leaves') phone.leave();
    else await ward.load(); // as a process that knows nothing of what was not saved
    const at = ward.now;
    ward.now += 5_000;
    between(ward);
    const again = await ward.line('phone').ready();
    await again.updateAt('notes', { id: 'own', ...NEWER }, at + 500, ward.now);
    await again.updateAt('notes', { id: 'n1', ...sends }, at + 1_000, ward.now);
    return ward.json('notes', 'n1');
  }

  test('[L4 L6] what it has not read before it knew the fields is not taken for removed', async () => {
    expect(await queued({ ...FIELDS, a: 2 })).toEqual({ id: 'n1', ...NEWER, a: 2 });
  });

  test('[L4 L6] nor where others have changed that', async () => {
    const change = (ward: Ward) =>
      ward.write('desk', (doc) => recordMap(doc, N1.collection, N1.id)?.set('note', 'newer'));
    expect(await queued({ ...FIELDS, a: 2 }, change)).toEqual({ id: 'n1', ...NEWER, note: 'newer', a: 2 });
  });
});

test('[L6] what it removes of its own, whenever it sent that first, is removed', async () => {
  const { ward, phone } = await open(1);
  ward.now += 1_000;
  await phone.update('notes', { id: 'own', ...NEWER });
  phone.leave();
  const at = ward.now;
  ward.now += 5_000;
  const again = await ward.line('phone').ready();
  await again.updateAt('notes', { id: 'own', ...FIELDS }, at + 1_000, ward.now);
  expect(ward.json('notes', 'own')).toEqual({ id: 'own', ...FIELDS });
});

test('[L6] what it has read since, and leaves out, is removed', async () => {
  const { ward, phone } = await open(1);
  ward.now += 1_000;
  await phone.update('notes', { id: 'n1', ...FIELDS, a: 1 });
  ward.now += 5_000;
  await phone.update('notes', { id: 'own', ...NEWER });
  ward.now += 5_000;
  await phone.update('notes', { id: 'n1', ...NEWER, a: 1, note: 'mine' });
  await phone.update('notes', { id: 'n1', ...FIELDS, a: 1 });
  expect(ward.json('notes', 'n1')).toEqual({ id: 'n1', ...FIELDS, a: 1 });
});
