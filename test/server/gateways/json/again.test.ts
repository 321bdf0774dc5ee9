/** What is sent once more to an app that writes something whenever it is sent something (L4). */
import { describe, expect, test } from 'vitest';
import type { JsonRecord } from '../../../../shared/json.js';
import type { DeviceId } from '../../../../shared/names.js';
import { GAP, type Line, type Sent, scene } from '../../../support/devices/paced-lines.js';

const HOUR = 3_600_000;

type Scene = Awaited<ReturnType<typeof scene>>;
type App = (phone: Line, message: Sent, now: number) => void;

/** What such apps do with a message. */
const notesWhenSynced: App = (phone, { type }, now) => {
  if (type === 'FULL_SYNC') phone.write({ id: 'synced', at: now });
};
const stampsWhatItGets: App = (phone, { type, data }, now) => {
  if (type === 'DATA_UPDATE') phone.write({ ...data.document, readAt: now });
};
const countsWhatItGets: App = (phone, { type, data }, now) => {
  if (type === 'DATA_UPDATE' && data.document.id !== 'count') phone.write({ id: 'count', at: now });
};

/** Its answer shows nothing of what it writes meanwhile. */
const fetchesAndStamps = (all: Pick<Scene, 'document' | 'clock'>): App => {
  const origin = { via: 'http', device: 'phone' as DeviceId, actor: null, subscriber: null } as const;
  return (phone, message, now) => {
    const { revision, devices } = all.document;
    stampsWhatItGets(phone, message, now);
    if (message.type === 'DATA_UPDATE')
      devices.overHttp(origin, now).shown(
        revision,
        () => now,
        (task) => task(),
      );
  };
};

const asksForAll = ({ phone }: { phone: Line }) => phone.requestSync();
const deskEdits = ({ desk }: { desk: Line }) => desk.write({ id: 'r', i: 1 });

async function met(gap = GAP) {
  const all = await scene({ gap });
  const { document, clock, desk, phone, pass } = all;
  desk.write({ id: 'r', i: 0 });
  phone.write({ id: 'synced', at: 0, readAt: 0 });
  await pass(60_000);
  phone.news();
  const record = (): JsonRecord | undefined => document.collections().notes?.find(({ id }) => id === 'r');
  const run = (app: App) => {
    phone.app = (message) => app(phone, message, clock.now);
  };
  const stop = () => {
    phone.app = null;
  };
  /** After how many seconds the phone was sent this. */
  const times = (name: string): number[] => {
    const since = clock.now;
    const at: number[] = [];
    const { app } = phone;
    phone.app = (message) => {
      if (message.type === name || message.data?.document?.id === name)
        at.push(Math.floor((clock.now - since) / 1_000));
      app?.(message);
    };
    return at;
  };
  return { ...all, record, run, stop, times };
}

