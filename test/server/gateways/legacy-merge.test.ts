/** What a JSON device's whole documents do to what others changed meanwhile (L4–L9), with a clock and no sockets. */
import { describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import type { JsonRecord } from '../../../shared/json.js';
import {
  type App,
  type AppOptions,
  DAY,
  HOUR,
  MINUTE,
  Practice,
  SECOND,
  VISITS,
} from '../../support/json-apps.js';

const VISIT: JsonRecord = {
  id: 'v1',
  at: '09:00',
  room: 1,
  status: 'booked',
  urgent: false,
  tags: ['a', 'b'],
};

interface Scene {
  readonly practice: Practice;
  readonly phone: App;
  readonly desk: App;
}

/** A desk that wrote a visit, and a phone that has read it; both have been connected for a while. */
async function scene(options: AppOptions = {}, visit: JsonRecord = VISIT): Promise<Scene> {
  const practice = await Practice.open();
  const desk = await practice.connected('desk');
  const phone = await practice.connected('phone', options);
  desk.write(visit);
  await practice.catchUp();
  await practice.pass(MINUTE);
  // Its clock is known, and its app knows the fields.
  phone.write({ ...visit, id: 'other' });
  await practice.catchUp();
  await practice.pass(MINUTE);
  return { practice, phone, desk };
}

const visit = ({ practice }: Pick<Scene, 'practice'>) => practice.record('v1');
const visitMap = (doc: Y.Doc) => doc.getMap(VISITS).get('v1') as Y.Map<unknown>;

/** Everybody reads everything: each has what the server has. */
async function expectConverged({ practice, phone, desk }: Scene): Promise<void> {
  await practice.catchUp();
  const records = practice.records();
  for (const app of [phone, desk]) {
    expect(app.copy[VISITS] ?? {}).toEqual(records[VISITS] ?? {});
  }
}

const OFFLINE_REPLAYS = ['before the pong', 'after the pong'] as const;

/** The phone comes back and replays its queue. */
async function comeBack(phone: App, when: (typeof OFFLINE_REPLAYS)[number], keep?: 'keep'): Promise<void> {
  phone.connect();
  if (when === 'after the pong') await phone.catchUp();
  else await phone.readAll();
  await phone.replay(keep);
  await phone.catchUp();
}

describe('two quick writes of one device', () => {
  test('[L4 L6] around a change of somebody else do not undo it', async () => {
    const all = await scene();
    const { practice, phone, desk } = all;
    phone.edit('v1', { status: 'arrived' });
    await practice.pass(100);
    desk.edit('v1', { room: 2 });
    await practice.pass(100);
    phone.edit('v1', { at: '10:00' });
    await practice.pass(100);
    expect(visit(all)).toEqual({ ...VISIT, status: 'arrived', room: 2, at: '10:00' });
    await expectConverged(all);
  });

  test.each(['has not arrived', 'has arrived', 'has arrived and was not read'])(
    '[L4 L6] that cross a change of somebody else do not undo it: the correction %s',
    async (correction) => {
      const all = await scene();
      const { practice, phone, desk } = all;
      desk.edit('v1', { room: 2 });
      await practice.pass(50);
      phone.edit('v1', { status: 'arrived' });
      await practice.pass(50);
      if (correction === 'has arrived') await phone.catchUp();
      if (correction === 'has arrived and was not read') await phone.pong();
      await practice.pass(50);
      phone.edit('v1', { at: '10:00' });
      await practice.pass(50);
      expect(visit(all)).toEqual({ ...VISIT, status: 'arrived', room: 2, at: '10:00' });
      await expectConverged(all);
      await practice.pass(10 * SECOND);
      phone.edit('v1', { room: 1 });
      await practice.settle();
      expect(visit(all)).toEqual({ ...VISIT, status: 'arrived', room: 1, at: '10:00' });
    },
  );

  test('[L4 L6] three of them, each of another field, between two changes of somebody else', async () => {
    const all = await scene();
    const { practice, phone, desk } = all;
    phone.edit('v1', { status: 'arrived' });
    await practice.pass(50);
    desk.edit('v1', { room: 2 });
    await practice.pass(50);
    phone.edit('v1', { at: '10:00' });
    await practice.pass(50);
    desk.edit('v1', { room: 3 });
    await practice.pass(50);
    phone.edit('v1', { urgent: true });
    await practice.settle();
    expect(visit(all)).toEqual({ ...VISIT, status: 'arrived', at: '10:00', urgent: true, room: 3 });
    await expectConverged(all);
  });

  test('[L4 L6 D3] and both put something into one list', async () => {
    const all = await scene();
    const { practice, phone, desk } = all;
    phone.edit('v1', { tags: ['a', 'b', 'p1'] });
    await practice.pass(50);
    desk.edit('v1', { tags: ['a', 'b', 'd1'] });
    await practice.pass(50);
    phone.edit('v1', { tags: ['a', 'b', 'p1', 'p2'] });
    await practice.settle();
    expect(new Set(visit(all)?.tags as string[])).toEqual(new Set(['a', 'b', 'p1', 'p2', 'd1']));
    expect(visit(all)?.tags).toHaveLength(5);
    await expectConverged(all);
  });
});

describe('a switch that one device turns on and off again within a second', () => {
  test.each([
    ['on, off', [true, false]],
    ['on, off, on', [true, false, true]],
    ['on, off, on, off', [true, false, true, false]],
  ])('[L4 L6] %s', async (_, turns) => {
    const all = await scene();
    const { practice, phone } = all;
    for (const urgent of turns) {
      phone.edit('v1', { urgent });
      await practice.pass(200);
      expect(visit(all)?.urgent).toBe(urgent);
    }
    await expectConverged(all);
  });

  test.each([
    ['on, off', [true, false]],
    ['on, off, on', [true, false, true]],
  ])('[L4 L6] %s, each one acknowledged and everything read between them', async (_, turns) => {
    const all = await scene();
    const { practice, phone } = all;
    for (const urgent of turns) {
      phone.edit('v1', { urgent });
      await practice.pass(200);
      await practice.catchUp();
      expect(visit(all)?.urgent).toBe(urgent);
    }
    await expectConverged(all);
  });

  test('[L4 L5 L6] right after a reconnect', async () => {
    const all = await scene();
    const { practice, phone } = all;
    phone.lose();
    await practice.pass(HOUR);
    phone.connect();
    await phone.catchUp();
    await practice.pass(100);
    for (const urgent of [true, false, true, false]) {
      phone.edit('v1', { urgent });
      await practice.pass(200);
      expect(visit(all)?.urgent).toBe(urgent);
    }
    await expectConverged(all);
  });

  test.each(['before the pong', 'after the pong'])(
    '[L4 L5 L6] with a reconnect in the middle, %s',
    async (when) => {
      const all = await scene();
      const { practice, phone } = all;
      phone.edit('v1', { urgent: true });
      await practice.pass(200);
      phone.lose();
      phone.connect();
      await phone.readAll();
      if (when === 'after the pong') await phone.catchUp();
      await practice.pass(200);
      phone.edit('v1', { urgent: false });
      await practice.settle();
      expect(visit(all)?.urgent).toBe(false);
      await expectConverged(all);
    },
  );

  test.each(['stopped', 'killed'] as const)(
    '[L4 L5 L6] with a server that was %s in the middle',
    async (how) => {
      const all = await scene();
      const { practice, phone, desk } = all;
      phone.edit('v1', { urgent: true });
      await practice.pass(200);
      await practice.restart(how);
      await practice.pass(200);
      for (const app of [phone, desk]) {
        app.connect();
        await app.catchUp();
      }
      phone.edit('v1', { urgent: false });
      await practice.settle();
      expect(visit(all)?.urgent).toBe(false);
      await expectConverged(all);
    },
  );

  test.each(OFFLINE_REPLAYS)('[L5 L6] in a queue that is replayed %s', async (when) => {
    const all = await scene();
    const { practice, phone, desk } = all;
    phone.lose();
    for (const urgent of [true, false, true, false]) {
      phone.edit('v1', { urgent });
      await practice.pass(200);
    }
    desk.edit('v1', { room: 2 });
    await practice.pass(HOUR);
    await comeBack(phone, when);
    expect(visit(all)).toEqual({ ...VISIT, room: 2 });
    await expectConverged(all);
  });

  test('[L4 L6] while somebody else changes another field', async () => {
    const all = await scene();
    const { practice, phone, desk } = all;
    phone.edit('v1', { urgent: true });
    await practice.pass(200);
    desk.edit('v1', { room: 2 });
    await practice.pass(200);
    phone.edit('v1', { urgent: false });
    await practice.settle();
    expect(visit(all)).toEqual({ ...VISIT, room: 2 });
    await expectConverged(all);
  });
});

describe('a pong that the socket sent before the app had read the message', () => {
  test('[L4 L6] 1.5 s later a write on the older version leaves the change of the other alone', async () => {
    const all = await scene();
    const { practice, phone, desk } = all;
    desk.edit('v1', { room: 2 });
    await phone.pong();
    await practice.pass(1_500);
    phone.edit('v1', { status: 'arrived' });
    await practice.settle();
    expect(visit(all)).toEqual({ ...VISIT, room: 2, status: 'arrived' });
    await expectConverged(all);
  });

  test('[L4 L6] 2.5 s later the older value is what the device wants', async () => {
    const all = await scene();
    const { practice, phone, desk } = all;
    desk.edit('v1', { room: 2 });
    await phone.catchUp();
    await practice.pass(2_500);
    phone.edit('v1', { room: 1 });
    await practice.settle();
    expect(visit(all)).toEqual(VISIT);
    await expectConverged(all);
  });

  test('[L4 L6] the first full sync of a connection is no exception', async () => {
    const all = await scene();
    const { practice, phone, desk } = all;
    phone.lose();
    desk.edit('v1', { room: 2 });
    await practice.pass(HOUR);
    phone.connect();
    await phone.pong();
    await practice.pass(1_500);
    phone.edit('v1', { status: 'arrived' });
    await practice.settle();
    expect(visit(all)).toEqual({ ...VISIT, room: 2, status: 'arrived' });
    await expectConverged(all);
  });

  test('[L4 L6] a deletion within that time stays a deletion', async () => {
    const all = await scene();
    const { practice, phone, desk } = all;
    desk.remove('v1');
    await phone.pong();
    await practice.pass(1_500);
    phone.edit('v1', { status: 'arrived' });
    await practice.settle();
    expect(visit(all)).toBeNull();
    await expectConverged(all);
    expect(phone.record('v1')).toBeUndefined();
  });

  test('[L4 L6 D3] both put something into one list', async () => {
    const all = await scene();
    const { practice, phone, desk } = all;
    desk.edit('v1', { tags: ['a', 'b', 'desk'] });
    await phone.pong();
    await practice.pass(1_500);
    phone.edit('v1', { tags: ['a', 'b', 'phone'] });
    await practice.settle();
    expect(new Set(visit(all)?.tags as string[])).toEqual(new Set(['a', 'b', 'desk', 'phone']));
    await expectConverged(all);
  });

  test('[D2 L4 L6] both edit one shared text', async () => {
    const all = await scene();
    const { practice, phone } = all;
    await practice.native((doc) => visitMap(doc).set('note', new Y.Text('Fever. Cough.')));
    await practice.catchUp();
    await practice.pass(MINUTE);
    await practice.native((doc) => (visitMap(doc).get('note') as Y.Text).insert(0, 'High '));
    await phone.pong();
    await practice.pass(1_500);
    phone.edit('v1', { note: 'Fever. No cough.' });
    await practice.settle();
    expect(visit(all)?.note).toBe('High Fever. No cough.');
    await expectConverged(all);
  });
});

describe('a full sync that crosses a write', () => {
  test.each(['is not there yet', 'is there'])(
    '[L3 L4 L6] the next write is built on it, and the correction %s: the first write is not undone',
    async (correction) => {
      const all = await scene();
      const { practice, phone } = all;
      phone.requestSync();
      await practice.settle();
      phone.edit('v1', { status: 'arrived' });
      await practice.settle();
      expect((await phone.readNext())?.type).toBe('FULL_SYNC');
      expect(phone.record('v1')?.status).toBe('booked');
      if (correction === 'is there') await phone.catchUp();
      await practice.pass(100);
      phone.edit('v1', { room: 2 });
      await practice.settle();
      expect(visit(all)).toEqual({ ...VISIT, status: 'arrived', room: 2 });
      await expectConverged(all);
    },
  );

  test('[L3 L4 L6] the first one of a connection, with a write right after it opened', async () => {
    const all = await scene();
    const { practice, phone } = all;
    phone.lose();
    await practice.pass(HOUR);
    phone.connect();
    phone.edit('v1', { status: 'arrived' });
    await practice.settle();
    expect((await phone.readNext())?.type).toBe('FULL_SYNC');
    expect(phone.record('v1')?.status).toBe('booked');
    phone.edit('v1', { room: 2 });
    await practice.settle();
    expect(visit(all)).toEqual({ ...VISIT, status: 'arrived', room: 2 });
    await expectConverged(all);
  });

  test('[L3 L4 L6] a full sync with somebody else’s change in it', async () => {
    const all = await scene();
    const { practice, phone, desk } = all;
    desk.edit('v1', { room: 2 });
    await practice.settle();
    phone.requestSync();
    await practice.settle();
    phone.edit('v1', { status: 'arrived' });
    await practice.settle();
    expect((await phone.readNext())?.type).toBe('DATA_UPDATE');
    expect((await phone.readNext())?.type).toBe('FULL_SYNC');
    phone.edit('v1', { at: '10:00' });
    await practice.settle();
    expect(visit(all)).toEqual({ ...VISIT, status: 'arrived', room: 2, at: '10:00' });
    await expectConverged(all);
  });

  test('[L3 L4 L6] an update of somebody else that crosses it likewise', async () => {
    const all = await scene();
    const { practice, phone, desk } = all;
    desk.edit('v1', { room: 2 });
    await practice.settle();
    phone.edit('v1', { status: 'arrived' });
    await practice.settle();
    expect((await phone.readNext())?.type).toBe('DATA_UPDATE');
    expect(phone.record('v1')?.status).toBe('booked');
    phone.edit('v1', { at: '10:00' });
    await practice.settle();
    expect(visit(all)).toEqual({ ...VISIT, status: 'arrived', room: 2, at: '10:00' });
    await expectConverged(all);
  });

  test('[L3 L9] a write after a deletion that a full sync crossed does not bring the record back', async () => {
    const all = await scene();
    const { practice, phone } = all;
    phone.requestSync();
    await practice.settle();
    phone.remove('v1');
    await practice.settle();
    expect((await phone.readNext())?.type).toBe('FULL_SYNC');
    phone.edit('v1', { room: 2 });
    await practice.settle();
    expect(visit(all)).toBeNull();
    await expectConverged(all);
  });
});

describe('pongs that never come', () => {
  test('[L4 L6] changes of others survive, and those of the device count', async () => {
    const all = await scene();
    const { practice, phone, desk } = all;
    phone.answersPings = false;
    for (const [room, status] of [
      [2, 'arrived'],
      [3, 'waiting'],
      [4, 'called'],
    ] as const) {
      desk.edit('v1', { room });
      await practice.pass(MINUTE);
      phone.edit('v1', { status });
      await practice.pass(MINUTE);
      expect(visit(all)).toEqual({ ...VISIT, room, status });
      await practice.catchUp();
    }
    await expectConverged(all);
  });

  test('[L4 L5 L6] a connection that ends before the pong of its full sync, read by nobody', async () => {
    const all = await scene();
    const { practice, phone, desk } = all;
    phone.lose();
    phone.edit('v1', { status: 'arrived' });
    await practice.pass(MINUTE);
    desk.edit('v1', { room: 2 });
    await practice.pass(MINUTE);
    for (let attempt = 0; attempt < 3; attempt++) {
      phone.connect();
      await practice.pass(SECOND);
      phone.lose();
      await practice.pass(MINUTE);
    }
    await comeBack(phone, 'after the pong');
    expect(visit(all)).toEqual({ ...VISIT, room: 2, status: 'arrived' });
    await expectConverged(all);
  });

  test('[L4 L5 L6] a connection that ends before the pong of its full sync, which the app had read', async () => {
    const all = await scene();
    const { practice, phone, desk } = all;
    phone.lose();
    desk.edit('v1', { room: 2 });
    await practice.pass(MINUTE);
    phone.answersPings = false;
    phone.connect();
    await phone.readAll();
    phone.lose();
    await practice.pass(MINUTE);
    phone.edit('v1', { room: 3, status: 'arrived' });
    await practice.pass(MINUTE);
    desk.edit('v1', { at: '10:00' });
    await practice.pass(MINUTE);
    phone.answersPings = true;
    await comeBack(phone, 'after the pong');
    expect(visit(all)).toEqual({ ...VISIT, room: 3, status: 'arrived', at: '10:00' });
    await expectConverged(all);
  });
});

describe('two connections of one device', () => {
  test.each(['before', 'after'])('[L4 L5] the stale one ends %s the live one', async (order) => {
    const all = await scene();
    const { practice, phone, desk } = all;
    const endStale = phone.abandon();
    await practice.pass(MINUTE);
    phone.connect();
    await phone.catchUp();
    await practice.pass(MINUTE);
    desk.edit('v1', { room: 2 });
    await practice.catchUp();
    await practice.pass(MINUTE);
    if (order === 'before') endStale();
    phone.lose();
    await practice.pass(MINUTE);
    phone.edit('v1', { room: 1 });
    desk.edit('v1', { status: 'arrived' });
    await practice.pass(MINUTE);
    if (order === 'after') endStale();
    await practice.pass(MINUTE);
    await comeBack(phone, 'after the pong');
    expect(visit(all), 'it had seen room 2 and went back to 1').toEqual({ ...VISIT, status: 'arrived' });
    await expectConverged(all);
  });

  test('[L4 L5 L6] the stale one is still there when the queue is replayed, and what others changed survives', async () => {
    const all = await scene();
    const { practice, phone, desk } = all;
    const endStale = phone.abandon();
    phone.edit('v1', { status: 'arrived' });
    await practice.pass(MINUTE);
    desk.edit('v1', { room: 2 });
    await practice.pass(HOUR);
    await comeBack(phone, 'after the pong');
    expect(visit(all)).toEqual({ ...VISIT, room: 2, status: 'arrived' });
    endStale();
    await practice.pass(MINUTE);
    phone.edit('v1', { room: 1 });
    await practice.settle();
    expect(visit(all)?.room).toBe(1);
    await expectConverged(all);
  });

  test('[L3 L4 L6] two windows of one device write in turn', async () => {
    const all = await scene();
    const { practice, phone } = all;
    const window = await practice.connected('phone');
    phone.edit('v1', { room: 2 });
    await practice.pass(100);
    window.edit('v1', { status: 'arrived' });
    await practice.pass(100);
    phone.edit('v1', { at: '10:00' });
    await practice.settle();
    expect(visit(all)).toEqual({ ...VISIT, room: 2, status: 'arrived', at: '10:00' });
    await expectConverged(all);
    await practice.catchUp();
    expect(window.copy[VISITS]).toEqual(practice.records()[VISITS]);
  });
});

describe('whose clock counts', () => {
  const CLOCKS: readonly [name: string, clock: number][] = [
    ['right', 0],
    ['three days behind', -3 * DAY],
    ['three days ahead', 3 * DAY],
  ];
  const STAMPS = ['both', 'stored'] as const;

  for (const stamps of STAMPS) {
    for (const [name, clock] of CLOCKS) {
      for (const when of OFFLINE_REPLAYS) {
        test(`[L5 L6] a clock that is ${name}, outer timestamps ${stamps}, replayed ${when}: the later one wins`, async () => {
          const all = await scene({ clock, stamps });
          const { practice, phone, desk } = all;
          phone.lose();
          await practice.pass(MINUTE);
          phone.edit('v1', { room: 5 });
          await practice.pass(MINUTE);
          desk.edit('v1', { room: 2, status: 'arrived' });
          await practice.pass(MINUTE);
          phone.edit('v1', { status: 'waiting' });
          await practice.pass(HOUR);
          await comeBack(phone, when);
          expect(visit(all)).toEqual({ ...VISIT, room: 2, status: 'waiting' });
          await expectConverged(all);
        });

        test(`[L5 L6] a clock that is ${name}, outer timestamps ${stamps}, ${when}: after a restart too`, async () => {
          const all = await scene({ clock, stamps });
          const { practice, phone, desk } = all;
          phone.lose();
          await practice.pass(MINUTE);
          phone.edit('v1', { room: 5 });
          await practice.pass(MINUTE);
          desk.edit('v1', { room: 2, status: 'arrived' });
          await practice.pass(MINUTE);
          phone.edit('v1', { status: 'waiting' });
          await practice.pass(MINUTE);
          await practice.restart('stopped');
          await practice.pass(HOUR);
          desk.connect();
          await comeBack(phone, when);
          expect(visit(all)).toEqual({ ...VISIT, room: 2, status: 'waiting' });
          await expectConverged(all);
        });
      }
    }
  }

  test.each(CLOCKS)('[L5] live writes of a device whose clock is %s are live', async (_, clock) => {
    const all = await scene({ clock });
    const { practice, phone, desk } = all;
    desk.edit('v1', { room: 2 });
    await practice.catchUp();
    await practice.pass(10 * SECOND);
    phone.edit('v1', { room: 1 });
    await practice.settle();
    expect(visit(all)).toEqual(VISIT);
    phone.edit('v1', { room: 2 });
    await practice.settle();
    expect(visit(all)).toEqual({ ...VISIT, room: 2 });
    await expectConverged(all);
  });

  test.each(CLOCKS)('[L5 L6] the first message ever, from a clock that is %s', async (_, clock) => {
    const practice = await Practice.open();
    const desk = await practice.connected('desk');
    desk.write(VISIT);
    await practice.pass(HOUR);
    const phone = await practice.connected('phone', { clock });
    phone.edit('v1', { status: 'arrived' });
    await practice.pass(MINUTE);
    // No offset is known, so the time counts as it stands, and at most as now.
    expect(visit({ practice })?.status).toBe(clock < 0 ? 'booked' : 'arrived');
    await expectConverged({ practice, phone, desk });
    desk.edit('v1', { status: 'called' });
    await practice.catchUp();
    expect(visit({ practice })?.status).toBe('called');
    await practice.pass(MINUTE);
    phone.edit('v1', { status: 'waiting' });
    await practice.settle();
    // A clock that is behind looks like a queue, until a message comes that none can have held so long.
    expect(visit({ practice })?.status).toBe(clock < 0 ? 'called' : 'waiting');
    await practice.catchUp();
    await practice.pass(MINUTE);
    phone.edit('v1', { status: 'waiting' });
    await practice.settle();
    expect(visit({ practice })?.status, 'from the third message on').toBe('waiting');
    await expectConverged({ practice, phone, desk });
  });

  test.each(CLOCKS)('[L5] REQUEST_SYNC tells of a clock that is %s', async (_, clock) => {
    const practice = await Practice.open();
    const desk = await practice.connected('desk');
    desk.write(VISIT);
    await practice.pass(HOUR);
    const phone = await practice.connected('phone', { clock });
    phone.requestSync();
    await phone.catchUp();
    await practice.pass(MINUTE);
    phone.edit('v1', { status: 'arrived' });
    await practice.settle();
    expect(visit({ practice })?.status).toBe('arrived');
    await expectConverged({ practice, phone, desk });
  });

  test.each(OFFLINE_REPLAYS)(
    '[L5 L6 L8] the first queue ever, which stored its outer timestamps, %s: the later one wins',
    async (when) => {
      const practice = await Practice.open();
      const desk = await practice.connected('desk');
      desk.write(VISIT);
      await practice.pass(HOUR);
      const phone = practice.app('phone', { stamps: 'stored' });
      phone.write({ ...VISIT, room: 5 });
      await practice.pass(30 * MINUTE);
      phone.edit('v1', { status: 'waiting' });
      await practice.pass(15 * MINUTE);
      desk.edit('v1', { status: 'called' });
      await practice.pass(15 * MINUTE);
      await comeBack(phone, when);
      expect(visit({ practice })).toEqual({ ...VISIT, room: 5, status: 'called' });
      await expectConverged({ practice, phone, desk });
    },
  );

  test('[L6] a time in the future counts as now: a later change of somebody else wins', async () => {
    const practice = await Practice.open();
    const desk = await practice.connected('desk');
    const phone = await practice.connected('phone', { clock: 3 * DAY });
    phone.write(VISIT);
    await practice.catchUp();
    await practice.pass(MINUTE);
    desk.lose();
    await practice.pass(MINUTE);
    phone.edit('v1', { room: 2 });
    await practice.pass(MINUTE);
    desk.edit('v1', { room: 3 });
    await practice.pass(MINUTE);
    await comeBack(desk, 'after the pong');
    expect(visit({ practice })?.room).toBe(3);
    await expectConverged({ practice, phone, desk });
  });

  test.each(OFFLINE_REPLAYS)(
    '[L5 L6] a queue without timestamps, replayed %s: what it did not touch stays, what it touched counts as now',
    async (when) => {
      const all = await scene({ stamps: 'none' });
      const { practice, phone, desk } = all;
      phone.lose();
      phone.edit('v1', { room: 5 });
      await practice.pass(MINUTE);
      desk.edit('v1', { room: 2, status: 'arrived' });
      await practice.pass(HOUR);
      await comeBack(phone, when);
      expect(visit(all)).toEqual({ ...VISIT, room: 5, status: 'arrived' });
      await expectConverged(all);
    },
  );

  test('[L5] without timestamps, a write 31 s after the connection began is live', async () => {
    const all = await scene({ stamps: 'none' });
    const { practice, phone, desk } = all;
    phone.lose();
    desk.edit('v1', { room: 2 });
    await practice.pass(HOUR);
    phone.connect();
    await phone.catchUp();
    await practice.pass(31 * SECOND);
    phone.edit('v1', { room: 1 });
    await practice.settle();
    expect(visit(all)).toEqual(VISIT);
    await expectConverged(all);
  });
});

describe('what a device wrote itself, it has seen', () => {
  for (const stamps of ['both', 'stored', 'none'] as const) {
    for (const when of OFFLINE_REPLAYS) {
      test(`[L4 L5 L6] timestamps: ${stamps}, ${when}: offline it takes back what it wrote before`, async () => {
        const all = await scene({ stamps });
        const { practice, phone } = all;
        phone.edit('v1', { room: 2 });
        await practice.pass(MINUTE);
        phone.lose();
        await practice.pass(MINUTE);
        phone.edit('v1', { room: 1 });
        await practice.pass(MINUTE);
        await comeBack(phone, when);
        expect(visit(all)).toEqual(VISIT);
        await expectConverged(all);
      });

      test(`[L4 L5 L9] timestamps: ${stamps}, ${when}: offline it deletes what it created before`, async () => {
        const all = await scene({ stamps });
        const { practice, phone } = all;
        phone.write({ id: 'v2', room: 1 });
        await practice.pass(MINUTE);
        phone.lose();
        await practice.pass(MINUTE);
        phone.remove('v2');
        await practice.pass(MINUTE);
        await comeBack(phone, when);
        expect(practice.record('v2')).toBeNull();
        await expectConverged(all);
      });

      test(`[L4 L5 L6] timestamps: ${stamps}, ${when}: offline it edits what it created before`, async () => {
        const all = await scene({ stamps });
        const { practice, phone, desk } = all;
        phone.write({ id: 'v2', room: 1, status: 'booked' });
        await practice.pass(MINUTE);
        await desk.catchUp();
        phone.lose();
        await practice.pass(MINUTE);
        phone.edit('v2', { room: 2 });
        desk.edit('v2', { status: 'called' });
        await practice.pass(MINUTE);
        await comeBack(phone, when);
        expect(practice.record('v2')).toEqual({ id: 'v2', room: 2, status: 'called' });
        await expectConverged(all);
      });
    }
  }
});

describe('fields', () => {
  const OLD: JsonRecord = { id: 'v1', room: 1, person: { name: 'Anna' }, lines: [{ id: 'l1', text: 'x' }] };
  const NEW: JsonRecord = {
    ...OLD,
    insurance: 'A',
    person: { name: 'Anna', phone: '12' },
    lines: [{ id: 'l1', text: 'x', code: 7 }],
  };

  test.each(['live', 'offline'])('[L6] that the app does not know survive its writes (%s)', async (how) => {
    const all = await scene({}, OLD);
    const { practice, phone, desk } = all;
    desk.write(NEW);
    await practice.catchUp();
    await practice.pass(MINUTE);
    if (how === 'offline') phone.lose();
    phone.write({ ...OLD, room: 2 });
    await practice.pass(MINUTE);
    if (how === 'offline') await comeBack(phone, 'after the pong');
    expect(visit(all)).toEqual({ ...NEW, room: 2 });
    await expectConverged(all);
  });

  test.each(['live', 'offline'])('[L6] that the app knows and drops are removed (%s)', async (how) => {
    const all = await scene({}, NEW);
    const { practice, phone } = all;
    if (how === 'offline') phone.lose();
    phone.write({ ...OLD, room: 2 });
    await practice.pass(MINUTE);
    if (how === 'offline') await comeBack(phone, 'after the pong');
    expect(visit(all)).toEqual({ ...OLD, room: 2 });
    await expectConverged(all);
  });

  test.each(['stopped', 'killed'] as const)(
    '[L6] what it sent once is known after the server was %s',
    async (how) => {
      const all = await scene({}, OLD);
      const { practice, phone, desk } = all;
      phone.write({ ...NEW, id: 'another' });
      desk.write(NEW);
      await practice.catchUp();
      await practice.pass(MINUTE);
      await practice.restart(how);
      for (const app of [phone, desk]) {
        app.connect();
        await app.catchUp();
      }
      await practice.pass(MINUTE);
      phone.write(OLD);
      await practice.settle();
      expect(visit(all)).toEqual(OLD);
      await expectConverged(all);
    },
  );

  test('[L6] what it does not know survives even where it drops what it knows around it', async () => {
    const all = await scene({}, { ...OLD, status: 'booked' });
    const { practice, phone, desk } = all;
    desk.write({ ...NEW, status: 'booked' });
    await practice.catchUp();
    await practice.pass(MINUTE);
    phone.write({ id: 'v1', room: 1, person: { name: 'Anna' }, lines: [{ id: 'l1', text: 'x' }] });
    await practice.settle();
    expect(visit(all)).toEqual(NEW);
    await expectConverged(all);
  });

  test('[L6 D3] an element that the app drops goes, one that somebody added meanwhile stays', async () => {
    const all = await scene({}, { id: 'v1', lines: [{ id: 'l1' }, { id: 'l2' }] });
    const { practice, phone, desk } = all;
    phone.lose();
    phone.edit('v1', { lines: [{ id: 'l2' }, { id: 'l3' }] });
    await practice.pass(MINUTE);
    desk.edit('v1', { lines: [{ id: 'l1' }, { id: 'l2', code: 1 }, { id: 'l4' }] });
    await practice.pass(MINUTE);
    await comeBack(phone, 'after the pong');
    const lines = visit(all)?.lines as { id: string }[];
    expect(lines.map(({ id }) => id).sort()).toEqual(['l2', 'l3', 'l4']);
    expect(lines.find(({ id }) => id === 'l2')).toEqual({ id: 'l2', code: 1 });
    await expectConverged(all);
  });
});

describe('deleted records', () => {
  test.each(OFFLINE_REPLAYS)(
    '[L7] an edit made offline of what somebody deleted is dropped, %s',
    async (when) => {
      const all = await scene();
      const { practice, phone, desk } = all;
      phone.lose();
      await practice.pass(MINUTE);
      desk.remove('v1');
      await practice.pass(MINUTE);
      phone.edit('v1', { room: 2 });
      await practice.pass(HOUR);
      await comeBack(phone, when);
      expect(visit(all)).toBeNull();
      const corrections = phone.corrections.filter(({ type }) => type === 'DATA_DELETE');
      expect(corrections.map(({ data }) => data.documentId)).toEqual(['v1']);
      await expectConverged(all);
    },
  );

  test.each(['stopped', 'killed'] as const)('[L7] also after the server was %s', async (how) => {
    const all = await scene();
    const { practice, phone, desk } = all;
    phone.lose();
    await practice.pass(MINUTE);
    desk.remove('v1');
    await practice.pass(MINUTE);
    phone.edit('v1', { room: 2 });
    await practice.restart(how);
    desk.connect();
    await comeBack(phone, 'before the pong');
    expect(visit(all)).toBeNull();
    await expectConverged(all);
  });

  test('[L7] whoever saw the deletion can create the record again', async () => {
    const all = await scene();
    const { practice, phone, desk } = all;
    desk.remove('v1');
    await practice.catchUp();
    await practice.pass(MINUTE);
    phone.write({ id: 'v1', room: 9 });
    await practice.settle();
    expect(visit(all)).toEqual({ id: 'v1', room: 9 });
    await expectConverged(all);
  });

  test.each(OFFLINE_REPLAYS)('[L5 L7] offline as well, %s', async (when) => {
    const all = await scene();
    const { practice, phone, desk } = all;
    desk.remove('v1');
    await practice.catchUp();
    await practice.pass(MINUTE);
    phone.lose();
    await practice.pass(MINUTE);
    phone.write({ id: 'v1', room: 9 });
    await practice.pass(MINUTE);
    await comeBack(phone, when);
    expect(visit(all)).toEqual({ id: 'v1', room: 9 });
    await expectConverged(all);
  });

  test.each(['live', ...OFFLINE_REPLAYS] as const)(
    '[L7] deleted and created again by one device, %s',
    async (when) => {
      const all = await scene();
      const { practice, phone } = all;
      if (when !== 'live') phone.lose();
      phone.remove('v1');
      await practice.pass(100);
      phone.write({ id: 'v1', room: 9 });
      await practice.pass(100);
      if (when !== 'live') await comeBack(phone, when);
      expect(visit(all)).toEqual({ id: 'v1', room: 9 });
      await expectConverged(all);
    },
  );

  test.each(['live', ...OFFLINE_REPLAYS] as const)(
    '[L7 L9] created and deleted again by one device, %s',
    async (when) => {
      const all = await scene();
      const { practice, phone } = all;
      if (when !== 'live') phone.lose();
      phone.write({ id: 'v2', room: 9 });
      await practice.pass(100);
      phone.remove('v2');
      await practice.pass(100);
      if (when !== 'live') await comeBack(phone, when);
      expect(practice.record('v2')).toBeNull();
      await expectConverged(all);
    },
  );

  test.each(['live', ...OFFLINE_REPLAYS] as const)('[L9] deletes what it had seen, %s', async (when) => {
    const all = await scene();
    const { practice, phone, desk } = all;
    if (when !== 'live') phone.lose();
    phone.remove('v1');
    await practice.pass(MINUTE);
    if (when !== 'live') {
      desk.edit('v1', { room: 2 });
      await practice.pass(MINUTE);
      await comeBack(phone, when);
    }
    expect(visit(all)).toBeNull();
    await expectConverged(all);
  });

  test.each(OFFLINE_REPLAYS)(
    '[L9] a replayed deletion of what somebody created again is dropped, %s',
    async (when) => {
      const all = await scene();
      const { practice, phone, desk } = all;
      phone.lose();
      phone.remove('v1');
      await practice.pass(MINUTE);
      desk.remove('v1');
      await practice.pass(MINUTE);
      desk.write({ ...VISIT, room: 8 });
      await practice.pass(HOUR);
      await comeBack(phone, when);
      expect(visit(all)).toEqual({ ...VISIT, room: 8 });
      expect(phone.corrections.map(({ type, data }) => [type, data.document])).toContainEqual([
        'DATA_UPDATE',
        { ...VISIT, room: 8 },
      ]);
      await expectConverged(all);
    },
  );

  test.each(OFFLINE_REPLAYS)('[L9 H6] and of what was restored, %s', async (when) => {
    const all = await scene();
    const { practice, phone, desk } = all;
    const { revision } = practice.document;
    phone.lose();
    phone.remove('v1');
    await practice.pass(MINUTE);
    desk.remove('v1');
    await practice.pass(MINUTE);
    await practice.restore('v1', revision);
    await practice.pass(HOUR);
    await comeBack(phone, when);
    expect(visit(all)).toEqual(VISIT);
    await expectConverged(all);
  });

  test.each(['stopped', 'killed'] as const)('[L9] after the server was %s in between', async (how) => {
    const all = await scene();
    const { practice, phone, desk } = all;
    phone.lose();
    phone.remove('v1');
    await practice.pass(SECOND);
    desk.remove('v1');
    await practice.pass(SECOND);
    desk.write({ ...VISIT, room: 8 });
    await practice.pass(SECOND);
    await practice.restart(how);
    desk.connect();
    await practice.pass(HOUR);
    await comeBack(phone, 'after the pong');
    expect(visit(all)).toEqual({ ...VISIT, room: 8 });
    await expectConverged(all);
  });

  test('[L9] a live one deletes what somebody created again just now', async () => {
    const all = await scene();
    const { practice, phone, desk } = all;
    desk.remove('v1');
    await practice.pass(MINUTE);
    desk.write(VISIT);
    await practice.catchUp();
    await practice.pass(MINUTE);
    phone.remove('v1');
    await practice.settle();
    expect(visit(all)).toBeNull();
    await expectConverged(all);
  });

  test('[L9] one of nothing is told to nobody', async () => {
    const all = await scene();
    const { practice, phone, desk } = all;
    const before = desk.read.length;
    const { revision } = practice.document;
    phone.remove('nothing');
    await practice.catchUp();
    expect([desk.read.length, practice.document.revision]).toEqual([before, revision]);
  });

  test.each(OFFLINE_REPLAYS)(
    '[L7] one id created by two devices apart is one record with the fields of both, %s',
    async (when) => {
      const all = await scene();
      const { practice, phone, desk } = all;
      phone.lose();
      phone.write({ id: 'v2', room: 1, status: 'phone' });
      await practice.pass(MINUTE);
      desk.write({ id: 'v2', at: '11:00', status: 'desk' });
      await practice.pass(MINUTE);
      await comeBack(phone, when);
      expect(practice.record('v2')).toEqual({ id: 'v2', room: 1, at: '11:00', status: 'desk' });
      await expectConverged(all);
    },
  );
});

describe('a device that was never met', () => {
  async function stranger(stamps: AppOptions['stamps']): Promise<Scene> {
    const practice = await Practice.open();
    const desk = await practice.connected('desk');
    desk.write(VISIT);
    await practice.pass(HOUR);
    const phone = practice.app('phone', { stamps: stamps ?? 'both' });
    return { practice, phone, desk };
  }

  test.each(OFFLINE_REPLAYS)(
    '[L8] a write later than the last change is taken, nothing is removed, %s',
    async (when) => {
      const all = await stranger('both');
      const { practice, phone, desk } = all;
      phone.write({ id: 'v1', room: 2, urgent: false, insurance: 'A' });
      await practice.pass(MINUTE);
      desk.edit('v1', { status: 'arrived' });
      await practice.pass(MINUTE);
      await comeBack(phone, when);
      expect(visit(all)).toEqual({ ...VISIT, room: 2, insurance: 'A', status: 'arrived' });
      await expectConverged(all);
    },
  );

  test.each(OFFLINE_REPLAYS)('[L8] an earlier one only adds, %s', async (when) => {
    const all = await stranger('both');
    const { practice, phone, desk } = all;
    phone.write({ id: 'v1', room: 2, status: 'old', insurance: 'A' });
    await practice.pass(MINUTE);
    desk.edit('v1', { status: 'arrived', room: 3 });
    await practice.pass(MINUTE);
    await comeBack(phone, when);
    expect(visit(all)).toEqual({ ...VISIT, insurance: 'A', status: 'arrived', room: 3 });
    await expectConverged(all);
  });

  test.each(OFFLINE_REPLAYS)(
    '[L8] without a timestamp it adds what is missing and nothing else, %s',
    async (when) => {
      const all = await stranger('none');
      const { practice, phone } = all;
      phone.write({ id: 'v1', room: 2, insurance: 'A' });
      phone.write({ id: 'v2', room: 2 });
      await practice.pass(MINUTE);
      await comeBack(phone, when);
      expect(visit(all)).toEqual({ ...VISIT, insurance: 'A' });
      expect(practice.record('v2')).toEqual({ id: 'v2', room: 2 });
      await expectConverged(all);
    },
  );

  test.each([
    ['both', false],
    ['none', false],
  ] as const)(
    '[L7 L8] timestamps: %s; an older write does not bring back what was deleted',
    async (stamps, isBack) => {
      const all = await stranger(stamps);
      const { practice, phone, desk } = all;
      phone.write({ ...VISIT, room: 2 });
      await practice.pass(MINUTE);
      desk.remove('v1');
      await practice.pass(MINUTE);
      await comeBack(phone, 'after the pong');
      expect(visit(all) !== null).toBe(isBack);
      await expectConverged(all);
    },
  );

  test('[L4 L8] what it was sent, it has seen: a live write after that counts as any other', async () => {
    const all = await stranger('both');
    const { practice, phone } = all;
    phone.connect();
    await phone.catchUp();
    await practice.pass(MINUTE);
    phone.edit('v1', { room: 2, status: undefined });
    await practice.settle();
    expect(visit(all)?.room).toBe(2);
    await expectConverged(all);
  });
});

describe('a queue that is sent twice, since nothing told the app that it had arrived', () => {
  for (const stamps of ['both', 'stored', 'none'] as const) {
    for (const first of OFFLINE_REPLAYS) {
      for (const second of OFFLINE_REPLAYS) {
        test(`[L5 L6] timestamps: ${stamps}; ${first}, then ${second}: nothing changes, what others did in between survives`, async () => {
          const all = await scene({ stamps });
          const { practice, phone, desk } = all;
          phone.lose();
          phone.edit('v1', { room: 2 });
          await practice.pass(MINUTE);
          phone.edit('v1', { status: 'arrived' });
          await practice.pass(MINUTE);
          phone.edit('v1', { room: 3 });
          phone.write({ id: 'v2', room: 1 });
          phone.remove('other');
          await practice.pass(MINUTE);
          phone.connect();
          if (first === 'after the pong') await phone.catchUp();
          else await phone.readAll();
          await phone.replay('keep');
          phone.lose();
          const expected = { ...VISIT, room: 3, status: 'arrived' };
          expect(visit(all)).toEqual(expected);
          await practice.catchUp();
          await practice.pass(10 * SECOND);
          desk.edit('v1', { status: 'called' });
          desk.edit('v2', { room: 7 });
          await practice.pass(MINUTE);
          const { revision } = practice.document;
          await comeBack(phone, second);
          expect(visit(all)).toEqual({ ...expected, status: 'called' });
          expect(practice.record('v2')).toEqual({ id: 'v2', room: 7 });
          expect(practice.record('other')).toBeNull();
          expect(practice.document.revision).toBe(revision);
          await expectConverged(all);
        });

        test(`[L5 L6] timestamps: ${stamps}; ${first}, then ${second}: with the server stopped in between`, async () => {
          const all = await scene({ stamps });
          const { practice, phone, desk } = all;
          phone.lose();
          phone.edit('v1', { room: 2 });
          await practice.pass(MINUTE);
          phone.edit('v1', { room: 3 });
          await practice.pass(MINUTE);
          phone.connect();
          if (first === 'after the pong') await phone.catchUp();
          else await phone.readAll();
          await phone.replay('keep');
          await practice.restart('stopped');
          desk.connect();
          await desk.catchUp();
          await practice.pass(10 * SECOND);
          desk.edit('v1', { room: 4 });
          await practice.pass(MINUTE);
          await comeBack(phone, second);
          expect(visit(all)).toEqual({ ...VISIT, room: 4 });
          await expectConverged(all);
        });
      }
    }
  }
});

describe('kinds of values', () => {
  test('[D6 L6] a numeric id keeps its type', async () => {
    const all = await scene({}, { id: 7, room: 1 });
    const { practice, phone, desk } = all;
    phone.lose();
    phone.write({ id: '7', room: 1, status: 'arrived' });
    await practice.pass(MINUTE);
    desk.edit('7', { room: 2 });
    await practice.pass(MINUTE);
    await comeBack(phone, 'after the pong');
    expect(practice.record('7')).toEqual({ id: 7, room: 2, status: 'arrived' });
    await expectConverged(all);
  });

  test('[D2 L6] an object that a native device stored as one value', async () => {
    const all = await scene();
    const { practice, phone } = all;
    await practice.native((doc) => visitMap(doc).set('plain', { a: 1, list: [{ id: 'x', n: 1 }] }));
    await practice.catchUp();
    await practice.pass(MINUTE);
    phone.edit('v1', { room: 2 });
    await practice.settle();
    await practice.native((doc) => {
      const plain = visitMap(doc).get('plain');
      expect(plain, 'a write of another field leaves it as it is').not.toBeInstanceOf(Y.AbstractType);
    });
    phone.lose();
    phone.edit('v1', { plain: { a: 2, list: [{ id: 'x', n: 1 }] } });
    await practice.pass(MINUTE);
    await practice.native((doc) =>
      visitMap(doc).set('plain', { a: 1, list: [{ id: 'x', n: 1 }, { id: 'y' }] }),
    );
    await practice.pass(MINUTE);
    await comeBack(phone, 'after the pong');
    expect(visit(all)).toEqual({
      ...VISIT,
      room: 2,
      plain: { a: 2, list: [{ id: 'x', n: 1 }, { id: 'y' }] },
    });
    await expectConverged(all);
  });

  test.each(OFFLINE_REPLAYS)('[D2 L6] a Y.Text that both sides edited, %s', async (when) => {
    const all = await scene();
    const { practice, phone } = all;
    await practice.native((doc) => visitMap(doc).set('note', new Y.Text('Fever. Cough.')));
    await practice.catchUp();
    await practice.pass(MINUTE);
    phone.lose();
    phone.edit('v1', { note: 'Fever. No cough.' });
    await practice.pass(MINUTE);
    await practice.native((doc) => (visitMap(doc).get('note') as Y.Text).insert(0, 'High '));
    await practice.pass(MINUTE);
    await comeBack(phone, when);
    expect(visit(all)?.note).toBe('High Fever. No cough.');
    await practice.native((doc) => expect(visitMap(doc).get('note')).toBeInstanceOf(Y.Text));
    await expectConverged(all);
  });

  test('[D2 L6] a Y.Text that only the native device edited stays as it made it', async () => {
    const all = await scene();
    const { practice, phone } = all;
    await practice.native((doc) => visitMap(doc).set('note', new Y.Text('Fever.')));
    await practice.catchUp();
    await practice.pass(MINUTE);
    phone.lose();
    phone.edit('v1', { room: 2 });
    await practice.pass(MINUTE);
    await practice.native((doc) => (visitMap(doc).get('note') as Y.Text).insert(0, 'High '));
    await practice.pass(MINUTE);
    await comeBack(phone, 'after the pong');
    expect(visit(all)).toEqual({ ...VISIT, room: 2, note: 'High Fever.' });
    await expectConverged(all);
  });
});

describe('a server that starts anew while a device is away', () => {
  for (const how of ['stopped', 'killed'] as const) {
    for (const when of OFFLINE_REPLAYS) {
      for (const stamps of ['both', 'none'] as const) {
        test(`[L4 L5 L6] ${how}, timestamps: ${stamps}, replayed ${when}: what the device did not touch stays`, async () => {
          const all = await scene({ stamps });
          const { practice, phone, desk } = all;
          phone.lose();
          phone.edit('v1', { status: 'arrived', tags: ['a', 'b', 'phone'] });
          await practice.pass(SECOND);
          desk.edit('v1', { room: 2, tags: ['desk', 'a', 'b'] });
          await practice.pass(SECOND);
          await practice.restart(how);
          desk.connect();
          await desk.catchUp();
          await practice.pass(SECOND);
          desk.edit('v1', { at: '10:00' });
          await practice.pass(SECOND);
          await comeBack(phone, when);
          const { tags, ...fields } = visit(all) as JsonRecord;
          expect({ ...fields, tags: VISIT.tags }).toEqual({
            ...VISIT,
            room: 2,
            at: '10:00',
            status: 'arrived',
          });
          expect(tags).toEqual(['desk', 'a', 'b', 'phone']);
          await expectConverged(all);
        });
      }
    }

    test(`[L5 L6] ${how}: a conflict is decided by time`, async () => {
      const all = await scene();
      const { practice, phone, desk } = all;
      phone.lose();
      await practice.pass(SECOND);
      phone.edit('v1', { room: 5 });
      await practice.pass(SECOND);
      desk.edit('v1', { room: 2 });
      await practice.pass(SECOND);
      await practice.restart(how);
      desk.connect();
      await practice.pass(HOUR);
      await comeBack(phone, 'after the pong');
      expect(visit(all)?.room).toBe(2);
      await expectConverged(all);
    });

    test(`[L4 L5 L6] ${how} while the device is connected: its queue is compared with what it had`, async () => {
      const all = await scene();
      const { practice, phone, desk } = all;
      desk.edit('v1', { room: 2 });
      await practice.catchUp();
      await practice.pass(MINUTE);
      await practice.restart(how);
      phone.edit('v1', { status: 'arrived' });
      desk.connect();
      await desk.catchUp();
      desk.edit('v1', { at: '10:00' });
      await practice.pass(MINUTE);
      await comeBack(phone, 'after the pong');
      expect(visit(all)).toEqual({ ...VISIT, room: 2, status: 'arrived', at: '10:00' });
      await expectConverged(all);
    });
  }
});
