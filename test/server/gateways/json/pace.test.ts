/** Messages to a JSON device whose app handles them concurrently are paced (L3, L4). */
import { describe, expect, test } from 'vitest';
import { GAP, LATER, Line, scene } from '../../../support/devices/paced-lines.js';

describe('messages of one collection', () => {
  test('[L4] a lone one goes out at once, and needs no timer', async () => {
    const { clock, desk, phone, pass } = await scene();
    desk.write({ id: 'r', i: 1 });
    await pass(0);
    expect(phone.news()).toEqual(['r 1']);
    expect(clock.timers).toBe(0);
  });

  test('[L4] the next one goes out after the pong, and the gap', async () => {
    const { desk, phone, pass } = await scene();
    phone.answersPings = false;
    desk.write({ id: 'r', i: 1 });
    desk.write({ id: 's', i: 2 });
    await pass(1_000);
    expect(phone.news()).toEqual(['r 1']);
    phone.pong();
    await pass(GAP - 1);
    expect(phone.news()).toEqual([]);
    await pass(1);
    expect(phone.news()).toEqual(['s 2']);
  });

  test('[L3] what waits is combined: the last state of each record arrives', async () => {
    const { desk, phone, pass } = await scene();
    for (let i = 1; i <= 100; i++) desk.write({ id: i % 2 === 0 ? 'r' : 's', i });
    await pass(3 * GAP);
    expect(phone.news()).toEqual(['s 1', 'r 100', 's 99']);
  });

  test('[L3 L4] what may have been lost is sent once more, when it is quiet', async () => {
    const { clock, desk, phone, pass } = await scene();
    desk.write({ id: 'r', i: 1 });
    desk.write({ id: 's', i: 2 });
    await pass(LATER);
    expect(phone.news()).toEqual(['r 1', 's 2', 'r 1', 's 2']);
    expect(clock.timers).toBe(0);
  });

  test('[L4] those of another collection don’t wait for them', async () => {
    const { desk, phone, pass } = await scene();
    phone.answersPings = false;
    desk.write({ id: 'r', i: 1 });
    desk.write({ id: 's', i: 2 }, {}, 'visits');
    await pass(0);
    expect(phone.news()).toEqual(['r 1', 's 2']);
  });

  test('[L4 L11] answers don’t wait for them', async () => {
    const { desk, phone, pass } = await scene();
    phone.answersPings = false;
    desk.write({ id: 'r', i: 1 });
    desk.write({ id: 's', i: 2 });
    phone.write({ id: 'q', i: 3 }, { ack: 'mine' });
    phone.say({ type: 'NONSENSE' });
    await pass(0);
    expect(phone.news()).toEqual(['ERROR', 'r 1', 'ACK mine']);
  });

  test('[L4] a device that answers no pings gets them all the same, late', async () => {
    const { desk, phone, pass } = await scene();
    phone.answersPings = false;
    for (const id of ['r', 's', 't']) desk.write({ id, i: 1 });
    phone.requestSync();
    await pass(90_000);
    expect(phone.news()).toContain('FULL_SYNC');
  });

  test('[S L4] what waits for them counts as waiting for a slow reader', async () => {
    const { desk, phone, pass } = await scene({ mostBytes: 3_500 });
    phone.answersPings = false;
    for (let i = 0; i < 4; i++) desk.write({ id: `r${i}`, text: 'x'.repeat(900) });
    await pass(0);
    expect(phone.closed).toBeNull();
    desk.write({ id: 'last', text: 'x'.repeat(900) });
    await pass(0);
    expect(phone.closed?.code).toBe('OVERLOADED');
  });

  test('[L4] JSON_PACE=0: all at once', async () => {
    const { desk, phone, pass } = await scene({ gap: 0 });
    phone.answersPings = false;
    for (let i = 1; i <= 3; i++) desk.write({ id: 'r', i });
    await pass(0);
    expect(phone.news()).toEqual(['r 1', 'r 2', 'r 3']);
  });
});

describe('a full sync', () => {
  test('[L1 L4] waits for what is under way, and shows what waits', async () => {
    const { desk, phone, pass } = await scene();
    phone.answersPings = false;
    desk.write({ id: 'r', i: 1 });
    desk.write({ id: 's', i: 2 });
    await pass(0);
    phone.requestSync();
    await pass(1_000);
    expect(phone.news()).toEqual(['r 1']);
    phone.answersPings = true;
    phone.pong();
    await pass(249);
    expect(phone.news()).toEqual([]);
    await pass(1);
    expect(phone.news()).toEqual(['FULL_SYNC']);
    desk.write({ id: 't', i: 3 });
    await pass(249);
    expect(phone.news()).toEqual([]);
    await pass(1);
    expect(phone.news()).toEqual(['t 3']);
  });
});

