/**
 * A write that an old connection held up, while another way of the same device made its copy anew without it: what is
 * in that copy undoes nothing (L4, L5).
 */
import { expect, test } from 'vitest';
import { type App, MINUTE, Practice, SECOND } from '../../support/json-apps.js';

interface Scene {
  readonly practice: Practice;
  /** The phone on its old connection. */
  readonly old: App;
  /** The same phone by another way, not connected yet. */
  readonly anew: App;
}

/** A phone that has read a visit of the desk, was connected for 45 s, and did nothing in the last 5 of them. */
async function scene(): Promise<Scene> {
  const practice = await Practice.open();
  const desk = await practice.connected('desk');
  desk.write({ id: 'v1', a: 'old', b: 0 });
  const old = await practice.connected('phone');
  for (let tick = 0; tick < 4; tick++) {
    await practice.pass(10 * SECOND);
    old.requestSync();
    await practice.catchUp();
  }
  await practice.pass(5 * SECOND);
  return { practice, old, anew: practice.app('phone') };
}

/** What the phone wrote over its old connection a second ago arrives. */
async function arriveLate({ practice, old }: Scene): Promise<void> {
  practice.now -= SECOND;
  old.edit('v1', { a: 'new' });
  practice.now += SECOND;
  await practice.settle();
  expect(practice.record('v1')).toEqual({ id: 'v1', a: 'new', b: 0 });
}

/** Offline, the phone changes something else on the copy that has not got the write; later it sends that. */
async function editOffline({ practice, old, anew }: Scene): Promise<void> {
  await practice.pass(5 * SECOND);
  old.lose();
  await practice.pass(MINUTE);
  expect(anew.record('v1')).toEqual({ id: 'v1', a: 'old', b: 0 });
  anew.edit('v1', { b: 1 });
  await practice.pass(MINUTE);
}

async function replay({ practice, anew }: Scene): Promise<void> {
  anew.connect();
  await anew.catchUp();
  await anew.replay();
  await practice.settle();
}

test('[L4 L5 L6] the newer connection had ended', async () => {
  const late = await scene();
  const { practice, anew } = late;
  anew.connect();
  await anew.catchUp();
  await practice.pass(200);
  anew.lose();
  await practice.pass(100);
  await arriveLate(late);
  await editOffline(late);
  await replay(late);
  expect(practice.record('v1')).toEqual({ id: 'v1', a: 'new', b: 1 });
});

test('[L4 L6] the first full sync of the newer connection is under way for long', async () => {
  const late = await scene();
  const { practice, anew } = late;
  anew.connect();
  await practice.pass(100);
  await arriveLate(late);
  await practice.pass(3 * SECOND);
  await anew.readNext();
  await anew.pong();
  expect(anew.record('v1')).toEqual({ id: 'v1', a: 'old', b: 0 });
  await practice.pass(100);
  anew.edit('v1', { b: 1 });
  await practice.settle();
  expect(practice.record('v1')).toEqual({ id: 'v1', a: 'new', b: 1 });
});

test('[H1 H2 L4 L6] two answers over HTTP had made its copy anew', async () => {
  const late = await scene();
  const { practice, anew } = late;
  for (let request = 0; request < 2; request++) {
    await anew.get();
    await practice.pass(100);
  }
  await arriveLate(late);
  await editOffline(late);
  await anew.post();
  expect(practice.record('v1')).toEqual({ id: 'v1', a: 'new', b: 1 });
});

test('[L4 L5 L6] the newer connection was sent the write, and lost before it arrived', async () => {
  const late = await scene();
  const { practice, anew } = late;
  anew.connect();
  await anew.catchUp();
  await arriveLate(late);
  anew.lose();
  await editOffline(late);
  await replay(late);
  expect(practice.record('v1')).toEqual({ id: 'v1', a: 'new', b: 1 });
});

test('[L4 L5 L6] two writes of one record were held up', async () => {
  const late = await scene();
  const { practice, old, anew } = late;
  anew.connect();
  await anew.catchUp();
  await arriveLate(late);
  practice.now -= 500;
  old.edit('v1', { c: 1 });
  practice.now += 500;
  await practice.settle();
  anew.lose();
  await editOffline(late);
  await replay(late);
  expect(practice.record('v1')).toEqual({ id: 'v1', a: 'new', b: 1, c: 1 });
});

test('[L4 L5 L6] once the phone has read the write, it can take it back offline', async () => {
  const late = await scene();
  const { practice, old, anew } = late;
  anew.connect();
  await anew.catchUp();
  await arriveLate(late);
  await anew.catchUp();
  await practice.pass(5 * SECOND);
  await anew.catchUp();
  expect(anew.record('v1')).toEqual({ id: 'v1', a: 'new', b: 0 });
  old.lose();
  anew.lose();
  await practice.pass(MINUTE);
  anew.edit('v1', { a: 'old' });
  await practice.pass(MINUTE);
  await replay(late);
  expect(practice.record('v1')).toEqual({ id: 'v1', a: 'old', b: 0 });
});

test('[H1 H2 L4 L6] what the phone wrote after an answer over HTTP it can take back offline', async () => {
  const { practice, old, anew } = await scene();
  await anew.get();
  await practice.pass(100);
  old.edit('v1', { a: 'new' });
  await practice.pass(5 * SECOND);
  old.lose();
  await practice.pass(MINUTE);
  old.edit('v1', { a: 'old' });
  await practice.pass(MINUTE);
  old.connect();
  await old.catchUp();
  await old.replay();
  expect(practice.record('v1')).toEqual({ id: 'v1', a: 'old', b: 0 });
});
