/** Which of several answers with the same state a device got, nothing tells: the last counts (H1, H2, L4). */
import { describe, expect, test } from 'vitest';
import { type App, MINUTE, SECOND } from '../../../support/json-apps.js';
import { type VisitRead, visitRead } from '../../../support/visit-read.js';

/** The desk has changed the visit since the phone has read it. */
async function scene(): Promise<VisitRead> {
  const all = await visitRead();
  all.desk.edit('v1', { b: 2 });
  await all.practice.pass(SECOND);
  return all;
}

const ASKING = {
  GET: (phone: App, fate: 'arrives' | 'is lost') => phone.get(fate),
  POST: (phone: App, fate: 'arrives' | 'is lost') => phone.post(fate, 'tagged'),
} as const;

test.each(['GET', 'POST'] as const)(
  '[H1 H2 L4 L6] what was made after a lost answer to a %s',
  async (way) => {
    const { practice, phone } = await scene();
    if (way === 'POST') phone.write({ id: 'own', x: 1 });
    await ASKING[way](phone, 'is lost');
    await practice.pass(5 * SECOND);
    const edit = { ...phone.record('v1'), id: 'v1', a: 9 };
    expect(edit).toEqual({ id: 'v1', a: 9, b: 1 });
    const made = practice.now;
    await practice.pass(5 * SECOND);
    await ASKING[way](phone, 'arrives');
    expect(phone.record('v1')).toEqual({ id: 'v1', a: 1, b: 2 });
    await practice.pass(SECOND);
    phone.queue.push({ collection: 'visits', document: edit, madeAt: made });
    await phone.post('arrives', 'tagged');
    expect(practice.record('v1')).toEqual({ id: 'v1', a: 9, b: 2 });
  },
);

test('[H1 L4 L6] what is set back on an answer is taken, however often it is asked for since', async () => {
  const { practice, phone } = await scene();
  await phone.get();
  await practice.pass(5 * SECOND);
  phone.edit('v1', { b: 1 });
  await practice.pass(5 * SECOND);
  expect(await phone.get()).toBe(304);
  await practice.pass(SECOND);
  await phone.post('arrives', 'tagged');
  expect(practice.record('v1')).toEqual({ id: 'v1', a: 1, b: 1 });
});

describe('an acknowledgement counts from when its answer was sent, also after a stop', () => {
  test.each(['GET', 'POST'] as const)('[H1 H2 L4 L6] what is set back on the answer to a %s', async (way) => {
    const { practice, phone } = await scene();
    if (way === 'POST') phone.write({ id: 'own', x: 1 });
    await ASKING[way](phone, 'arrives');
    expect(phone.record('v1')).toEqual({ id: 'v1', a: 1, b: 2 });
    await practice.pass(MINUTE);
    await practice.restart('stopped');
    phone.edit('v1', { b: 1 });
    await practice.pass(5 * MINUTE);
    await phone.post('arrives', 'tagged');
    expect(practice.record('v1')).toEqual({ id: 'v1', a: 1, b: 1 });
  });

  test.each(['stopped', 'killed'] as const)(
    '[H1 L4 L6] not from a first one that was lost before the server was %s',
    async (how) => {
      const { practice, phone } = await scene();
      await phone.get('is lost');
      await practice.pass(MINUTE);
      await practice.restart('stopped');
      phone.edit('v1', { a: 9 });
      const [edit] = phone.queue.splice(0);
      await practice.pass(MINUTE);
      await phone.get();
      await practice.restart(how);
      await practice.pass(MINUTE);
      phone.queue.push(...(edit === undefined ? [] : [edit]));
      await phone.post('arrives', 'tagged');
      expect(practice.record('v1')).toEqual({ id: 'v1', a: 9, b: 2 });
    },
  );
});
