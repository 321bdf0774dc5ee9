/** The rules for JSON devices over HTTP: what a device has is what it says by the tag of its last answer (L4–L9, H1, H2). */
import { describe, expect, test } from 'vitest';
import * as Y from 'yjs';
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
import { VISIT, visitMap } from '../../support/scenes.js';

interface Scene {
  readonly practice: Practice;
  /** Over HTTP. */
  readonly phone: App;
  /** Over a WebSocket. */
  readonly desk: App;
}

/** A desk that wrote a visit; a phone that has fetched it, has said so, and wrote once. */
async function scene(options: AppOptions = {}): Promise<Scene> {
  const practice = await Practice.open();
  const desk = await practice.connected('desk');
  desk.write(VISIT);
  await desk.catchUp();
  const phone = practice.app('phone', options);
  await phone.get();
  phone.write({ ...VISIT, id: 'other' });
  await phone.post();
  await phone.get();
  await practice.pass(MINUTE);
  return { practice, phone, desk };
}

const visit = ({ practice }: Pick<Scene, 'practice'>) => practice.record('v1');

/** Everybody has what the server has. */
async function expectConverged({ practice, phone, desk }: Scene): Promise<void> {
  await desk.catchUp();
  if (phone.isConnected) await phone.catchUp();
  else await phone.get();
  for (const app of [phone, desk]) expect(app.copy[VISITS] ?? {}).toEqual(practice.records()[VISITS] ?? {});
}

const TAGS = ['tagged', 'untagged'] as const;

describe('a stale POST', () => {
  test.each(TAGS)('[H1 H2 L4 L6] does not undo what others changed (%s)', async (tag) => {
    const all = await scene();
    const { practice, phone, desk } = all;
    phone.edit('v1', { status: 'arrived' });
    await practice.pass(MINUTE);
    desk.edit('v1', { room: 2 });
    await practice.pass(HOUR);
    await phone.post('arrives', tag);
    expect(visit(all)).toEqual({ ...VISIT, room: 2, status: 'arrived' });
    expect(phone.record('v1'), 'the answer is the correction').toEqual(visit(all));
    await expectConverged(all);
  });

  test.each(TAGS)('[H2 L6] in a conflict the later one wins (%s)', async (tag) => {
    const all = await scene();
    const { practice, phone, desk } = all;
    phone.edit('v1', { room: 5 });
    await practice.pass(MINUTE);
    desk.edit('v1', { room: 2, status: 'arrived' });
    await practice.pass(MINUTE);
    phone.edit('v1', { status: 'waiting' });
    await practice.pass(HOUR);
    await phone.post('arrives', tag);
    expect(visit(all)).toEqual({ ...VISIT, room: 2, status: 'waiting' });
    await expectConverged(all);
  });

  test('[H1 L4] what a lost answer showed may have been seen or not: neither is undone', async () => {
    const all = await scene();
    const { practice, phone, desk } = all;
    desk.edit('v1', { room: 2 });
    await phone.get('is lost');
    phone.edit('v1', { status: 'arrived' });
    await practice.pass(MINUTE);
    desk.edit('v1', { at: '10:00' });
    await practice.pass(MINUTE);
    await phone.post();
    expect(visit(all)).toEqual({ ...VISIT, room: 2, status: 'arrived', at: '10:00' });
    await expectConverged(all);
  });

  test('[H1 L4 D3] also in a list and a text that both edited', async () => {
    const all = await scene();
    const { practice, phone, desk } = all;
    await practice.native((doc) => visitMap(doc).set('note', new Y.Text('Fever. Cough.')));
    await desk.catchUp();
    await phone.get();
    await phone.get();
    await practice.pass(MINUTE);
    desk.edit('v1', { tags: ['a', 'b', 'desk'] });
    await practice.native((doc) => (visitMap(doc).get('note') as Y.Text).insert(0, 'High '));
    await phone.get('is lost');
    phone.edit('v1', { tags: ['a', 'b', 'phone'], note: 'Fever. No cough.' });
    await practice.pass(MINUTE);
    await phone.post();
    expect(visit(all)?.note).toBe('High Fever. No cough.');
    expect(new Set(visit(all)?.tags as string[])).toEqual(new Set(['a', 'b', 'desk', 'phone']));
    await expectConverged(all);
  });

  test('[H1 L4] what the device said that it has, it has seen: the older value is what it wants', async () => {
    const all = await scene();
    const { practice, phone, desk } = all;
    desk.edit('v1', { room: 2 });
    expect(await phone.get()).toBe(200);
    expect(await phone.get()).toBe(304);
    phone.edit('v1', { room: 1 });
    await practice.pass(MINUTE);
    await phone.post();
    expect(visit(all)).toEqual(VISIT);
    await expectConverged(all);
  });

  test('[H1 H2 L4] a tag on the POST itself says so as well', async () => {
    const all = await scene();
    const { practice, phone, desk } = all;
    desk.edit('v1', { room: 2 });
    await phone.get();
    phone.edit('v1', { room: 1 });
    await practice.pass(MINUTE);
    await phone.post('arrives', 'tagged');
    expect(visit(all)).toEqual(VISIT);
    await expectConverged(all);
  });

  test('[L4 L6] its own last write is what it goes on from: on, then off', async () => {
    const all = await scene();
    const { practice, phone } = all;
    for (const urgent of [true, false, true, false]) {
      phone.edit('v1', { urgent });
      await practice.pass(SECOND);
      await phone.post();
      expect(visit(all)?.urgent).toBe(urgent);
    }
    await expectConverged(all);
  });

  test('[L4 L6] what it wrote back from what an answer showed, long after, counts', async () => {
    const all = await scene();
    const { practice, phone, desk } = all;
    phone.edit('v1', { status: 'arrived' });
    desk.edit('v1', { room: 2 });
    await practice.pass(MINUTE);
    await phone.post();
    await phone.get();
    await practice.pass(MINUTE);
    phone.edit('v1', { room: 1 });
    await phone.post();
    expect(visit(all)).toEqual({ ...VISIT, room: 1, status: 'arrived' });
    await expectConverged(all);
  });
});

