/** What a device over HTTP was sent is known as before when its document was let go meanwhile (H1, H2, L4). */
import { afterEach, describe, expect, test, vi } from 'vitest';
import { RecordTexts } from '../../../../server/documents/records/record-texts.js';
import { FollowedDocument } from '../../../../server/documents/sleep/followed-document.js';
import { UserDocument } from '../../../../server/documents/user-document.js';
import { MemoryStore } from '../../../../server/store/memory/memory-store.js';
import type { JsonRecord } from '../../../../shared/json.js';
import { HttpDevice } from '../../../support/devices/json-http.js';
import { type Change, messageOf } from '../../../support/devices/json-words.js';
import { MINUTE, SECOND } from '../../../support/json-apps.js';
import { ObservedStore } from '../../../support/observed-store.js';
import { SetClock } from '../../../support/set-clock.js';
import { useServer } from '../../../support/use.js';
import { type VisitRead, visitRead } from '../../../support/visit-read.js';
import { PATIENCE } from '../../../support/wait.js';

afterEach(() => {
  vi.restoreAllMocks();
});

const TAGS = ['tagged', 'untagged'] as const;

/** The phone has read the record `r`, and its clock is known. */
async function scene(idleTimeout: string) {
  const clock = new SetClock();
  const store = new ObservedStore(new MemoryStore());
  const server = await useServer({ IDLE_TIMEOUT: idleTimeout }, { store, time: clock });
  const [desk, phone] = [
    new HttpDevice(server.url, 'anna', 'desk'),
    new HttpDevice(server.url, 'anna', 'phone'),
  ];
  const change = (what: Omit<Change, 'collection' | 'madeAt'>) =>
    messageOf({ collection: 'notes', ...what, madeAt: clock.time }, 'both', clock.time);
  const note = (document: JsonRecord) => change({ document });
  const pass = async (): Promise<void> => {
    clock.pass(MINUTE);
    if (idleTimeout === '1ms') await store.until(() => store.forgotten.length === store.loads.length);
  };
  await desk.post([note({ id: 'r', a: 1, b: 1 })]);
  await phone.get();
  clock.pass(SECOND);
  await phone.post([note({ id: 'own', x: 0 })]);
  await pass();
  /** For the phone, without a tag. */
  const ask = () => new HttpDevice(server.url, 'anna', 'phone').get();
  return { store, desk, phone, ask, change, note, pass };
}

describe.each(['1h', '1ms'])('a document that nobody uses stays for %s', (idleTimeout) => {
  test.each(TAGS)('[H2 L4 L6] a later edit of others stays, %s', async (tag) => {
    const { desk, phone, note, pass } = await scene(idleTimeout);
    const mine = note({ id: 'r', a: 9, b: 1 });
    await pass();
    await desk.post([note({ id: 'r', a: 2, b: 1 })]);
    await pass();
    await phone.post([mine], { tag });
    expect(phone.record('notes', 'r')).toEqual({ id: 'r', a: 2, b: 1 });
  });

  test.each(TAGS)('[H1 H2 L4 L6] the same, after the phone has asked for what is new, %s', async (tag) => {
    const { desk, phone, note, pass } = await scene(idleTimeout);
    await desk.post([note({ id: 'r', a: 1, b: 2 })]);
    await pass();
    expect(await phone.get()).toBe(200);
    await pass();
    const mine = note({ id: 'r', a: 9, b: 2 });
    await pass();
    await desk.post([note({ id: 'r', a: 2, b: 2 })]);
    await pass();
    await phone.post([mine], { tag });
    expect(phone.record('notes', 'r')).toEqual({ id: 'r', a: 2, b: 2 });
  });

  test.each(TAGS)('[H2 L4 L9] a record that others made anew stays, %s', async (tag) => {
    const { desk, phone, change, note, pass } = await scene(idleTimeout);
    const mine = change({ documentId: 'r' });
    await pass();
    await desk.post([change({ documentId: 'r' })]);
    await pass();
    await desk.post([note({ id: 'r', a: 5, b: 5 })]);
    await pass();
    await phone.post([mine], { tag });
    expect(phone.record('notes', 'r')).toEqual({ id: 'r', a: 5, b: 5 });
  });
});

/** Stands in for the writing of a large document's records in steps, between which others need the memory. */
function letGoWhileAnswering(): void {
  const needs = vi.spyOn(FollowedDocument.prototype, 'needs');
  vi.spyOn(UserDocument.prototype, 'writeRecords').mockImplementationOnce(async () => {
    const followed = needs.mock.contexts.at(-1) as FollowedDocument;
    await vi.waitUntil(() => followed.sleepNow(), { interval: 1, timeout: PATIENCE });
    return new RecordTexts();
  });
}

