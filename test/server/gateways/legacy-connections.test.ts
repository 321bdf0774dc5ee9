/**
 * What a queued write was made on, after connections of any length and order (L4, L5): a stale whole document undoes
 * nothing, and what a device means to change counts.
 */
import { describe, expect, test } from 'vitest';
import type { JsonRecord } from '../../../shared/json.js';
import { type App, type AppOptions, HOUR, MINUTE, Practice, SECOND } from '../../support/json-apps.js';

const VISIT: JsonRecord = { id: 'v1', room: 1, status: 'A' };

interface Scene {
  readonly practice: Practice;
  readonly phone: App;
  readonly desk: App;
}

/** A phone that has read a visit of the desk and was connected for a minute; it is offline now. */
async function scene(options: AppOptions = {}): Promise<Scene> {
  const practice = await Practice.open();
  const desk = await practice.connected('desk');
  desk.write(VISIT);
  desk.write({ id: 'v2', note: '' });
  const phone = await practice.connected('phone', options);
  phone.write({ id: 'known', room: 0, status: '', note: '', mine: 0 });
  for (let tick = 0; tick < 4; tick++) {
    await practice.pass(10 * SECOND);
    phone.requestSync();
    await practice.catchUp();
  }
  phone.lose();
  await practice.pass(MINUTE);
  return { practice, phone, desk };
}

const visit = ({ practice }: Scene) => practice.record('v1');

/** A connection of this length; what the phone has queued is sent over it, or kept for the next one. */
async function connection({ practice, phone }: Scene, ms: number, queue: 'flushed' | 'kept'): Promise<void> {
  await practice.pass(100);
  phone.connect();
  await phone.catchUp();
  if (queue === 'flushed') await phone.replay();
  await practice.pass(ms);
  await phone.catchUp();
  phone.lose();
  await practice.pass(SECOND);
}

async function comeBack({ practice, phone }: Scene): Promise<void> {
  await practice.pass(100);
  phone.connect();
  await phone.catchUp();
  await phone.replay();
  await practice.settle();
  await phone.catchUp();
}

const LENGTHS = [10, 300, 2_600, 10 * SECOND, 45 * SECOND, 2 * HOUR];

