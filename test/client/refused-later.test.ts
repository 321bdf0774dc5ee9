/** Changes that others follow on the same device, one of which the server refuses (C11). */
import { describe, expect, onTestFinished, test } from 'vitest';
import type { SyncClient } from '../../client/api/api.js';
import { createTestWard, type TestWard } from '../../client/testing/index.js';

async function useWard(server: Readonly<Record<string, string>>, shared: readonly string[] = []) {
  const ward = await createTestWard({ server, sharedCollections: shared });
  onTestFinished(() => ward.close());
  return { ward, phone: ward.device('phone') };
}

/** What the server has in the collection, in the order of ids. */
async function stored(ward: TestWard, collection = 'notes'): Promise<{ id: string }[]> {
  const { body } = await ward.request('/api/sync/anna');
  const all = (body as Record<string, { id: string }[]>)[collection] ?? [];
  return all.sort((a, b) => a.id.localeCompare(b.id));
}

const idsIn = (records: readonly { readonly id: unknown }[]): unknown[] => records.map(({ id }) => id);
const refusedIds = ({ status }: SyncClient): unknown[] => idsIn(status.current.refused);

/** More than the whole document may have. */
const long = 'x'.repeat(61_000);
const FULL = { MAX_DOCUMENT: '60 KB' };

describe('[C11] what stands on a refused change', () => {
  /** The network is away from then on. */
  async function withNote(text: string) {
    const { ward, phone } = await useWard(FULL);
    await phone.addData('notes', { id: 'n', text, tag: 'kept' });
    await ward.settled();
    ward.cut();
    const back = async () => {
      ward.mend();
      await ward.settled();
    };
    return { ward, phone, back };
  }

  test('the field that it would have replaced is as it was, on the server and here', async () => {
    const { ward, phone, back } = await withNote('old');
    await phone.updateData('notes', 'n', { text: long });
    await phone.updateData('notes', 'n', { tag: 'new' });
    await back();
    const kept = { id: 'n', text: 'old', tag: 'new' };
    expect([await stored(ward), phone.getRecord('notes', 'n')]).toEqual([[kept], kept]);
    expect(refusedIds(phone)).toEqual(['n']);
  });

  test('a text that was shortened since is taken, and nothing is refused', async () => {
    const { ward, phone, back } = await withNote('old');
    await phone.updateData('notes', 'n', { text: long });
    await phone.updateData('notes', 'n', { tag: 'new' });
    await phone.updateData('notes', 'n', { text: 'short' });
    await back();
    const kept = { id: 'n', text: 'short', tag: 'new' };
    expect([await stored(ward), phone.getRecord('notes', 'n')]).toEqual([[kept], kept]);
    expect(refusedIds(phone)).toEqual([]);
  });

  test('a record that was deleted since leaves nothing', async () => {
    const { ward, phone, back } = await withNote('old');
    await phone.addData('notes', { id: 'big', text: long });
    await phone.addData('notes', { id: 'small' });
    await phone.deleteData('notes', 'big');
    await back();
    expect(idsIn(await stored(ward))).toEqual(['n', 'small']);
    expect(refusedIds(phone)).toEqual([]);
  });

  test('a field of a record that was refused is set aside with it, as one', async () => {
    const { ward, phone, back } = await withNote('old');
    await phone.addData('notes', { id: 'big', text: long });
    await phone.updateData('notes', 'big', { tag: 'later' });
    await phone.addData('notes', { id: 'small' });
    await back();
    expect(idsIn(await stored(ward))).toEqual(['n', 'small']);
    expect(await phone.exportRefused()).toMatchObject([
      { id: 'big', records: [{ record: { id: 'big', text: long, tag: 'later' } }] },
    ]);
  });

  test('what others changed meanwhile is kept when it is retried, once there is room', async () => {
    const { ward, phone, back } = await withNote('x'.repeat(40_000));
    const more = 'y'.repeat(30_000);
    await phone.updateData('notes', 'n', { more, tag: 'mine' });
    await back();
    expect(refusedIds(phone)).toEqual(['n']);
    const desk = ward.device('desk');
    await ward.settled();
    await desk.updateData('notes', 'n', { text: 'theirs' });
    await ward.settled();
    await phone.retryRefused(phone.status.current.refused[0]?.key);
    expect(refusedIds(phone)).toEqual([]);
    await ward.settled();
    expect(await stored(ward)).toEqual([{ id: 'n', text: 'theirs', more, tag: 'mine' }]);
  });

  test('changes that fit as a whole are taken as a whole', async () => {
    const { ward, phone, back } = await withNote('x'.repeat(40_000));
    await phone.addData('notes', { id: 'new', text: 'y'.repeat(40_000) });
    await phone.deleteData('notes', 'n');
    await back();
    expect(idsIn(await stored(ward))).toEqual(['new']);
    expect(refusedIds(phone)).toEqual([]);
  });
});

test('[C11] a deletion that is refused leaves the record where it was', async () => {
  const { ward, phone } = await useWard({ MAX_DELETE_RANGES: '20' });
  for (let i = 0; i < 30; i++) {
    await phone.addData('notes', { id: 'wide', [`k${i}`]: i });
    await phone.addData('other', { id: `o${i}` }); // so that the fields are no single range
  }
  await ward.settled();
  ward.cut();
  await phone.deleteData('notes', 'wide');
  await phone.addData('notes', { id: 'later' });
  ward.mend();
  await ward.settled();
  expect(idsIn(await stored(ward))).toEqual(['later', 'wide']);
  expect(phone.getRecord('notes', 'wide')).toMatchObject({ k0: 0, k29: 29 });
  expect(await phone.exportRefused()).toMatchObject([{ records: [{ id: 'wide', record: null }] }]);
});

test('[C11 D8] a shared collection has its own, and is retried where it belongs', async () => {
  const { ward, phone } = await useWard({ MAX_STRUCTS: '200' }, ['doctors']);
  const many = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`k${i}`, i]));
  await phone.addData('doctors', { id: 'big', ...many });
  await phone.addData('doctors', { id: 'small' });
  await ward.settled();
  expect(idsIn(await stored(ward, 'doctors'))).toEqual(['small']);
  expect(phone.status.current.refused).toMatchObject([{ collection: 'doctors', id: 'big' }]);
  await phone.retryRefused();
  await ward.settled();
  expect(refusedIds(phone)).toEqual(['big']);
  await phone.discardRefused();
  expect(refusedIds(phone)).toEqual([]);
});