describe('a POST that is sent twice, since the answer was lost', () => {
  for (const stamps of ['both', 'stored', 'none'] as const) {
    for (const tag of TAGS) {
      test(`[H2 L5 L6] timestamps: ${stamps}, ${tag}: nothing changes, what others did in between survives`, async () => {
        const all = await scene({ stamps });
        const { practice, phone, desk } = all;
        // Without timestamps, nothing tells a value that no version had from one that is new.
        if (stamps !== 'none') phone.edit('v1', { room: 2 });
        await practice.pass(MINUTE);
        phone.edit('v1', { status: 'arrived', room: 3 });
        phone.write({ id: 'v2', room: 1 });
        phone.remove('other');
        await practice.pass(MINUTE);
        await phone.post('is lost', tag);
        expect(visit(all)).toEqual({ ...VISIT, room: 3, status: 'arrived' });
        expect(practice.record('other')).toBeNull();
        await desk.catchUp();
        desk.edit('v1', { room: 4 });
        desk.edit('v2', { room: 7 });
        await practice.pass(MINUTE);
        const { revision } = practice.document;
        await phone.post('arrives', tag);
        expect(visit(all)).toEqual({ ...VISIT, room: 4, status: 'arrived' });
        expect(practice.record('v2')).toEqual({ id: 'v2', room: 7 });
        expect(practice.record('other')).toBeNull();
        expect(practice.document.revision).toBe(revision);
        await expectConverged(all);
      });

      test.each(['stopped', 'killed'] as const)(
        `[H2 L5 L6] timestamps: ${stamps}, ${tag}, and the server was %s in between`,
        async (how) => {
          const all = await scene({ stamps });
          const { practice, phone, desk } = all;
          if (stamps !== 'none') phone.edit('v1', { room: 2 });
          await practice.pass(MINUTE);
          phone.edit('v1', { room: 3 });
          await practice.pass(MINUTE);
          await phone.post('is lost', tag);
          await practice.restart(how);
          desk.connect();
          await desk.catchUp();
          desk.edit('v1', { room: 4 });
          await practice.pass(MINUTE);
          await phone.post('arrives', tag);
          expect(visit(all)).toEqual({ ...VISIT, room: 4 });
          await expectConverged(all);
        },
      );
    }
  }
});

