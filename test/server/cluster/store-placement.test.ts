import { expect, test } from 'vitest';
import type { NodeId } from '../../../server/cluster/placement.js';
import { StorePlacement } from '../../../server/cluster/store-placement.js';
import { SETTLED_AFTER } from '../../../server/cluster/takeovers.js';
import type { UserId } from '../../../shared/names.js';
import { ManualClock } from '../../support/manual-clock.js';

const [ANNA, BERT] = ['anna', 'bert'] as UserId[] as [UserId, UserId];
const IDLE = 30_000;

/** A node; the store and its documents do what the test says. */
function makeNode() {
  const clock = new ManualClock();
  const others = new Map<UserId, string>();
  const inUse = new Set<UserId>();
  const lost: UserId[] = [];
  const gone: UserId[] = [];
  const relieved: string[] = [];
  const owner = async (user: UserId, from?: string) => {
    const node = others.get(user);
    if (from !== undefined) relieved.push(from);
    if (node === 'unknown') throw new Error('the store does not answer');
    return node === undefined ? null : { node, address: 'other:1' };
  };
  const asked: UserId[] = [];
  const looks: (readonly UserId[])[] = [];
  /** Until then the store answers no look. */
  const gate = { open: Promise.resolve() };
  /** Until then nobody whom it is to let go is. */
  const release = { done: Promise.resolve() };
  const store = {
    owner: (user: UserId, from?: string) => {
      asked.push(user);
      return owner(user, from);
    },
    letGo: async (user: UserId) => {
      gone.push(user);
      await release.done;
    },
    lost: async (users: readonly UserId[]) => {
      looks.push(users);
      await gate.open;
      if (users.some((user) => others.get(user) === 'unknown')) throw new Error('the store does not answer');
      return users.filter((user) => others.has(user));
    },
  };
  const placement = new StorePlacement(store, clock.now);
  placement.serve({ isInUse: (user) => inUse.has(user), lose: (user) => void lost.push(user) });
  return { clock, others, inUse, lost, gone, relieved, asked, looks, gate, release, placement };
}

test('[N2] a user whom nobody here has used for a while is let go, once', async () => {
  const { clock, inUse, gone, placement } = makeNode();
  await placement.whereIs(ANNA);
  await placement.whereIs(BERT);
  inUse.add(BERT);
  clock.pass(IDLE - 1);
  await placement.look(IDLE);
  expect([gone, placement.owned]).toEqual([[], 2]);
  clock.pass(1);
  await placement.look(IDLE);
  await placement.look(IDLE);
  expect([gone, placement.owned]).toEqual([[ANNA], 1]);
});

test('[O3] a user whom another node has taken is told of, once', async () => {
  const { clock, others, inUse, placement } = makeNode();
  let count = 0;
  placement.serve({ isInUse: (user) => inUse.has(user), lose() {} }, () => void count++);
  await placement.whereIs(ANNA);
  await placement.whereIs(BERT);
  inUse.add(ANNA);
  others.set(ANNA, 'other').set(BERT, 'other');
  await placement.look(IDLE);
  await placement.whereIs(ANNA);
  expect([count, placement.owned]).toEqual([1, 1]);
  clock.pass(IDLE);
  await placement.look(IDLE); // let go of before anybody took it: not lost
  await placement.whereIs(BERT);
  expect(count).toBe(1);
});

test('[N2] so is one who was loaded here without a visit', async () => {
  const { clock, gone, placement } = makeNode();
  placement.loaded(ANNA);
  expect(placement.owned).toBe(1);
  clock.pass(IDLE);
  await placement.look(IDLE);
  expect(gone).toEqual([ANNA]);
});

test('[N2] who was just asked for is not let go before the document is there', async () => {
  const { clock, gone, placement } = makeNode();
  await placement.whereIs(ANNA);
  clock.pass(IDLE);
  await placement.whereIs(ANNA);
  await placement.look(IDLE);
  expect(gone).toEqual([]);
});

test('[N2] a user whom another node has taken is lost here, whether somebody asks or not', async () => {
  const { others, inUse, lost, placement } = makeNode();
  for (const user of [ANNA, BERT]) {
    await placement.whereIs(user);
    inUse.add(user);
    others.set(user, '2');
  }
  expect(await placement.whereIs(ANNA)).toEqual({ here: false, node: '2', address: 'other:1' });
  expect(lost).toEqual([ANNA]);
  inUse.delete(ANNA);
  await placement.look(IDLE);
  expect([lost, placement.owned]).toEqual([[ANNA, BERT], 0]);
});

