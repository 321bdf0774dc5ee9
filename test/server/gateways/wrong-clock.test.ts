/** What a start with a wrong clock leaves behind: nothing that cannot be put right (P9). */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ServerClock } from '../../../server/clock.js';
import { collectingLog } from '../../../server/log.js';
import { MemoryStore } from '../../../server/store/memory/memory-store.js';
import type { Collections } from '../../../shared/json.js';
import { byId } from '../../support/clinic.js';
import { ServerProcess } from '../../support/server-process.js';
import { HOUR, SetClock, YEAR } from '../../support/set-clock.js';
import { useJson, useServer } from '../../support/use.js';

interface Address {
  readonly url: string;
}

interface Change {
  readonly id: string;
  readonly at: number;
  /** Where it waited in a queue. */
  readonly sentAt?: number;
  readonly device?: string;
  readonly fields?: object;
}

const post = ({ url }: Address, { id, at, sentAt = at, device = 'tablet', fields }: Change) =>
  fetch(`${url}/api/sync/anna`, {
    method: 'POST',
    headers: { 'Device-ID': device },
    body: JSON.stringify({
      changes: [
        {
          type: 'DATA_UPDATE',
          data: { collection: 'notes', document: { id, ...fields }, timestamp: at },
          userId: 'anna',
          deviceId: device,
          timestamp: sentAt,
        },
      ],
    }),
  });

const remove = ({ url }: Address, id: string, at: number) =>
  fetch(`${url}/api/sync/anna`, {
    method: 'POST',
    headers: { 'Device-ID': 'tablet' },
    body: JSON.stringify({
      changes: [
        {
          type: 'DATA_DELETE',
          data: { collection: 'notes', documentId: id, timestamp: at },
          userId: 'anna',
          deviceId: 'tablet',
          timestamp: at,
        },
      ],
    }),
  });

async function notesOf({ url }: Address) {
  const answer = await fetch(`${url}/api/sync/anna`);
  return byId((await answer.json()) as Collections).notes ?? {};
}

async function historyOf({ url }: Address): Promise<readonly { revision: number }[]> {
  const answer = await fetch(`${url}/api/history/anna?limit=500`);
  return ((await answer.json()) as { entries: { revision: number }[] }).entries;
}

/** A clinic whose machine is started and stopped; what it keeps outlives that. */
class Clinic {
  readonly time = new SetClock();
  readonly #contents = new MemoryStore().contents;
  readonly log = collectingLog();