describe('an answer that was lost, of a record to which somebody had added a field', () => {
  test.each(['goes on', 'was stopped', 'was killed'] as const)(
    '[L4 L6] the field is not taken for removed, though the app has sent such a one since; the server %s',
    async (how) => {
      const practice = await Practice.open();
      const [desk, phone] = [await practice.connected('desk'), practice.app('phone')];
      desk.write(VISIT);
      desk.write({ ...VISIT, id: 'other', note: 'of another visit' });
      await desk.catchUp();
      await phone.get();
      desk.edit('v1', { note: 'new' });
      await practice.pass(MINUTE);
      phone.edit('v1', { room: 2 });
      await phone.post('is lost', 'tagged');
      phone.queue = [];
      if (how !== 'goes on') {
        await practice.restart(how === 'was killed' ? 'killed' : 'stopped');
        desk.connect();
      }
      await practice.pass(MINUTE);
      phone.edit('other', { room: 3 });
      phone.edit('v1', { status: 'arrived' });
      await phone.post('arrives', 'tagged');
      expect(practice.record('v1')).toEqual({ ...VISIT, room: 2, status: 'arrived', note: 'new' });
      await expectConverged({ practice, phone, desk });
    },
  );
});

describe('a batch', () => {
  test('[H2 L6] two changes of one record in it, each of another field', async () => {
    const all = await scene();
    const { practice, phone, desk } = all;
    phone.edit('v1', { status: 'arrived' });
    phone.edit('v1', { at: '10:00' });
    desk.edit('v1', { room: 2 });
    await practice.pass(MINUTE);
    const { revision } = practice.document;
    await phone.post();
    expect(visit(all)).toEqual({ ...VISIT, room: 2, status: 'arrived', at: '10:00' });
    expect(practice.document.revision).toBe(revision + 1);
    await expectConverged(all);
  });

  test.each(['both', 'stored', 'none'] as const)(
    '[H2 L6] on and off again in it, timestamps: %s',
    async (stamps) => {
      const all = await scene({ stamps });
      const { practice, phone, desk } = all;
      phone.edit('v1', { urgent: true });
      await practice.pass(SECOND);
      phone.edit('v1', { urgent: false });
      desk.edit('v1', { room: 2 });
      await practice.pass(MINUTE);
      await phone.post();
      expect(visit(all)).toEqual({ ...VISIT, room: 2 });
      await expectConverged(all);
    },
  );

  test('[H2 L7 L9] a record that is deleted and created again in it, and one that is created and deleted', async () => {
    const all = await scene();
    const { practice, phone } = all;
    phone.remove('v1');
    phone.write({ id: 'v1', room: 9 });
    phone.write({ id: 'v2', room: 9 });
    phone.remove('v2');
    await practice.pass(MINUTE);
    await phone.post();
    expect([visit(all), practice.record('v2')]).toEqual([{ id: 'v1', room: 9 }, null]);
    await expectConverged(all);
  });
});