test('[N2] nobody is taken from a node that answers, if only that it does not let this one in', async () => {
  const { clock, others, relieved, placement } = makeNode();
  others.set(ANNA, '2');
  for (const why of ['not mine', 'not let in', 'lost'] as const)
    for (let second = 0; second < 20; second++) {
      clock.pass(1_000);
      placement.doubt(ANNA, '2' as NodeId, why);
      await placement.whereIs(ANNA);
    }
  expect(relieved).toEqual([]);
  placement.doubt(ANNA, '2' as NodeId, 'refused');
  await placement.whereIs(ANNA);
  expect(relieved).toEqual(['2']);
});

test('[N2] where the store can not tell, nobody is lost', async () => {
  const { others, inUse, lost, placement } = makeNode();
  await placement.whereIs(ANNA);
  inUse.add(ANNA);
  others.set(ANNA, 'unknown');
  await placement.look(IDLE);
  await expect(placement.whereIs(ANNA)).rejects.toThrow('does not answer');
  expect([lost, placement.owned]).toEqual([[], 1]);
});

test('[N2] of those in use the store is asked all at once, and by name only of whom it has lost', async () => {
  const { others, inUse, lost, asked, placement } = makeNode();
  for (const user of [ANNA, BERT]) {
    placement.loaded(user);
    inUse.add(user);
  }
  others.set(BERT, '2');
  await placement.look(IDLE);
  expect([asked, lost, placement.owned]).toEqual([[BERT], [BERT], 1]);
});

test('[N2] where the store does not answer for some of many users, the others who were taken are lost at once', async () => {
  const { others, inUse, lost, looks, placement } = makeNode();
  const users = Array.from({ length: 12_000 }, (_, n) => `u${n}` as UserId);
  for (const user of users) {
    placement.loaded(user);
    inUse.add(user);
  }
  others.set(users[6_000] as UserId, 'unknown');
  const taken = [users[0], users[11_999]] as UserId[];
  for (const user of taken) others.set(user, '2');
  await placement.look(IDLE);
  expect([looks.length, lost, placement.owned]).toEqual([3, taken, users.length - taken.length]);
});

test('[N2] no look begins before the one before it has ended', async () => {
  const { inUse, looks, gate, placement } = makeNode();
  placement.loaded(ANNA);
  inUse.add(ANNA);
  let answer = (): void => {};
  gate.open = new Promise((resolve) => {
    answer = resolve;
  });
  const both = [placement.look(IDLE), placement.look(IDLE)];
  answer();
  await Promise.all(both);
  expect(looks).toEqual([[ANNA]]);
  await placement.look(IDLE);
  expect(looks).toEqual([[ANNA], [ANNA]]);
});

test('[N2] where it takes long to let somebody go, others who were taken meanwhile are lost at the next look', async () => {
  const { clock, others, inUse, lost, gone, release, placement } = makeNode();
  release.done = new Promise(() => {}); // as while the user is being erased
  await placement.whereIs(ANNA);
  clock.pass(IDLE);
  await placement.whereIs(BERT);
  inUse.add(BERT);
  void placement.look(IDLE);
  await expect.poll(() => gone).toEqual([ANNA]);
  others.set(BERT, '2');
  await expect.poll(() => placement.look(IDLE).then(() => lost), { timeout: 1_000 }).toEqual([BERT]);
  expect(gone).toEqual([ANNA]);
});

test('[N2] who comes from a node that nobody reached just now is taken from it in one step, and stays', async () => {
  const { clock, others, relieved, asked, placement } = makeNode();
  others.set(ANNA, '2').set(BERT, '2');
  await placement.whereIs(ANNA);
  placement.doubt(ANNA, '2' as NodeId, 'refused');
  asked.length = 0;
  await placement.whereIs(BERT);
  expect([asked, relieved]).toEqual([[BERT], ['2']]);
  others.delete(BERT); // taken
  placement.doubt(ANNA, '2' as NodeId, 'refused');
  expect(await placement.whereIs(BERT)).toEqual({ here: true });
  others.set(BERT, '2'); // and taken back
  relieved.length = 0;
  await placement.whereIs(BERT);
  expect(relieved).toEqual([]);
  clock.pass(SETTLED_AFTER);
  placement.doubt(ANNA, '2' as NodeId, 'refused');
  await placement.whereIs(BERT);
  expect(relieved).toEqual(['2']);
});