describe('a stale document after', () => {
  for (const first of LENGTHS) {
    for (const second of LENGTHS) {
      test.each(['flushed', 'kept'] as const)(
        `[L4 L5] connections of ${first} and ${second} ms whose queue is %s undoes nothing`,
        async (queue) => {
          const all = await scene();
          const { practice, phone, desk } = all;
          phone.edit('v2', { note: 'offline' });
          await connection(all, first, queue);
          desk.edit('v2', { other: 1 });
          await practice.pass(MINUTE);
          await connection(all, first, queue);
          desk.edit('v1', { status: 'B' });
          phone.edit('v2', { note: 'offline again' });
          await practice.pass(SECOND);
          await connection(all, second, queue);
          expect(phone.record('v1')?.status).toBe('B');
          desk.edit('v1', { status: 'C' });
          await practice.pass(SECOND);
          phone.edit('v1', { mine: 1 });
          await practice.pass(SECOND);
          await comeBack(all);
          expect(visit(all)).toEqual({ ...VISIT, status: 'C', mine: 1 });
        },
      );
    }
  }

  test.each(['both', 'none'] as const)(
    '[L5] a short connection that flushed, after one that had read more (%s)',
    async (stamps) => {
      const practice = await Practice.open();
      const desk = await practice.connected('desk');
      desk.write(VISIT);
      desk.write({ id: 'v2', note: '' });
      const phone = practice.app('phone', { stamps });
      const all = { practice, phone, desk };
      await connection(all, 100, 'kept');
      phone.edit('v2', { note: 'offline' });
      await connection(all, 150, 'flushed');
      phone.connect();
      await phone.catchUp();
      desk.edit('v2', { other: 1 });
      await phone.catchUp();
      await practice.pass(2_600);
      await phone.catchUp();
      phone.lose();
      desk.edit('v1', { status: 'B' });
      phone.edit('v2', { note: 'offline again' });
      await practice.pass(100);
      await connection(all, 300, 'flushed');
      expect(phone.record('v1')?.status).toBe('B');
      desk.edit('v1', { status: 'C' });
      await practice.pass(SECOND);
      phone.edit('v1', { mine: 1 });
      await comeBack(all);
      expect(visit(all)).toEqual({ ...VISIT, status: 'C', mine: 1 });
    },
  );

  test.each([
    ['by its times', 'both'],
    ['without times', 'none'],
  ] as const)(
    '[L5] forty connections of 3 s, each later than a change, in which nothing was flushed (%s)',
    async (_, stamps) => {
      const all = await scene({ stamps });
      const { practice, phone, desk } = all;
      phone.edit('v1', { mine: 1 });
      const { queue } = phone;
      for (let n = 1; n <= 40; n++) {
        await practice.pass(MINUTE);
        desk.edit('v1', { status: `B${n}` });
        await connection(all, 3 * SECOND, 'kept');
      }
      expect(phone.queue).toBe(queue);
      await comeBack(all);
      expect(visit(all)).toEqual({ ...VISIT, status: 'B40', mine: 1 });
    },
  );

  test('[L5] forty connections: a write between two of them is compared with what was there then', async () => {
    const all = await scene();
    const { practice, phone, desk } = all;
    for (let n = 1; n <= 40; n++) {
      await practice.pass(MINUTE);
      desk.edit('v1', { status: `B${n}` });
      await connection(all, 3 * SECOND, 'kept');
      if (n === 20 || n === 38) phone.edit('v1', { [`mine${n}`]: n });
    }
    await comeBack(all);
    expect(visit(all)).toEqual({ ...VISIT, status: 'B40', mine20: 20, mine38: 38 });
  });

  test('[L4 L5] a dead connection that is noticed after a newer one has ended', async () => {
    const all = await scene();
    const { practice, phone, desk } = all;
    phone.connect();
    await phone.catchUp();
    await practice.pass(3 * SECOND);
    const endDead = phone.abandon();
    await practice.pass(SECOND);
    desk.edit('v1', { status: 'B' });
    await practice.pass(SECOND);
    await connection(all, 300, 'kept');
    endDead();
    desk.edit('v1', { status: 'C' });
    await practice.pass(SECOND);
    phone.edit('v1', { mine: 1 });
    await practice.pass(SECOND);
    await comeBack(all);
    expect(visit(all)).toEqual({ ...VISIT, status: 'C', mine: 1 });
  });

  test('[L4 L5] a kill, in a connection that began before another one had shown more', async () => {
    const all = await scene();
    const { practice, phone, desk } = all;
    phone.connect();
    await phone.catchUp();
    await practice.pass(3 * SECOND);
    phone.abandon();
    phone.edit('v1', { mine: 1 });
    await practice.pass(SECOND);
    desk.edit('v1', { status: 'B' });
    await practice.pass(SECOND);
    phone.connect();
    await phone.catchUp();
    await practice.pass(70 * SECOND);
    desk.edit('v2', { other: 1 });
    await practice.settle();
    await phone.catchUp();
    await practice.restart('killed');
    await practice.pass(SECOND);
    await comeBack(all);
    expect(visit(all)).toEqual({ ...VISIT, status: 'B', mine: 1 });
  });

  test('[L4 L5] a kill in the first connection that it ever had', async () => {
    const practice = await Practice.open();
    const desk = await practice.connected('desk');
    desk.write(VISIT);
    await practice.settle();
    const phone = practice.app('phone');
    phone.connect();
    await phone.catchUp();
    phone.requestSync();
    await phone.catchUp();
    phone.abandon();
    phone.edit('v1', { mine: 1 });
    await practice.pass(SECOND);
    desk.edit('v1', { status: 'B' });
    await practice.pass(SECOND);
    await practice.restart('killed');
    const all = { practice, phone, desk };
    await comeBack(all);
    expect(visit(all)).toEqual({ ...VISIT, status: 'B', mine: 1 });
  });

  test('[L5] a connection that was dead after 5 s and ended after a minute, without times', async () => {
    const all = await scene({ stamps: 'none' });
    const { practice, phone, desk } = all;
    phone.edit('v1', { mine: 1 });
    await practice.pass(SECOND);
    desk.edit('v1', { status: 'B' });
    await practice.pass(SECOND);
    phone.connect();
    await phone.catchUp();
    await practice.pass(5 * SECOND);
    const endDead = phone.abandon();
    await practice.pass(MINUTE);
    endDead();
    await practice.pass(SECOND);
    await comeBack(all);
    expect(visit(all)).toEqual({ ...VISIT, status: 'B', mine: 1 });
  });

  test.each([10, 3_000])(
    '[H1 L4] an answer over HTTP between connections, of %i ms, that showed more',
    async (ms) => {
      const all = await scene();
      const { practice, phone, desk } = all;
      phone.edit('v2', { note: 'offline' });
      await connection(all, ms, 'flushed');
      desk.edit('v1', { status: 'B' });
      await practice.pass(SECOND);
      await phone.get();
      await practice.pass(SECOND);
      desk.edit('v1', { status: 'C' });
      await practice.pass(SECOND);
      phone.edit('v1', { mine: 1 });
      await practice.pass(SECOND);
      await comeBack(all);
      expect(visit(all)).toEqual({ ...VISIT, status: 'C', mine: 1 });
    },
  );

  test.each(['stopped', 'killed'] as const)(
    '[H1 L4] an answer over HTTP that showed more, and a server that was %s',
    async (how) => {
      const all = await scene();
      const { practice, phone, desk } = all;
      await phone.get();
      desk.edit('v1', { status: 'B' });
      await practice.pass(SECOND);
      await phone.get();
      await practice.restart(how);
      await practice.pass(SECOND);
      phone.edit('v1', { mine: 1 });
      await practice.pass(SECOND);
      desk.connect();
      await desk.catchUp();
      desk.edit('v1', { status: 'C' });
      await practice.pass(SECOND);
      await comeBack(all);
      expect(visit(all)).toEqual({ ...VISIT, status: 'C', mine: 1 });
    },
  );

  test('[L5] what a live edit without a time was made on may be this connection’s full sync', async () => {
    const all = await scene({ stamps: 'none' });
    const { practice, phone, desk } = all;
    desk.edit('v1', { status: 'B' });
    await practice.pass(SECOND);
    phone.connect();
    await phone.catchUp();
    await practice.pass(5 * SECOND);
    desk.edit('v1', { status: 'C' });
    await practice.settle();
    phone.edit('v1', { mine: 1 });
    await practice.settle();
    expect(visit(all)).toEqual({ ...VISIT, status: 'C', mine: 1 });
  });
});