describe('deletions over HTTP', () => {
  test.each(TAGS)('[H2 L9] delete what the device had seen (%s)', async (tag) => {
    const all = await scene();
    const { practice, phone, desk } = all;
    phone.remove('v1');
    await practice.pass(MINUTE);
    desk.edit('v1', { room: 2 });
    await practice.pass(MINUTE);
    await phone.post('arrives', tag);
    expect(visit(all)).toBeNull();
    await expectConverged(all);
  });

  test.each(TAGS)('[H2 L9] leave what somebody created again (%s)', async (tag) => {
    const all = await scene();
    const { practice, phone, desk } = all;
    phone.remove('v1');
    await practice.pass(MINUTE);
    desk.remove('v1');
    await practice.pass(MINUTE);
    desk.write({ ...VISIT, room: 8 });
    await practice.pass(MINUTE);
    await phone.post('arrives', tag);
    expect(visit(all)).toEqual({ ...VISIT, room: 8 });
    expect(phone.record('v1')).toEqual({ ...VISIT, room: 8 });
    await expectConverged(all);
  });

  test.each(TAGS)(
    '[H2 L7] by somebody else hold against an edit that knew nothing of them (%s)',
    async (tag) => {
      const all = await scene();
      const { practice, phone, desk } = all;
      desk.remove('v1');
      await practice.pass(MINUTE);
      phone.edit('v1', { room: 2 });
      await practice.pass(MINUTE);
      await phone.post('arrives', tag);
      expect(visit(all)).toBeNull();
      expect(phone.record('v1')).toBeUndefined();
      await expectConverged(all);
    },
  );

  test('[H2 L7] that the device knew of do not keep it from creating the record again', async () => {
    const all = await scene();
    const { practice, phone, desk } = all;
    desk.remove('v1');
    await phone.get();
    await phone.get();
    await practice.pass(MINUTE);
    phone.write({ id: 'v1', room: 9 });
    await phone.post();
    expect(visit(all)).toEqual({ id: 'v1', room: 9 });
    await expectConverged(all);
  });

  test.each(['stopped', 'killed'] as const)('[H2 L7 L9] after the server was %s', async (how) => {
    const all = await scene();
    const { practice, phone, desk } = all;
    phone.edit('v1', { room: 2 });
    phone.remove('other');
    await practice.pass(MINUTE);
    desk.remove('v1');
    await practice.pass(MINUTE);
    desk.remove('other');
    desk.write({ id: 'other', room: 8 });
    await practice.restart(how);
    await practice.pass(MINUTE);
    await phone.post();
    expect(visit(all)).toBeNull();
    desk.connect();
    await expectConverged(all);
  });
});

describe('a device that was never met over HTTP', () => {
  test('[H2 L8] a write later than the last change is taken, an earlier one only adds', async () => {
    const practice = await Practice.open();
    const desk = await practice.connected('desk');
    desk.write(VISIT);
    await practice.pass(HOUR);
    const phone = practice.app('phone');
    phone.write({ id: 'v1', room: 2, status: 'old', insurance: 'A' });
    await practice.pass(MINUTE);
    desk.edit('v1', { status: 'arrived' });
    await practice.pass(MINUTE);
    await phone.post();
    expect(visit({ practice })).toEqual({ ...VISIT, room: 2, status: 'arrived', insurance: 'A' });
    await expectConverged({ practice, phone, desk });
  });

  test('[H1 H2 L8] a GET before it makes no difference to what was queued before', async () => {
    const practice = await Practice.open();
    const desk = await practice.connected('desk');
    desk.write(VISIT);
    await practice.pass(HOUR);
    const phone = practice.app('phone');
    phone.write({ id: 'v1', room: 2, status: 'old', insurance: 'A' });
    await practice.pass(MINUTE);
    desk.edit('v1', { status: 'arrived' });
    await practice.pass(MINUTE);
    await phone.get();
    await phone.post();
    expect(visit({ practice })).toEqual({ ...VISIT, room: 2, status: 'arrived', insurance: 'A' });
    await expectConverged({ practice, phone, desk });
  });

  test('[H2 L8] without timestamps it only adds', async () => {
    const practice = await Practice.open();
    const desk = await practice.connected('desk');
    desk.write(VISIT);
    await practice.pass(HOUR);
    const phone = practice.app('phone', { stamps: 'none' });
    phone.write({ id: 'v1', room: 2, insurance: 'A' });
    await phone.post();
    expect(visit({ practice })).toEqual({ ...VISIT, insurance: 'A' });
    await expectConverged({ practice, phone, desk });
  });

  test('[H2 L5] a clock three days ahead counts as now at most', async () => {
    const all = await scene({ clock: 3 * DAY });
    const { practice, phone, desk } = all;
    phone.edit('v1', { room: 5 });
    await practice.pass(MINUTE);
    desk.edit('v1', { room: 2 });
    await practice.pass(MINUTE);
    await phone.post();
    expect(visit(all)?.room).toBe(2);
    await expectConverged(all);
  });
});

