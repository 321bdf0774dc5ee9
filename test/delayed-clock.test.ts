/**
 * A device whose first messages were long on their way: its clock seems to be slow by that, until a message comes at
 * once. What it wrote by then counts as too late (L5).
 */
import { describe, expect, test } from 'vitest';
import { Batch, readChanges } from '../server/gateways/http/batch.js';
import { recordMap, writeRecord } from '../shared/records.js';
import { memoryShelf, originOf, record, Ward, type WardDevice } from './support/ward.js';

const N1 = record('notes', 'n1');
const LATE = 3_000;
const HOUR = 3_600_000;

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

/** Ends the connection of the tablet, with the process of the server or alone. */
async function ends(how: 'tablet leaves' | 'server is killed', ward: Ward, line: WardDevice): Promise<void> {
  if (how === 'tablet leaves') line.leave();
  else await ward.load(); // as a process that knows nothing of what was not saved
}

describe.each(['tablet leaves', 'server is killed'] as const)('then the %s', (how) => {
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
    await ends(how, ward, first);
    ward.now += 1_000;
    const second = await ward.line('tablet').ready();
    await second.updateAt('notes', { id: 'n1', v: 2 }, at - LATE / 2, ward.now);
    expect(ward.json('notes', 'n1')).toEqual(left);
  });

  test('[L5 L6] nor from what came before its clock was known, which is slow', async () => {
    const ward = await Ward.open();
    const slow = (at: number) => at - HOUR;
    (await ward.line('tablet').ready()).leave();
    ward.now += 10_000;
    const first = await ward.line('tablet').ready();
    const at = slow(ward.now - 1_000);
    await first.updateAt('notes', { id: 'n1', v: 3 }, at, at); // from a queue, with the time of sending
    ward.now += 3_000;
    await ends(how, ward, first);
    ward.now += 1_000;
    const second = await ward.line('tablet').ready();
    await second.updateAt('notes', { id: 'n0' }, slow(ward.now - 2_000), slow(ward.now));
    await second.updateAt('notes', { id: 'n1', v: 2 }, at - 100, slow(ward.now));
    expect(ward.json('notes', 'n1')).toEqual({ id: 'n1', v: 3 });
  });
});

describe('the very first message of a tablet whose clock is an hour ahead, taken 1 ms after it came', () => {
  async function scene() {
    let ward: Ward | undefined;
    ward = await Ward.open(memoryShelf(), { now: () => (ward?.now ?? 0) + 1 });
    ward.write('desk', (doc) => writeRecord(doc, N1.collection, N1.id, { id: 'n1', v: 0 }));
    const first = await ward.line('tablet').ready();
    ward.now += LATE;
    const at = ward.now;
    await first.updateAt('notes', { id: 'n1', v: 3 }, at + HOUR - 1_000, at + HOUR);
    ward.now += LATE;
    first.leave();
    ward.now += 1_000;
    return { ward, at };
  }

  test('[L5 L6] an older write from its queue takes nothing back', async () => {
    const { ward, at } = await scene();
    const second = await ward.line('tablet').ready();
    await second.updateAt('notes', { id: 'n1', v: 2 }, at + HOUR - 60_000, ward.now + HOUR);
    expect(ward.json('notes', 'n1')).toEqual({ id: 'n1', v: 3 });
  });

  test('[L5 L6] nor does itself, sent again, what others took back since', async () => {
    const { ward, at } = await scene();
    ward.write('desk', (doc) => recordMap(doc, N1.collection, N1.id)?.set('v', 0));
    const second = await ward.line('tablet').ready();
    await second.updateAt('notes', { id: 'n1', v: 3 }, at + HOUR - 1_000, ward.now + HOUR);
    expect(ward.json('notes', 'n1')).toEqual({ id: 'n1', v: 0 });
  });
});

/** A tablet that comes over HTTP, with a clock that is an hour ahead. */
class Tablet {
  readonly #ward: Ward;

  constructor(ward: Ward) {
    this.#ward = ward;
  }

  /** Sends these versions of `n1`, with their times by the server's clock, in one batch. */
  async post(...notes: readonly (readonly [madeAt: number | null, note: object])[]): Promise<void> {
    const { document, now } = this.#ward;
    const origin = originOf('tablet', 'http');
    const view = document.devices.overHttp(origin, now);
    const data = ([madeAt, note]: (typeof notes)[number]) => ({
      ...{ collection: 'notes', document: { id: 'n1', ...note } },
      timestamp: madeAt === null ? null : madeAt + HOUR,
    });
    const changes = notes.map((each) => ({
      type: 'DATA_UPDATE',
      data: data(each),
      timestamp: now + HOUR,
    }));
    const batch = new Batch(document, origin, view, readChanges({ changes }, Ward.USER, 64));
    document.withHistory(batch.neededFrom(now), () => batch.apply(now));
    view.sent(document.revision, now);
    view.confirmed(document.revision, now);
    await document.durable();
  }
}