describe('what a device means to change counts', () => {
  test.each(LENGTHS.filter((ms) => ms > 2_000))(
    '[L4 L5] back to the value from before what it read in %i ms',
    async (ms) => {
      const all = await scene();
      const { practice, phone, desk } = all;
      desk.edit('v1', { status: 'B' });
      await practice.pass(SECOND);
      await connection(all, ms, 'kept');
      await practice.pass(MINUTE);
      phone.edit('v1', { status: 'A' });
      await practice.pass(SECOND);
      await connection(all, 300, 'kept');
      await comeBack(all);
      expect(visit(all)?.status).toBe('A');
    },
  );

  test('[L5] also after forty connections', async () => {
    const all = await scene();
    const { practice, phone, desk } = all;
    for (let n = 1; n <= 40; n++) {
      await practice.pass(MINUTE);
      desk.edit('v1', { status: `B${n}` });
      await connection(all, 3 * SECOND, 'kept');
    }
    await practice.pass(MINUTE);
    phone.edit('v1', { status: 'B39' });
    await practice.pass(SECOND);
    await comeBack(all);
    expect(visit(all)?.status).toBe('B39');
  });

  test.each([
    ['the later one wins', 'desk'],
    ['also the other way round', 'phone'],
  ] as const)(
    '[L5 L6] of an edit that a dead connection was sent and one that it could not send: %s',
    async (_, last) => {
      const all = await scene();
      const { practice, phone, desk } = all;
      phone.connect();
      await phone.catchUp();
      await practice.pass(10 * SECOND);
      const endDead = phone.abandon();
      const edits = [() => phone.edit('v1', { status: 'phone' }), () => desk.edit('v1', { status: 'desk' })];
      if (last === 'phone') edits.reverse();
      for (const edit of edits) {
        await practice.pass(10 * SECOND);
        edit();
      }
      await practice.pass(10 * SECOND);
      endDead();
      await comeBack(all);
      expect(visit(all)?.status).toBe(last);
    },
  );
});

test('[L4] what a device that is sent nothing writes over and over is let go of the memory', async () => {
  const practice = await Practice.open();
  const desk = await practice.connected('desk');
  desk.write(VISIT);
  for (let room = 1; room <= 300; room++) {
    await practice.pass(SECOND);
    desk.edit('v1', { room });
    await desk.catchUp();
  }
  await practice.settle();
  const { history } = practice.document;
  expect(history.revision).toBe(300);
  expect(history.from, 'its last 40 changes at most, and those of the last seconds').toBeGreaterThan(250);
});