describe('an app that keeps only one of two messages in quick succession', () => {
  test.each([
    ['both are in doubt', ['r', 's']],
    ['in the other order', ['s', 'r']],
  ])('[L4 L6] does not undo the change that it lost, 5 s later: %s', async (_, order) => {
    const { document, desk, phone, pass } = await scene();
    for (const id of ['r', 's']) desk.write({ id, i: 0, note: '' });
    await pass(LATER);
    phone.write({ id: 'known', i: 0, note: '', mine: 0 });
    await pass(LATER);
    for (const id of order) desk.write({ id, i: 1, note: '' });
    await pass(2 * GAP);
    for (const id of ['r', 's']) {
      phone.write({ id, i: 0, note: '', mine: 1 });
      await pass(0);
    }
    const records = document.collections().notes ?? [];
    expect(records.filter(({ id }) => id !== 'known')).toEqual([
      { id: 'r', i: 1, note: '', mine: 1 },
      { id: 's', i: 1, note: '', mine: 1 },
    ]);
  });

  test.each([
    ['over the same connection', false],
    ['from a queue', true],
  ])('[L4 L5 L6] nor long after, where nothing could be sent once more (%s)', async (_, isQueued) => {
    const { clock, document, desk, phone, pass } = await scene();
    desk.write({ id: 'r', i: 0 });
    phone.write({ id: 'known', i: 0, mine: 0 });
    await pass(LATER);
    desk.write({ id: 'r', i: 1 });
    await pass(0);
    // Too large to be kept for a second time.
    desk.write({ id: 'big', text: 'x'.repeat(50_000) });
    await pass(2 * GAP);
    let line = phone;
    const madeAt = clock.now + 60_000;
    if (isQueued) {
      await pass(LATER - 2 * GAP - 4_800);
      phone.session.leave();
      await pass(120_000);
      line = new Line(document, clock, 'phone');
      await pass(0);
    } else phone.answersPings = false;
    const data = { collection: 'notes', document: { id: 'r', i: 0, mine: 1 }, timestamp: madeAt };
    await pass(isQueued ? 0 : 2_000);
    if (isQueued) line.say({ type: 'DATA_UPDATE', data, timestamp: clock.now });
    else line.write({ id: 'r', i: 0, mine: 1 });
    await pass(0);
    expect(document.collections().notes?.find(({ id }) => id === 'r')).toEqual({ id: 'r', i: 1, mine: 1 });
  });

  test('[L4 L6] what was sent once more, and read, is not in doubt: back to the old value counts', async () => {
    const { document, desk, phone, pass } = await scene();
    for (const id of ['r', 's']) desk.write({ id, i: 0 });
    await pass(LATER);
    for (const id of ['r', 's']) desk.write({ id, i: 1 });
    await pass(LATER);
    phone.write({ id: 'r', i: 0 });
    await pass(0);
    expect(document.collections().notes?.find(({ id }) => id === 'r')).toEqual({ id: 'r', i: 0 });
  });

  test('[L4 L6] nor does it bring back what the device wrote over an earlier connection', async () => {
    const { clock, document, desk, phone, pass } = await scene();
    phone.write({ id: 'r', i: 0 });
    await pass(1_000);
    phone.session.leave(); // before it is certain that its app has read all that came
    desk.write({ id: 'r', i: 1 });
    await pass(LATER);
    const again = new Line(document, clock, 'phone');
    await pass(60_000);
    desk.write({ id: 'r', i: 2 });
    await pass(100);
    desk.write({ id: 's', i: 0 });
    await pass(100);
    again.write({ id: 'r', i: 0 });
    await pass(0);
    expect(document.collections().notes?.find(({ id }) => id === 'r')).toEqual({ id: 'r', i: 0 });
  });

  test('[L4 L6] but what it sent there in vain may be in its copy still, and undoes no change of others', async () => {
    const { clock, document, desk, phone, pass } = await scene();
    desk.write({ id: 'r', a: 1, b: 1 });
    await pass(60_000);
    desk.write({ id: 'r', a: 2, b: 1 });
    await pass(100);
    phone.write({ id: 'r', a: 1, b: 1 });
    await pass(100);
    phone.session.leave();
    await pass(LATER);
    const again = new Line(document, clock, 'phone');
    await pass(100);
    again.write({ id: 's', i: 0 }); // over the full sync, which its app had not stored yet
    await pass(3_000);
    again.write({ id: 'r', a: 1, b: 6 });
    await pass(0);
    expect(document.collections().notes?.find(({ id }) => id === 'r')).toEqual({ id: 'r', a: 2, b: 6 });
  });

  test('[L5 L6] what it sent again in vain may be in its copy still, though the full sync behind it was read', async () => {
    const { clock, document, desk, phone, pass } = await scene();
    desk.write({ id: 'r', a: 1, b: 1 });
    await pass(60_000);
    const first = { collection: 'notes', document: { id: 'r', a: 1, b: 2 }, timestamp: clock.now };
    phone.write(first.document); // whose acknowledgement is lost with the connection
    await pass(100);
    phone.session.leave();
    desk.write({ id: 'r', a: 2, b: 2 });
    await pass(1_000);
    const again = new Line(document, clock, 'phone');
    await pass(0);
    again.say({ type: 'DATA_UPDATE', data: first, timestamp: clock.now, ack: 'first' });
    await pass(100);
    expect(again.news()).toContain('ACK first');
    again.session.leave(); // before what corrects it
    await pass(3_000);
    const data = { collection: 'notes', document: { id: 'r', a: 1, b: 3 }, timestamp: clock.now };
    await pass(400);
    const third = new Line(document, clock, 'phone');
    await pass(0);
    third.say({ type: 'DATA_UPDATE', data, timestamp: clock.now });
    await pass(0);
    expect(document.collections().notes?.find(({ id }) => id === 'r')).toEqual({ id: 'r', a: 2, b: 3 });
  });

  test('[L4 L6] nor does it undo what it lost while it was writing another record itself', async () => {
    const { document, desk, phone, pass } = await scene();
    for (const id of ['r', 's']) desk.write({ id, i: 0 });
    phone.write({ id: 'known', i: 0, mine: 0 });
    await pass(LATER);
    desk.write({ id: 'r', i: 1 });
    await pass(10);
    phone.write({ id: 's', i: 0, mine: 1 });
    phone.answersPings = false;
    await pass(LATER);
    phone.write({ id: 'r', i: 0, mine: 1 });
    await pass(0);
    expect(document.collections().notes?.find(({ id }) => id === 'r')).toEqual({ id: 'r', i: 1, mine: 1 });
  });
});