describe('a batch with writes of one record that name their time, and such that do not', () => {
  async function scene() {
    const ward = await Ward.open();
    const tablet = new Tablet(ward);
    await tablet.post([ward.now, { a: 0, b: 0 }]); // its clock is known
    ward.now += 60_000;
    return { ward, tablet, began: ward.now - 30_000 };
  }

  test('[L5 L6] its time is corrected once', async () => {
    const { ward, tablet, began } = await scene();
    await tablet.post([null, { a: 1, b: 0 }], [began + 2_000, { a: 1, b: 2 }]);
    await tablet.post([began + 1_000, { a: 1, b: 1 }]); // late, or once more
    expect(ward.json('notes', 'n1')).toEqual({ id: 'n1', a: 1, b: 2 });
  });

  test('[L6] what names none counts as made when it came, also behind one that does', async () => {
    const { ward, tablet, began } = await scene();
    const phone = await ward.line('phone').ready();
    await phone.updateAt('notes', { id: 'n2' }, ward.now, ward.now);
    phone.leave();
    ward.now += 10_000;
    await tablet.post([began + 1_000, { a: 1, b: 0 }], [null, { a: 1, b: 2 }]);
    const back = await ward.line('phone').ready();
    await back.update('notes', { id: 'n1', a: 0, b: 3 }, ward.now - 5_000);
    expect(ward.json('notes', 'n1')).toEqual({ id: 'n1', a: 1, b: 2 });
  });

  test('[L5 L6] the latest of its times counts, whichever comes last', async () => {
    const { ward, tablet, began } = await scene();
    const phone = await ward.line('phone').ready();
    await phone.updateAt('notes', { id: 'n2' }, ward.now, ward.now);
    phone.leave();
    ward.now += 10_000;
    await tablet.post([null, { a: 0, b: 2 }], [began + 1_000, { a: 1, b: 2 }]);
    const back = await ward.line('phone').ready();
    await back.update('notes', { id: 'n1', a: 0, b: 3 }, ward.now - 5_000);
    expect(ward.json('notes', 'n1')).toEqual({ id: 'n1', a: 1, b: 2 });
  });

  test('[L6] what changes nothing gives no time', async () => {
    const { ward, tablet, began } = await scene();
    await tablet.post([began + 1_000, { a: 1, b: 2 }], [null, { a: 1, b: 2 }]);
    const [last] = ward.document.history.changes(N1, 0, 99).slice(-1);
    expect(last?.madeAt).toBe(began + 1_000);
  });
});

test('[L5 L6] what the device restored is not earlier than that where its clock is corrected', async () => {
  const ward = await Ward.open();
  const began = ward.now;
  const first = await ward.line('tablet').ready();
  ward.now = began + LATE;
  await first.updateAt('notes', { id: 'n1', v: 1 }, began, began);
  ward.now += 40_000;
  ward.write('tablet', (doc) => recordMap(doc, N1.collection, N1.id)?.set('v', 3), 'restore');
  const at = ward.now;
  ward.now += 3_000;
  first.leave();
  ward.now += 1_000;
  const second = await ward.line('tablet').ready();
  await second.updateAt('notes', { id: 'n1', v: 2 }, at - LATE / 2, ward.now);
  expect(ward.json('notes', 'n1')).toEqual({ id: 'n1', v: 3 });
});

test('[L5 L6] what it wrote on top of a write that came late and was merged takes back nothing of others', async () => {
  const ward = await Ward.open();
  ward.write('desk', (doc) => writeRecord(doc, N1.collection, N1.id, { id: 'n1', g: 0, h: 0 }));
  const first = await ward.line('tablet').ready();
  ward.now += 40_000;
  const began = ward.now;
  await first.updateAt('notes', { id: 'n0' }, began - LATE, began - LATE);
  ward.write('desk', (doc) => recordMap(doc, N1.collection, N1.id)?.set('g', 1)); // is not read yet
  ward.now += 100;
  await first.updateAt('notes', { id: 'n1', g: 0, h: 1 }, ward.now - LATE, ward.now - LATE);
  first.leave();
  ward.now += 10_000;
  const second = await ward.line('tablet').ready();
  await second.updateAt('notes', { id: 'n1', g: 0, h: 2 }, began - LATE + 1_000, ward.now);
  expect(ward.json('notes', 'n1')).toEqual({ id: 'n1', g: 1, h: 2 });
});
