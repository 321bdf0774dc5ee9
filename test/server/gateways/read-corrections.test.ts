/**
 * A write that was corrected is a version that its device may be looking at until the correction was read, whichever
 * way the write came (L4, H2). Set back later, what others had changed counts as the user's own change.
 */
import { expect, test } from 'vitest';
import { type App, MINUTE, Practice, SECOND } from '../../support/json-apps.js';

const IDS = ['v1', 'v2'];
const visit = (id: string, a: number, b: number) => ({ id, a, b });

const WAYS = ['over HTTP', 'over HTTP with a tag', 'over the WebSocket'] as const;
const STAMPS = ['none', 'both'] as const;
const CASES = WAYS.flatMap((way) => STAMPS.map((stamps) => ({ way, stamps })));

interface Scene {
  readonly practice: Practice;
  readonly phone: App;
  readonly newPhone: () => App;
  /** Time goes by over a connection that the phone is heard on. */
  readonly minutes: (phone: App) => Promise<void>;
}

/** The phone sets `a` in two visits, not knowing that the desk has set `b`; both are corrected. */
async function corrected({ way, stamps }: (typeof CASES)[number], answersPings: boolean): Promise<Scene> {
  const practice = await Practice.open();
  const newPhone = () => practice.app('phone', { stamps });
  const desk = await practice.connected('desk');
  const minutes = async (phone: App) => {
    for (let count = 0; count < 6; count++) {
      desk.write({ id: 'other', count });
      await phone.catchUp();
      await practice.pass(20 * SECOND);
    }
  };
  for (const id of IDS) desk.write(visit(id, 0, 0));
  const before = await practice.connected('phone', { stamps });
  await minutes(before);
  before.lose();
  const [phone, http] = [newPhone(), newPhone()];
  if (way === 'over HTTP with a tag') await http.get();
  phone.connect();
  await phone.catchUp();
  for (const id of IDS) http.write(visit(id, 1, 0));
  await practice.pass(SECOND);
  for (const id of IDS) desk.write(visit(id, 0, 1));
  await practice.settle();
  if (way !== 'over the WebSocket') await phone.catchUp();
  await practice.pass(3 * SECOND);
  phone.answersPings = answersPings;
  if (way === 'over the WebSocket') for (const id of IDS) phone.write(visit(id, 1, 0));
  else await http.post('arrives', way === 'over HTTP' ? 'untagged' : 'tagged');
  await practice.settle();
  expect(IDS.map((id) => practice.record(id))).toEqual(IDS.map((id) => visit(id, 1, 1)));
  return { practice, phone, newPhone, minutes };
}

/** The phone sends from its queue that `b` is 0; returns what `b` is then. */
async function setBack({ practice, newPhone }: Scene): Promise<unknown[]> {
  await practice.pass(MINUTE);
  const phone = newPhone();
  for (const id of IDS) phone.write(visit(id, 1, 0));
  await practice.pass(MINUTE);
  phone.connect();
  await phone.replay();
  await practice.settle();
  return IDS.map((id) => practice.record(id)?.b);
}

test.each(CASES)('[H2 L4 L5] what corrected a write $way was read, timestamps: $stamps', async (each) => {
  const scene = await corrected(each, true);
  await scene.minutes(scene.phone);
  scene.phone.lose();
  expect(await setBack(scene)).toEqual([0, 0]);
});

test.each(CASES)('[H2 L4 L5] … and a newer WebSocket followed, $way, timestamps: $stamps', async (each) => {
  const scene = await corrected(each, true);
  await scene.minutes(scene.phone);
  const notice = scene.phone.abandon();
  const newer = scene.newPhone();
  newer.connect();
  await newer.catchUp();
  notice();
  newer.lose();
  expect(await setBack(scene)).toEqual([0, 0]);
});

/** Over a newer WebSocket, which takes the place of the first one and goes on for minutes, or is a short one. */
async function overNewer(scene: Scene, length: 'minutes' | 'short'): Promise<void> {
  const { practice, phone, newPhone, minutes } = scene;
  await practice.pass(SECOND);
  const notice = phone.abandon();
  const newer = newPhone();
  newer.connect();
  await newer.catchUp();
  if (length === 'minutes') await minutes(newer);
  else await practice.pass(5 * SECOND);
  notice();
  newer.lose();
}

test.each(CASES)('[H2 L4 L5] … was read over a newer WebSocket, $way, timestamps: $stamps', async (each) => {
  const scene = await corrected(each, false);
  await overNewer(scene, 'minutes');
  expect(await setBack(scene)).toEqual([0, 0]);
});

test.each(WAYS)('[H2 L4 L5] … but what comes without times may be older than that, %s', async (way) => {
  const scene = await corrected({ way, stamps: 'none' }, false);
  await overNewer(scene, 'short');
  expect(await setBack(scene)).toEqual([1, 1]);
});

test.each(CASES)('[H2 L4 L5] … was not read, $way, timestamps: $stamps', async (each) => {
  const scene = await corrected(each, false);
  await scene.practice.pass(MINUTE);
  scene.phone.lose();
  expect(await setBack(scene)).toEqual([1, 1]);
});