describe('an app that writes whenever it is sent something', () => {
  const APPS = [
    ['notes when it synced', notesWhenSynced, asksForAll, 'FULL_SYNC', [0, 5, 15, 35, 75]],
    ['stamps what it gets', stampsWhatItGets, deskEdits, 'r', [0, 0, 5, 15, 35, 75]],
    ['counts what it gets', countsWhatItGets, deskEdits, 'r', [0, 0, 5, 15, 35, 75]],
  ] as const;

  test.each(APPS)('[L4] gets the same more and more rarely: it %s', async (_, app, begin, name, expected) => {
    const all = await met();
    all.run(app);
    const times = all.times(name);
    begin(all);
    await all.pass(120_000);
    expect(times).toEqual(expected);
    await all.pass(3 * HOUR);
    expect(times.slice(-2).map((time, index, two) => time - (two[index - 1] ?? time))).toEqual([0, 3_600]);
    expect(times).toHaveLength(expected.length + 7);
  });

  test.each([GAP, 0])('[H1 L4] so does one that asks over HTTP first, JSON_PACE=%i', async (gap) => {
    const all = await met(gap);
    all.run(fetchesAndStamps(all));
    const times = all.times('r');
    deskEdits(all);
    await all.pass(120_000);
    expect(times).toEqual([0, 0, 5, 15, 35, 75]);
  });

  test.each(APPS)('[L4] JSON_PACE=0: gets it once: it %s', async (_, app, begin, name) => {
    const all = await met(0);
    all.run(app);
    const times = all.times(name);
    begin(all);
    await all.pass(120_000);
    expect(times).toEqual([0]);
  });

  test('[L3 L4] gets at once what somebody else changes meanwhile, and soon once more', async () => {
    const { desk, run, times, pass } = await met();
    run(stampsWhatItGets);
    desk.write({ id: 'r', i: 1 });
    await pass(600_000);
    const anew = times('r');
    desk.write({ id: 'r', i: 2 });
    await pass(10_000);
    expect(anew).toEqual([0, 0, 5]);
  });

  test('[L4] holds nothing up while the next one waits', async () => {
    const { clock, document, desk, phone, run, pass } = await met();
    run(stampsWhatItGets);
    desk.write({ id: 'r', i: 1 });
    await pass(600_000);
    expect(phone.session.sentRevision).toBe(document.revision);
    expect(clock.timers).toBe(1);
    phone.session.leave();
    expect(clock.timers).toBe(0);
  });

  const LOST = [
    ['a record', countsWhatItGets, () => {}],
    ['a full sync', notesWhenSynced, asksForAll],
  ] as const;

  test.each(LOST)(
    '[L4 L6] is in doubt about what it may have lost until it reads that, and then no longer: %s',
    async (_, app, begin) => {
      const { desk, phone, run, stop, pass, record } = await met();
      run(app);
      desk.write({ id: 'r', i: 1 });
      begin({ phone });
      await pass(100_000);
      phone.write({ id: 'r', i: 0, mine: 1 });
      await pass(0);
      expect(record()).toEqual({ id: 'r', i: 1, mine: 1 });
      stop();
      await pass(120_000);
      phone.write({ id: 'r', i: 0, mine: 1 });
      await pass(0);
      expect(record()).toEqual({ id: 'r', i: 0, mine: 1 });
    },
  );

  test('[L4 L6] nor is it in doubt for good about what it wrote meanwhile itself', async () => {
    const { desk, phone, run, stop, pass, record } = await met();
    run(countsWhatItGets);
    desk.write({ id: 'r', i: 1 });
    await pass(100_000);
    phone.write({ id: 'r', i: 2 });
    stop();
    await pass(120_000);
    phone.write({ id: 'r', i: 1 });
    await pass(0);
    expect(record()).toEqual({ id: 'r', i: 1 });
  });

  test('[L4] a full sync that waits lets the user write first', async () => {
    const { phone, run, times, pass } = await met();
    run(notesWhenSynced);
    const all = times('FULL_SYNC');
    phone.requestSync();
    await pass(32_000);
    phone.write({ id: 'other', i: 1 });
    await pass(6_000);
    expect(all).toEqual([0, 5, 15, 37]);
  });
});

/** Nobody adds anything any more, so that it has to end. */
describe('two devices that save again what they are sent', () => {
  interface Saving {
    readonly gap: number;
    /** Each adds one of its own. */
    readonly marks: boolean;
    /** They give the time of an hour ago, always the same. */
    readonly isOld: boolean;
  }
  const CASES: Saving[] = [GAP, 0].flatMap((gap) =>
    [false, true].flatMap((marks) => [false, true].map((isOld) => ({ gap, marks, isOld }))),
  );

  test.each(CASES)('[L3 L4] come to an end: %o', async ({ gap, marks, isOld }) => {
    const { clock, desk, phone, pass } = await met(gap);
    const old = clock.now - HOUR;
    let saved = 0;
    const saves = (line: Line, name: string) => {
      line.app = ({ type, data }) => {
        if (type !== 'DATA_UPDATE') return;
        const document = { ...data.document, ...(marks ? { [name]: true } : {}) };
        const [timestamp, madeAt] = [clock.now, isOld ? old : clock.now];
        line.say({ type, data: { collection: 'notes', document, timestamp: madeAt }, timestamp });
        saved++;
      };
    };
    saves(phone, 'phone');
    saves(desk, 'desk');
    desk.write({ id: 'r', i: 1 });
    await pass(120_000);
    expect(saved).toBeLessThan(20);
  });
});