  async start(options: Readonly<Record<string, string>> = {}) {
    const store = new MemoryStore(this.#contents);
    const server = await useServer(options, { store, time: this.time, log: this.log.log });
    const stop = async (): Promise<void> => {
      await server.app.close();
      this.time.passOff(HOUR);
    };
    return { ...server, stop };
  }

  /** One that has run for long. */
  static async old(): Promise<Clinic> {
    const clinic = new Clinic();
    const store = new MemoryStore(clinic.#contents);
    const clock = new ServerClock(clinic.time);
    await clock.open(store);
    for (let hour = 0; hour <= 24; hour++) {
      clinic.time.pass(HOUR);
      clock.now();
    }
    await clock.save(store);
    return clinic;
  }

  get doubts(): number {
    return this.log.events.filter(({ name }) => name === 'clockDoubted').length;
  }
}

describe('[P9] a start with a clock that is a year ahead', () => {
  test('prunes no history, and what was deleted can be brought back; the log says how to go on', async () => {
    const clinic = await Clinic.old();
    let server = await clinic.start();
    for (let i = 0; i < 10; i++) await post(server, { id: 'n1', at: clinic.time.time + i, fields: { i } });
    await remove(server, 'n1', clinic.time.time + 20);
    await server.stop();

    clinic.time.offset = YEAR;
    server = await clinic.start();
    expect(await historyOf(server)).toHaveLength(11);
    await post(server, { id: 'n2', at: clinic.time.now() });
    await server.stop();
    expect(clinic.doubts).toBe(1);
    expect(clinic.log.events.find(({ name }) => name === 'clockDoubted')?.fields).toMatchObject({
      clock: expect.stringMatching(/^2027-11-30T/),
      expected: expect.stringMatching(/^2026-11-30T/),
    });

    clinic.time.offset = 0;
    server = await clinic.start();
    expect(await historyOf(server)).toHaveLength(12);
    const body = JSON.stringify({ collection: 'notes', id: 'n1', revision: 10 });
    const restored = await fetch(`${server.url}/api/history/anna/restore`, { method: 'POST', body });
    expect(restored.status).toBe(200);
    expect((await notesOf(server)).n1).toEqual({ id: 'n1', i: 9 });
    expect(clinic.doubts).toBe(1);
  });

  test('the same where the clock is right, after a year off: it prunes once a person has confirmed', async () => {
    const clinic = await Clinic.old();
    let server = await clinic.start({ HISTORY_DAYS: '90' });
    await post(server, { id: 'n1', at: clinic.time.time });
    await server.stop();
    clinic.time.passOff(YEAR);
    server = await clinic.start();
    expect(await historyOf(server)).toHaveLength(1);
    await server.stop();
    server = await clinic.start({ CONFIRM_CLOCK: new Date(clinic.time.time).toISOString().slice(0, 10) });
    await notesOf(server); // what is too old goes when its user comes
    await expect.poll(() => historyOf(server)).toHaveLength(0);
    expect(await notesOf(server)).toHaveProperty('n1');
  });

  test('what was written then loses against what a device writes later, and wins over what it wrote before', async () => {
    const clinic = await Clinic.old();
    clinic.time.offset = YEAR;
    let server = await clinic.start();
    await post(server, { id: 'n1', at: clinic.time.now(), fields: { v: 'then' } });
    await post(server, { id: 'n2', at: clinic.time.now(), fields: { v: 'then' } });
    await server.stop();
    clinic.time.offset = 0;
    server = await clinic.start();
    const before = clinic.time.time - 10_000;
    clinic.time.pass(1_000);
    await post(server, { id: 'n1', at: clinic.time.time, device: 'new', fields: { v: 'later' } });
    await post(server, {
      id: 'n2',
      at: before,
      sentAt: clinic.time.time,
      device: 'newer',
      fields: { v: 'before' },
    });
    expect(await notesOf(server)).toMatchObject({ n1: { v: 'later' }, n2: { v: 'then' } });
    await server.stop();
    server = await clinic.start();
    clinic.time.pass(1_000);
    await post(server, { id: 'n2', at: clinic.time.time, device: 'newest', fields: { v: 'latest' } });
    expect((await notesOf(server)).n2).toMatchObject({ v: 'latest' });
  });
});

describe('[P9] [P7] an erasure while the clock is wrong', () => {
  test.each([
    ['a year ahead, on a machine that has run for long', YEAR, Clinic.old],
    ['a year ahead, at its first start', YEAR, async () => new Clinic()],
    ['ten years behind', -10 * YEAR, Clinic.old],
  ])('%s: takes place, and shuts out nobody afterwards but what was erased', async (_, offset, open) => {
    const clinic = await open();
    clinic.time.offset = offset;
    let server = await clinic.start();
    const written = clinic.time.time;
    await post(server, { id: 'n1', at: written, device: 'old' });
    expect((await fetch(`${server.url}/api/users/anna`, { method: 'DELETE' })).status).toBe(204);
    clinic.time.pass(HOUR);
    await server.stop();
    clinic.time.offset = 0;
    server = await clinic.start();
    clinic.time.pass(HOUR);
    const fresh = await post(server, { id: 'n2', at: clinic.time.time, device: 'new' });
    expect(fresh.status).toBe(200);
    const old = await post(server, { id: 'n1', at: written, device: 'old' });
    expect(old.status).toBe(410);
    const reader = await useJson(server, 'anna', 'old'); // it has cleared once it has read what is there now
    await reader.close();
    clinic.time.pass(HOUR);
    expect((await post(server, { id: 'n3', at: clinic.time.time, device: 'old' })).status).toBe(200);
    expect(Object.keys(await notesOf(server)).sort()).toEqual(['n2', 'n3']);
  });
});

test('[P9] a process that was started once with a clock a year ahead: history and erasure', async () => {
  const nodeOptions = ['--import', './test/support/clock-shim.mjs'];
  const folder = await mkdtemp(join(tmpdir(), 'clock-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const start = async (ahead: number): Promise<ServerProcess> => {
    const options = { DATA_DIR: folder, IDLE_TIMEOUT: '1s', CLOCK_AHEAD: `${ahead}` };
    const server = await ServerProcess.start(options, { nodeOptions });
    onTestFinished(() => server.dispose());
    return server;
  };
  let server = await start(0);
  for (let i = 0; i < 5; i++) await post(server, { id: 'n1', at: Date.now(), fields: { i } });
  await server.stop();
  server = await start(YEAR);
  await post(server, { id: 'n2', at: Date.now() + YEAR });
  await server.stop();
  server = await start(0);
  expect(await historyOf(server)).toHaveLength(6);
  await server.stop();
  server = await start(YEAR);
  expect((await fetch(`${server.url}/api/users/anna`, { method: 'DELETE' })).status).toBe(204);
  await server.stop();
  server = await start(0);
  expect((await post(server, { id: 'n3', at: Date.now(), device: 'new' })).status).toBe(200);
  expect(Object.keys(await notesOf(server))).toEqual(['n3']);
});
