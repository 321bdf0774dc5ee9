/** A node that does not reach the store while another one does. */
import { expect, test } from 'vitest';
import { Parting } from '../../../server/cluster/parting.js';
import { TestOwners, useNode } from '../../support/cluster.js';
import { useNative } from '../../support/use.js';
import { PATIENCE } from '../../support/wait.js';

const GONE_AFTER = 10_000;

/** A node among three, as the store and the other two are by the test. */
function makeNode() {
  const beat = { age: 0 };
  const ready = new Set(['1', '2', '3', '4']);
  const asked: string[] = [];
  const is = { told: true };
  const nodes = async () => {
    if (!is.told) throw new Error('the store does not answer');
    const nodes = ['1', '2', '3', '4'].map((node) => ({
      ...{ node, address: `node-${node}:1`, here: node === '1' },
      silentFor: node === '4' ? GONE_AFTER : 0,
    }));
    // A server of the same store that is none of the cluster can't be asked.
    return [...nodes, { node: '5', address: '', here: false, silentFor: 0 }];
  };
  const parting = new Parting({ beat, nodes }, async ({ node, address }) => {
    asked.push(address);
    return ready.has(node);
  });
  return { beat, ready, asked, is, parting };
}

test('[N3] a node is cut off where its beat is old, and another node that lives is ready, twice in a row', async () => {
  const { beat, ready, asked, is, parting } = makeNode();
  expect(await parting.look()).toBe(false);
  is.told = false;
  beat.age = GONE_AFTER - 1;
  for (let looks = 0; looks < 3; looks++) expect(await parting.look()).toBe(false);
  expect(asked).toEqual([]);
  beat.age = GONE_AFTER;
  ready.delete('2');
  expect(await parting.look()).toBe(false);
  expect(asked).toEqual(['node-2:1', 'node-3:1']);
  expect(await parting.look()).toBe(true);
  beat.age = 0; // and back
  expect(await parting.look()).toBe(false);
  beat.age = GONE_AFTER;
  expect(await parting.look()).toBe(false);
});

test('[N3] [P8] where the database is down for all nodes, or just back, nobody is sent away', async () => {
  const { beat, ready, is, parting } = makeNode();
  await parting.look();
  is.told = false;
  beat.age = GONE_AFTER;
  ready.clear();
  for (let looks = 0; looks < 5; looks++) expect(await parting.look()).toBe(false);
  ready.add('2'); // the first that is back
  expect(await parting.look()).toBe(false);
  beat.age = 0;
  expect(await parting.look()).toBe(false);
});

test('[N3] one look is under way at a time, and one that lasts is none of two in a row', async () => {
  let answer = (_isReady: boolean): void => {};
  const beat = { age: 0 };
  const nodes = async () => [{ node: '2', address: 'node-2:1', silentFor: 0, here: false }];
  const parting = new Parting(
    { beat, nodes },
    () =>
      new Promise((resolve) => {
        answer = resolve;
      }),
  );
  await parting.look();
  beat.age = GONE_AFTER;
  const first = parting.look();
  expect(await parting.look()).toBe(false);
  answer(true);
  expect(await first).toBe(false);
  const second = parting.look();
  answer(true);
  expect(await second).toBe(true);
});

test('[N3] who only watches at a node that is cut off has to come again', async () => {
  const whole: TestOwners = new TestOwners('whole', () => whole);
  const cut: TestOwners = new TestOwners('cut', () => cut);
  await useNode(whole);
  const beat = { age: 0, clockAhead: 0 };
  let told = 0;
  const nodes = async () => {
    told++;
    const other = { node: 'whole', address: whole.address, silentFor: 0, here: false };
    return [{ ...other, version: '', startedAt: 0, users: 0, taken: 0 }];
  };
  const node = await useNode(cut, {}, { beat, nodes });
  const watcher = await useNative(node, 'anna', 'a');
  await expect.poll(() => told, { timeout: PATIENCE }).toBeGreaterThan(0);
  expect(watcher.closes).toEqual([]);
  beat.age = GONE_AFTER;
  await watcher.until(() => watcher.closes.length > 0);
  watcher.offline();
  expect(watcher.closes).toEqual([1012]);
});
