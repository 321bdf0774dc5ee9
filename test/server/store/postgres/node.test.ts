/** When a node takes the way to its database for one that was cut, and is whole again. */
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import type { Connection } from '../../../../server/store/postgres/connection.js';
import { StoreNode } from '../../../../server/store/postgres/node.js';

const BEAT = 1_000;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A node that beats; its beats are answered, and its looks find a way, as the test says. */
function useNode() {
  let looks: (boolean | null | Error)[] = [];
  const beats: { readonly answer: () => void; readonly fail: () => void }[] = [];
  const onReached = vi.fn();
  /** Of the waits for an answer, whether they are over. */
  const waits: { isOver: boolean }[] = [];
  const node = new StoreNode({
    ...{ address: '', version: '', interval: BEAT, onFenced() {} },
    keys: () => null,
    onBeat: (answered) => {
      const wait = { isOver: false };
      waits.push(wait);
      void answered.then(() => {
        wait.isOver = true;
      });
    },
    tells: () => ({ users: 0, taken: 0 }),
    reaches: async () => {
      const found = looks.shift();
      if (found === undefined) throw new Error('a look that the test does not know of');
      if (found instanceof Error) throw found;
      return found;
    },
    onReached,
  });
  const connection = {
    beat: () =>
      new Promise((resolve, reject) => {
        beats.push({
          answer: () => resolve([{ id: 1, time: Date.now() }]),
          fail: () => reject(new Error('it took too long')),
        });
      }),
  };
  node.beatOver(connection as unknown as Connection);
  onTestFinished(() => node.stopBeating());
  const pass = () => vi.advanceTimersByTimeAsync(BEAT);
  return {
    node,
    onReached,
    waits,
    pass,
    beats,
    last: () => beats.at(-1) as (typeof beats)[number],
    /** One in each second from now on. */
    look: async (...found: (boolean | null | Error)[]) => {
      looks = found;
      while (looks.length > 0) await pass();
    },
  };
}

test('[P3] a way that is found after two looks in vain was cut', async () => {
  const { onReached, pass, look } = useNode();
  await pass();
  await look(false, false);
  expect(onReached).not.toHaveBeenCalled();
  await look(true, true);
  expect(onReached).toHaveBeenCalledTimes(1);
});

test('[P3] one look in vain is none, and one that can not tell, or fails, changes nothing', async () => {
  const { onReached, pass, look } = useNode();
  await pass();
  await look(true, false, true, null, null, true, new Error('ENOENT ca.pem'), new Error('EMFILE'), true);
  await look(false, null, true, false, true);
  expect(onReached).not.toHaveBeenCalled();
  await look(false, null, new Error('EMFILE'), false, true);
  expect(onReached).toHaveBeenCalledTimes(1);
});

test('[P3] where a beat is answered over the connection that there is, that one is used on', async () => {
  const { onReached, pass, look, last, beats } = useNode();
  await pass();
  await look(false, false, false);
  last().answer();
  await pass();
  await look(true);
  expect([beats.length, onReached.mock.calls.length]).toEqual([2, 0]);
});

test('[P3] where a beat was given up, and the next one is answered over a new connection, the others are made anew, too', async () => {
  const { onReached, pass, look, last, beats } = useNode();
  await pass();
  await look(false, false, false);
  last().fail();
  await pass();
  last().answer();
  await pass();
  expect([beats.length, onReached.mock.calls.length]).toEqual([3, 1]);
});

test('[P8] from the first beat without an answer on one wait is under way, whatever becomes of beats, until one is answered', async () => {
  const { node, waits, pass, look, last, beats } = useNode();
  await pass();
  await look(null, null);
  last().fail();
  await pass();
  last().fail();
  await pass();
  expect([beats.length, waits]).toEqual([3, [{ isOver: false }]]);
  last().answer();
  await pass();
  expect(waits).toEqual([{ isOver: true }, { isOver: false }]);
  node.stopBeating();
  await Promise.resolve();
  expect(waits[1]).toEqual({ isOver: true });
});