test.each(TAGS)(
  '[H1 H2 L4 L6] what is known of a device stays where its document is let go while it is answered, %s',
  async (tag) => {
    const { desk, phone, ask, note, pass } = await scene('1h');
    await pass();
    await desk.post([note({ id: 'r', a: 1, b: 2 })]);
    await pass();
    const mine = note({ id: 'r', a: 9, b: 1 });
    await pass();
    letGoWhileAnswering();
    expect(await ask()).toBe(200);
    await pass();
    await phone.post([mine], { tag });
    expect(phone.record('notes', 'r')).toEqual({ id: 'r', a: 9, b: 2 });
  },
);

test('[H1 L4] a GET that shows nothing new saves nothing, whether the document sleeps or not', async () => {
  for (const idleTimeout of ['1h', '1ms']) {
    const { store, phone, pass } = await scene(idleTimeout);
    expect(await phone.get()).toBe(304);
    await pass();
    expect(await phone.get()).toBe(304);
    const { commits, deviceSaves } = store;
    for (let count = 0; count < 3; count++) expect(await phone.get()).toBe(304);
    expect([store.commits, store.deviceSaves]).toEqual([commits, deviceSaves]);
  }
});

test('[H1 L4] a device that names no tag, and asks again and again, saves nothing of that either', async () => {
  const { store, desk, note, ask, pass } = await scene('1ms');
  await desk.post([note({ id: 'r', a: 1, b: 2 })]);
  for (let count = 0; count < 3; count++) {
    await pass();
    await ask();
  }
  const { commits, deviceSaves } = store;
  for (let count = 0; count < 4; count++) expect(await ask()).toBe(200);
  expect([store.commits, store.deviceSaves]).toEqual([commits, deviceSaves]);
});

async function makeAnew({ practice, desk }: VisitRead): Promise<void> {
  await desk.catchUp();
  desk.remove('v1');
  await practice.pass(MINUTE);
  desk.write({ id: 'v1', a: 5, b: 5 });
  await practice.pass(MINUTE);
}

describe.each(['stopped', 'killed'] as const)('the server was %s', (how) => {
  test.each(TAGS)('[H2 L4 L6] a later edit of others stays, %s', async (tag) => {
    const { practice, desk, phone } = await visitRead();
    phone.edit('v1', { a: 9 });
    await practice.pass(MINUTE);
    desk.edit('v1', { a: 2 });
    await practice.pass(MINUTE);
    await practice.restart(how);
    await phone.post('arrives', tag);
    expect(practice.record('v1')).toEqual({ id: 'v1', a: 2, b: 1 });
  });

  test.each(TAGS)('[H2 L4 L9] a record that others made anew stays, %s', async (tag) => {
    const all = await visitRead();
    all.phone.remove('v1');
    await all.practice.pass(MINUTE);
    await makeAnew(all);
    await all.practice.restart(how);
    await all.phone.post('arrives', tag);
    expect(all.practice.record('v1')).toEqual({ id: 'v1', a: 5, b: 5 });
  });

  test.each(TAGS)(
    '[H1 H2 L4 L9] as soon as the answer had left: what it showed is known, %s',
    async (tag) => {
      const all = await visitRead();
      await makeAnew(all);
      await all.practice.restart('stopped');
      await all.phone.get();
      await all.practice.restart(how);
      await all.practice.pass(MINUTE);
      all.phone.remove('v1');
      await all.phone.post('arrives', tag);
      expect(all.practice.record('v1')).toBe(null);
    },
  );
});

describe('after a kill, what is written later was not sent', () => {
  /** Over HTTP, or over a WebSocket, the phone is told of the visit, and the server is killed. */
  async function killed(how: 'an answer' | 'a WebSocket'): Promise<VisitRead> {
    const all = await visitRead();
    const { practice, phone, desk } = all;
    desk.edit('v1', { b: 2 });
    await practice.pass(MINUTE);
    if (how === 'an answer') await phone.get();
    else {
      phone.connect();
      await phone.catchUp();
      await practice.pass(MINUTE);
    }
    await practice.restart('killed');
    phone.lose(false);
    await practice.pass(MINUTE);
    phone.edit('v1', { a: 9 });
    await practice.pass(MINUTE);
    const again = await practice.connected('desk');
    again.edit('v1', { a: 2 });
    await practice.pass(MINUTE);
    await practice.restart('stopped');
    return all;
  }

  test.each(['an answer', 'a WebSocket'] as const)('[H2 L4 L6] %s, then a stop', async (how) => {
    const { practice, phone } = await killed(how);
    await phone.post();
    expect(practice.record('v1')).toEqual({ id: 'v1', a: 2, b: 2 });
  });
});
