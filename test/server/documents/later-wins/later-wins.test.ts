import { describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import { type MadeAt, ON_ARRIVAL, SenderClock } from '../../../../server/documents/later-wins/made-at.js';
import { sharedValue } from '../../../../shared/records.js';
import { TimedDevice } from '../../../support/timed-device.js';
import { levelShelf, memoryShelf, record, type Shelf, Ward } from '../../../support/ward.js';

const A = record('appointments', 'a');

/** Two devices that have the same record, the first with the lower or the higher Yjs client id. */
async function pair(fields: object, first = 1, shelf: Shelf = memoryShelf()) {
  const ward = await Ward.open(shelf);
  ward.write('desk', (doc) => void doc.getMap('appointments').set('a', sharedValue(fields as never)));
  ward.now += 1_000;
  const anna = new TimedDevice('anna', first);
  const beat = new TimedDevice('beat', 3 - first);
  for (const device of [anna, beat]) device.take(ward.document);
  return { ward, anna, beat, start: ward.now };
}

const recordOf = (ward: Ward) => ward.json('appointments', 'a') as Record<string, unknown>;

/** Everybody takes what there is, and has the same. */
function expectSame(ward: Ward, ...devices: TimedDevice[]): void {
  for (const device of devices) {
    device.take(ward.document);
    expect({ id: 'a', ...device.record().toJSON() }).toEqual(recordOf(ward));
  }
}

type Write = [at: MadeAt, fields: Record<string, unknown>];

/** What comes of two concurrent writes, in each order of arrival and for each order of the client ids. */
async function outcomes(fields: object, a: Write, b: Write): Promise<unknown[]> {
  const found: unknown[] = [];
  for (const first of [1, 2]) {
    for (const order of ['ab', 'ba']) {
      const { ward, anna, beat, start } = await pair(fields, first);
      const at = (time: MadeAt) => (time === null || time === ON_ARRIVAL ? time : start + time);
      anna.set(at(a[0]), a[1]);
      beat.set(at(b[0]), b[1]);
      ward.now += 60_000;
      for (const name of order) await (name === 'a' ? anna : beat).give(ward.document);
      expectSame(ward, anna, beat);
      found.push(recordOf(ward));
    }
  }
  return found;
}

describe('[D3] of two concurrent writes to one field the later one stays', () => {
  test.each([
    ['plain values', { status: 'booked' }, { status: 'older' }, { status: 'later' }, { status: 'later' }],
    ['a field that is new', {}, { room: 4 }, { room: 7 }, { room: 7 }],
    ['an object stored as one value', { p: 1 }, { p: { x: 1 } }, { p: { x: 2 } }, { p: { x: 2 } }],
    [
      'a removal that is later',
      { status: 'booked', n: 1 },
      { status: 'older' },
      { status: undefined },
      { n: 1 },
    ],
    [
      'a removal that is older',
      { status: 'booked' },
      { status: undefined },
      { status: 'later' },
      { status: 'later' },
    ],
    [
      'one field, and another that only one wrote',
      { s: 0 },
      { s: 1, t: 1 },
      { s: 2, u: 2 },
      { s: 2, t: 1, u: 2 },
    ],
    [
      'a value that empties the field',
      { note: 'fasting' },
      { note: 'not fasting' },
      { note: '' },
      { note: '' },
    ],
  ])('%s', async (_, fields, older, later, result) => {
    for (const outcome of await outcomes(fields, [10, older], [20, later]))
      expect(outcome).toEqual({ id: 'a', ...result });
  });

  test('at a tie it is the same in every order', async () => {
    const [low, lowToo, high, highToo] = await outcomes({ s: 0 }, [10, { s: 'a' }], [10, { s: 'b' }]);
    expect(lowToo).toEqual(low);
    expect(highToo).toEqual(high);
  });

  test('a value that was written twice counts with its later time', async () => {
    const { ward, anna, beat, start } = await pair({ s: 0 });
    const carla = new TimedDevice('carla', 9);
    carla.take(ward.document);
    anna.set(start + 10, { s: 'done' });
    beat.set(start + 30, { s: 'done' });
    carla.set(start + 20, { s: 'open' });
    ward.now += 100;
    for (const device of [anna, beat, carla]) await device.give(ward.document);
    expect(recordOf(ward).s).toBe('done');
  });

  test('in nested objects and in elements, which may stand elsewhere by now', async () => {
    for (const first of [1, 2]) {
      const fields = {
        dose: { am: 1 },
        list: [
          { id: 'm1', mg: 400 },
          { id: 'm2', mg: 5 },
        ],
      };
      const { ward, anna, beat, start } = await pair(fields, first);
      const inside = (device: TimedDevice, at: number, mg: number) =>
        device.write(at, () => {
          (device.record().get('dose') as Y.Map<unknown>).set('am', mg);
          const list = device.record().get('list') as Y.Array<Y.Map<unknown>>;
          list
            .toArray()
            .find((each) => each.get('id') === 'm2')
            ?.set('mg', mg);
        });
      inside(anna, start + 10, 10);
      inside(beat, start + 20, 20);
      ward.write('desk', (doc) => {
        const map = doc.getMap('appointments').get('a') as Y.Map<Y.Array<unknown>>;
        map.get('list')?.delete(0, 1);
      });
      ward.now += 100;
      await beat.give(ward.document);
      await anna.give(ward.document);
      expect(recordOf(ward)).toMatchObject({ dose: { am: 20 }, list: [{ id: 'm2', mg: 20 }] });
    }
  });

  test('of three devices, also where the second to arrive is the latest', async () => {
    for (const order of [
      [0, 1, 2],
      [2, 1, 0],
      [1, 2, 0],
      [0, 2, 1],
    ]) {
      const { ward, anna, beat, start } = await pair({ s: 0 }, 2);
      const devices = [anna, beat, new TimedDevice('carla', 3)];
      devices[2]?.take(ward.document);
      for (const [i, device] of devices.entries()) device.set(start + 10 + i, { s: i });
      ward.now += 100;
      for (const i of order) await devices[i]?.give(ward.document);
      expect(recordOf(ward).s).toBe(2);
    }
  });
});

test('[D3 P6] after a stop, a kill and a compaction, with the history read back from LevelDB', async () => {
  for (const first of [1, 2]) {
    const { ward, anna, beat, start } = await pair({ s: 0, t: 0 }, first, await levelShelf());
    anna.set(start + 10, { s: 'older', t: 'older' });
    beat.set(start + 20, { s: 'later' });
    ward.now += 100;
    await beat.give(ward.document);
    for (let i = 0; i < 600; i++)
      ward.write('desk', (doc) => void doc.getMap('notes').set(`n${i}`, new Y.Map([['i', i]])));
    ward.document.compact();
    await ward.restart();
    ward.now += 1_000;
    await anna.give(ward.document);
    expect(recordOf(ward)).toEqual({ id: 'a', s: 'later', t: 'older' });
    await ward.restart();
    expectSame(ward, anna, beat);
  }
});

test('[D3 S] a time from long ago does not bring the whole history into memory, nor end it', async () => {
  const { ward } = await pair({ s: 0, t: 0, u: 0 });
  for (let i = 0; i < 1_200; i++) {
    ward.now += 1;
    ward.write('desk', (doc) => void (doc.getMap('appointments').get('a') as Y.Map<unknown>).set('s', i));
  }
  await ward.restart();
  const { historyLog, history } = ward.document;
  const { floor } = history;
  const reach = (most?: number): Promise<boolean> => historyLog.reachBackTo(history, 1, most);
  expect(await reach(900)).toBe(true);
  const { from } = history;
  expect([from > floor, history.floor]).toEqual([true, floor]);
  await reach(900);
  expect(history.from).toBe(from);
  expect(await reach()).toBe(true);
  expect(history.from).toBe(floor);
});

test.each(['kept', 'removed by others'])(
  '[L8 S] beyond what is read back a JSON device counts as never met: %s',
  async (note) => {
    const { ward } = await pair({ s: 0, t: 0, u: 0 });
    const write = (change: (a: Y.Map<unknown>) => void) =>
      ward.write('desk', (doc) => change(doc.getMap('appointments').get('a') as Y.Map<unknown>));
    if (note !== 'kept') write((a) => a.set('note', 'old'));
    const phone = await ward.line('old').ready();
    ward.now += 40_000;
    const begin = ward.document.revision;
    phone.leave();
    for (let i = 0; i < 1_200; i++) {
      ward.now += 1;
      write((a) => a.set('s', i));
    }
    write((a) => a.set('t', 'of others'));
    if (note !== 'kept') write((a) => a.delete('note'));
    await ward.restart();
    const { historyLog, history } = ward.document;
    const { floor } = history;
    expect(await historyLog.reachBack(history, begin, 900)).toBe(true);
    expect([history.oldest > begin, history.floor, history.covers(begin)]).toEqual([true, floor, true]);
    const again = await ward.line('old').ready();
    const stale = { id: 'a', s: 0, t: 0, u: 'of the phone', ...(note !== 'kept' && { note: 'old' }) };
    const before = recordOf(ward);
    // Of that time: what others wrote later stays.
    await again.updateAt('appointments', stale, ward.now - 30_000, ward.now);
    expect(recordOf(ward)).toMatchObject({ s: 1_199, t: 'of others' });
    expect(Object.keys(before).every((key) => key in recordOf(ward))).toBe(true);
    again.leave();
    // What is let go of is read again.
    ward.now += 3_600_000;
    history.trim(ward.now, () => history.revision);
    expect(history.covers(begin)).toBe(false);
    expect(await historyLog.reachBack(history, begin)).toBe(true);
    expect(history.oldest).toBe(floor);
  },
);

test('[D3] what was written knowing of another write wins, though its clock says that it is older', async () => {
  for (const first of [1, 2]) {
    for (const restarts of [false, true]) {
      const { ward, anna, beat, start } = await pair({ s: 0 }, first);
      beat.set(start + 50, { s: 'of beat' });
      anna.set(start + 100, { s: 'of anna' });
      anna.set(start + 20, { s: 'of anna, later' }); // her clock was set back
      ward.now += 1_000;
      await beat.give(ward.document);
      await anna.give(ward.document, 1);
      expect(recordOf(ward).s).toBe('of anna');
      if (restarts) await ward.restart();
      await anna.give(ward.document);
      expectSame(ward, anna, beat);
      expect(recordOf(ward).s).toBe('of anna, later');
    }
  }
});

test('[D3] without times the arrival counts for what comes live', async () => {
  const live = await outcomes({ s: 0 }, [ON_ARRIVAL, { s: 'a' }], [ON_ARRIVAL, { s: 'b' }]);
  expect(live.map((each) => (each as { s: string }).s)).toEqual(['b', 'a', 'b', 'a']);
});

test('[D3] what is brought without a time stays as Yjs decides, also against what is known to be made before it came', async () => {
  for (const [a, b] of [
    [null, 20],
    [20, null],
    [null, null],
    [null, ON_ARRIVAL],
  ] as const) {
    const [low, lowToo, high, highToo] = (await outcomes({ s: 0 }, [a, { s: 'a' }], [b, { s: 'b' }])) as {
      s: string;
    }[];
    // The higher client id wins, but over what comes live when the other one is there.
    if (b === ON_ARRIVAL) expect([low?.s, high?.s]).toEqual(['b', 'b']);
    else expect([low?.s, lowToo?.s, high?.s, highToo?.s]).toEqual(['b', 'b', 'a', 'a']);
  }
});

test('[D3 L6] between native and JSON devices, in both orders of arrival', async () => {
  for (const [native, json, winner] of [
    [10, 20, 'json'],
    [20, 10, 'native'],
  ] as const) {
    for (const order of ['native first', 'json first']) {
      const { ward, anna, start } = await pair({ s: 0 });
      const line = await ward.line('old').ready();
      ward.now += 40_000;
      line.leave();
      anna.set(start + 50_000 + native, { s: 'native' });
      ward.now = start + 100_000;
      const again = await ward.line('old').ready();
      const give = () =>
        again.updateAt('appointments', { id: 'a', s: 'json' }, start + 50_000 + json, ward.now);
      if (order === 'json first') await give();
      await anna.give(ward.document);
      if (order === 'native first') await give();
      expect(recordOf(ward).s).toBe(winner);
      again.leave();
    }
  }
});

test('[D3 H5 H6] what was overruled when it came is in the history, and can be brought back', async () => {
  for (const first of [1, 2]) {
    const { ward, anna, beat, start } = await pair({ s: 0, dose: { am: 0 } }, first);
    anna.write(start + 10, () => {
      anna.record().set('s', 'older');
      (anna.record().get('dose') as Y.Map<unknown>).set('am', 'older');
    });
    beat.set(start + 20, { s: 'later' });
    ward.now += 100;
    await beat.give(ward.document);
    await anna.give(ward.document);
    const entries = await ward.entries({ id: 'a' as never });
    expect(entries.map(({ after, device }) => [device, after?.json.s, after?.json.dose])).toEqual([
      ['desk', 0, { am: 0 }],
      ['beat', 'later', { am: 0 }],
      ['anna', 'older', { am: 0 }],
      ['anna', 'later', { am: 0 }],
      ['anna', 'later', { am: 'older' }],
    ]);
    expect(entries.map(({ madeAt }) => madeAt - start)).toEqual([-1_000, 20, 10, 100, 10]);
    await ward.restart();
    expect((await ward.entries()).map(({ overruled = false }) => overruled)).toEqual([
      false,
      false,
      true,
      true,
      false,
    ]);
    await ward.restore(A, 3);
    expect(recordOf(ward)).toEqual({ id: 'a', s: 'older', dose: { am: 0 } });
  }
});

test('[D3 L4] nobody saw what was overruled: a JSON device that writes the same means it', async () => {
  const { ward, anna, beat, start } = await pair({ s: 0 });
  const line = await ward.line('old').ready();
  ward.now += 40_000;
  anna.set(start + 10, { s: 'cancelled', room: 4 });
  beat.set(start + 20, { s: 'confirmed' });
  await beat.give(ward.document);
  await anna.give(ward.document);
  await ward.document.durable(); // and sent to the JSON device
  ward.now += 100;
  await line.update('appointments', { id: 'a', s: 'cancelled', room: 4 });
  expect(recordOf(ward).s).toBe('cancelled');
  line.leave();
});

test('[D3] an object that is later than a value that replaced it is put back, with what is edited in it later', async () => {
  for (const first of [1, 2]) {
    const { ward, anna, beat, start } = await pair({ n: 1 }, first);
    anna.set(start + 10, { dose: 'none' });
    beat.write(start + 20, () => void beat.record().set('dose', new Y.Map([['am', 5]])));
    beat.write(start + 30, () => void (beat.record().get('dose') as Y.Map<unknown>).set('pm', 6));
    ward.now += 100;
    await beat.give(ward.document, 1);
    await anna.give(ward.document);
    await beat.give(ward.document);
    expectSame(ward, anna, beat);
    expect(recordOf(ward).dose).toEqual({ am: 5, pm: 6 });
  }
});

describe('[D4] what is created apart', () => {
  const create = (device: TimedDevice, at: number, fields: object) =>
    device.write(at, (doc) => void doc.getMap('appointments').set('b', sharedValue(fields as never)));

  test.each([
    ['the later value of each field', { s: 'older', t: 1 }, { s: 'later', u: 2 }, { s: 'later', t: 1, u: 2 }],
    [
      'not what is empty',
      { note: 'fasting', tags: ['x'], o: { k: 1 }, n: 3 },
      { note: '', tags: [], o: {}, n: null },
      { note: 'fasting', tags: ['x'], o: { k: 1 }, n: 3 },
    ],
    [
      'the later value, deep inside',
      { list: [{ id: 'm', mg: 1 }], o: { k: 1 } },
      { list: [{ id: 'm', mg: 2 }], o: { k: 2 } },
      { list: [{ id: 'm', mg: 2 }], o: { k: 2 } },
    ],
  ])('has %s', async (_, older, later, result) => {
    for (const first of [1, 2]) {
      for (const order of ['older first', 'later first']) {
        const { ward, anna, beat, start } = await pair({}, first);
        create(anna, start + 10, older);
        create(beat, start + 20, later);
        ward.now += 100;
        const [one, two] = order === 'older first' ? [anna, beat] : [beat, anna];
        await one.give(ward.document);
        await ward.restart();
        await two.give(ward.document);
        expect(ward.json('appointments', 'b')).toEqual({ id: 'b', ...result });
      }
    }
  });

  test('and an edit that is older than the other creation does not undo it; one that empties its own value does', async () => {
    for (const first of [1, 2]) {
      const { ward, anna, beat, start } = await pair({}, first);
      create(anna, start + 5, { s: 'created', own: 'x' });
      anna.set(start + 10, { s: 'edited' }, 'b');
      anna.set(start + 30, { own: '' }, 'b');
      create(beat, start + 20, { s: 'later' });
      ward.now += 100;
      await anna.give(ward.document, 1);
      await beat.give(ward.document);
      await anna.give(ward.document);
      expect(ward.json('appointments', 'b')).toEqual({ id: 'b', s: 'later', own: '' });
    }
  });
});

test('[D3 H7] without a history it holds until the document is loaded again', async () => {
  for (const [restarts, expected] of [
    [false, 'later'],
    [true, 'as Yjs decides'],
  ] as const) {
    const ward = await Ward.open(memoryShelf(), { historyDays: 0 });
    ward.write('desk', (doc) => void doc.getMap('appointments').set('a', sharedValue({ s: 0 })));
    const [anna, beat] = [new TimedDevice('anna', 2), new TimedDevice('beat', 1)];
    for (const device of [anna, beat]) device.take(ward.document);
    ward.now += 100;
    anna.set(ward.now - 50, { s: 'as Yjs decides' });
    beat.set(ward.now - 20, { s: 'later' });
    await beat.give(ward.document);
    ward.now += 1_000;
    if (restarts) await ward.restart();
    await anna.give(ward.document);
    expect(recordOf(ward).s).toBe(expected);
  }
});

describe('[N9] the clock of a device', () => {
  test.each([
    ['is right', 0],
    ['is an hour ahead', 3_600_000],
    ['is a year behind', -31_536_000_000],
  ])('that %s is corrected to within the time on the way', (_, ahead) => {
    const clock = new SenderClock();
    const now = 1_700_000_000_000;
    clock.hear(now + ahead, now + 40);
    clock.hear(now + 5_000 + ahead, now + 5_900); // a slow message says nothing
    expect(clock.correct(now - 60_000 + ahead, now + 6_000)).toBe(now - 60_000 + 40);
  });

  test('is never later than now, and is learned anew when it was set', () => {
    const clock = new SenderClock();
    const now = 1_700_000_000_000;
    clock.hear(now, now);
    expect(clock.correct(now + 10_000, now + 5)).toBe(now + 5);
    clock.hear(now - 3_600_000, now + 10); // set back by an hour
    expect(clock.correct(now - 3_600_000, now + 10)).toBe(now + 10);
    clock.hear(now + 20, now + 20); // and ahead again
    expect(clock.correct(now, now + 20)).toBe(now);
  });
});
