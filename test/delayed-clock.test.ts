/**
 * A device whose first messages were long on their way: its clock seems to be slow by that, until a message comes at
 * once. What it wrote by then counts as too late (L5).
 */
import { expect, test } from 'vitest';
import { Ward } from './support/ward.js';

const LATE = 3_000;

/** A tablet writes `n1`, which comes late, and leaves; both by its clock, in ms since it began. */
async function delayed(madeAt: number) {
  const ward = await Ward.open();
  const began = ward.now;
  const first = await ward.line('tablet').ready();
  ward.now = began + LATE; // a server between them was stopped
  await first.updateAt('notes', { id: 'n0' }, began, began);
  await first.updateAt('notes', { id: 'n1', v: 3 }, began + madeAt, began + madeAt);
  ward.now = began + LATE + 1_000;
  first.leave();
  ward.now = began + LATE + 2_000;
  const second = await ward.line('tablet').ready();
  const writes = (v: number, madeAt: number) =>
    second.updateAt('notes', { id: 'n1', v }, began + madeAt, ward.now);
  return { ward, writes };
}

test('[L5 L6] what a device writes later is not older than what it wrote before, which came late', async () => {
  const { ward, writes } = await delayed(100);
  await writes(23, 1_000);
  expect(ward.json('notes', 'n1')).toEqual({ id: 'n1', v: 23 });
});

test('[L5 L6] what its queue sends again, and is older, takes nothing back all the same', async () => {
  const { ward, writes } = await delayed(1_000);
  await writes(2, 100);
  expect(ward.json('notes', 'n1')).toEqual({ id: 'n1', v: 3 });
});

test('[L5 L6] nor from the very first message of a device', async () => {
  const ward = await Ward.open();
  const began = ward.now;
  const first = await ward.line('tablet').ready();
  ward.now = began + LATE;
  await first.updateAt('notes', { id: 'n1', v: 3 }, began + 1_000, began + 1_000);
  ward.now += 1_000;
  first.leave();
  ward.now += 1_000;
  const second = await ward.line('tablet').ready();
  await second.updateAt('notes', { id: 'n1', v: 2 }, began + 100, ward.now);
  expect(ward.json('notes', 'n1')).toEqual({ id: 'n1', v: 3 });
});

test.each<[string, object | null]>([
  ['changed', { id: 'n1', v: 3 }],
  ['deleted', null],
])('[L5 L6 L7] nor from what it %s without naming a time', async (_, left) => {
  const ward = await Ward.open();
  const began = ward.now;
  const first = await ward.line('tablet').ready();
  ward.now = began + LATE;
  await first.updateAt('notes', { id: 'n1', v: 1 }, began, began);
  ward.now += 40_000; // nothing of before is in its queue
  if (left === null) await first.delete('notes', 'n1', null);
  else await first.update('notes', left, null);
  const at = ward.now;
  ward.now += 3_000;
  first.leave();
  ward.now += 1_000;
  const second = await ward.line('tablet').ready();
  await second.updateAt('notes', { id: 'n1', v: 2 }, at - LATE / 2, ward.now);
  expect(ward.json('notes', 'n1')).toEqual(left);
});