describe('a device that falls back to HTTP and comes back, with one id', () => {
  async function sockets(options: AppOptions = {}): Promise<Scene> {
    const practice = await Practice.open();
    const desk = await practice.connected('desk');
    desk.write(VISIT);
    const phone = await practice.connected('phone', options);
    await practice.catchUp();
    phone.write({ ...VISIT, id: 'other' });
    await practice.catchUp();
    await practice.pass(MINUTE);
    return { practice, phone, desk };
  }

  for (const stamps of ['both', 'none'] as const) {
    test(`[H2 L4 L6] its first POST is compared with what its socket had, timestamps: ${stamps}`, async () => {
      const all = await sockets({ stamps });
      const { practice, phone, desk } = all;
      phone.lose();
      phone.edit('v1', { status: 'arrived' });
      await practice.pass(MINUTE);
      desk.edit('v1', { room: 2 });
      await practice.pass(MINUTE);
      await phone.post();
      expect(visit(all)).toEqual({ ...VISIT, room: 2, status: 'arrived' });
      await expectConverged(all);
    });

    test(`[H1 H2 L4 L6] a GET before it, whose answer its queue knows nothing of, timestamps: ${stamps}`, async () => {
      const all = await sockets({ stamps });
      const { practice, phone, desk } = all;
      phone.lose();
      phone.edit('v1', { status: 'arrived' });
      await practice.pass(MINUTE);
      desk.edit('v1', { room: 2 });
      await practice.pass(MINUTE);
      await phone.get();
      await phone.post();
      expect(visit(all)).toEqual({ ...VISIT, room: 2, status: 'arrived' });
      await expectConverged(all);
    });

    test(`[H1 H2 L4 L5 L6] back on a socket, its queue is older than what it was answered, timestamps: ${stamps}`, async () => {
      const all = await sockets({ stamps });
      const { practice, phone, desk } = all;
      phone.lose();
      await practice.pass(MINUTE);
      desk.edit('v1', { room: 2 });
      await phone.get();
      await phone.get();
      await practice.pass(MINUTE);
      phone.edit('v1', { room: 1, status: 'arrived' });
      await practice.pass(MINUTE);
      desk.edit('v1', { at: '10:00' });
      await practice.pass(MINUTE);
      phone.connect();
      await phone.catchUp();
      await phone.replay();
      await phone.catchUp();
      expect(visit(all)).toMatchObject({ status: 'arrived', at: '10:00' });
      expect(visit(all)?.room, 'it saw room 2 and went back to 1').toBe(1);
      await expectConverged(all);
    });

    test(`[H2 L4 L6] a queue whose POST was answered to nobody is sent again over a socket, timestamps: ${stamps}`, async () => {
      const all = await sockets({ stamps });
      const { practice, phone, desk } = all;
      phone.lose();
      if (stamps !== 'none') phone.edit('v1', { room: 2 });
      await practice.pass(MINUTE);
      phone.edit('v1', { room: 3 });
      await practice.pass(MINUTE);
      await phone.post('is lost');
      await desk.catchUp();
      desk.edit('v1', { room: 4 });
      await practice.pass(MINUTE);
      phone.connect();
      await phone.catchUp();
      await phone.replay();
      await phone.catchUp();
      expect(visit(all)).toEqual({ ...VISIT, room: 4 });
      await expectConverged(all);
    });

    test(`[H1 L4 L6] to and fro, somebody else changing something each time, timestamps: ${stamps}`, async () => {
      const all = await sockets({ stamps });
      const { practice, phone, desk } = all;
      for (let round = 2; round < 6; round++) {
        phone.lose();
        await practice.pass(MINUTE);
        phone.edit('v1', { status: `http ${round}` });
        desk.edit('v1', { room: round });
        await practice.pass(MINUTE);
        await phone.post();
        await desk.catchUp();
        await practice.pass(MINUTE);
        expect(visit(all)).toEqual({
          ...VISIT,
          room: round,
          status: `http ${round}`,
          at: `${9 + round - 2}:00`.padStart(5, '0'),
        });
        phone.edit('v1', { status: `socket ${round}` });
        desk.edit('v1', { at: `${9 + round - 1}:00`.padStart(5, '0') });
        await practice.pass(MINUTE);
        phone.connect();
        await phone.catchUp();
        await phone.replay();
        await practice.catchUp();
        await practice.pass(MINUTE);
        expect(visit(all)).toEqual({
          ...VISIT,
          room: round,
          status: `socket ${round}`,
          at: `${9 + round - 1}:00`.padStart(5, '0'),
        });
      }
      await expectConverged(all);
    });
  }
});