/** It may be read only after that, and take it out of the device's copy. */
describe('a full sync that was asked for just before a write', () => {
  const CASES = [
    ['of which it could be sent once more', GAP, ''],
    ['with JSON_PACE=0', 0, ''],
    ['of a record that is too large to be kept for a second time', GAP, 'x'.repeat(2 ** 20)],
  ] as const;

  async function written(gap: number, text: string) {
    const all = await scene({ gap, mostBytes: 1e8 });
    const { desk, phone, pass } = all;
    desk.write({ id: 'r', i: 0, b: 0, text });
    await pass(LATER);
    phone.write({ id: 'known', i: 0, b: 0, mine: 0 });
    await pass(LATER);
    phone.requestSync();
    await pass(1_000);
    phone.write({ id: 'r', i: 1, b: 0, text });
    await pass(0);
    const record = () => all.document.collections().notes?.find(({ id }) => id === 'r');
    expect(record()).toMatchObject({ i: 1 });
    return { ...all, record };
  }

  test.each(CASES)('[L4 L6] takes nothing back: %s', async (_, gap, text) => {
    const { phone, pass, record } = await written(gap, text);
    await pass(500);
    phone.write({ id: 'r', i: 0, b: 0, text, mine: 1 });
    await pass(0);
    expect(record()).toMatchObject({ i: 1, mine: 1 });
  });

  test.each(CASES)('[L3 L4 L6] nor is a change back lost, later on: %s', async (_, gap, text) => {
    const { phone, pass, record } = await written(gap, text);
    await pass(LATER);
    phone.write({ id: 'r', i: 0, b: 0, text });
    await pass(0);
    expect(record()).toMatchObject({ i: 0 });
  });

  test.each(CASES)('[L3 L4 L5 L6] nor one that was made offline: %s', async (_, gap, text) => {
    const { clock, document, desk, phone, pass, record } = await written(gap, text);
    await pass(LATER);
    phone.session.leave();
    await pass(LATER);
    const madeAt = clock.now;
    desk.write({ id: 'r', i: 1, b: 1, text });
    await pass(60_000);
    const anew = new Line(document, clock, 'phone', { gap, mostBytes: 1e8 });
    await pass(0);
    const data = { collection: 'notes', document: { id: 'r', i: 0, b: 0, text }, timestamp: madeAt };
    anew.say({ type: 'DATA_UPDATE', data, timestamp: clock.now });
    await pass(0);
    expect(record()).toMatchObject({ i: 0, b: 1 });
  });
});
