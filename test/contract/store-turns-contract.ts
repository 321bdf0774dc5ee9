import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Store } from '../../server/store/store.js';
import type { UserId } from '../../shared/names.js';
import { notesOf, user, writeNotes } from '../support/notes.js';
import type { StoreFixture } from './store-fixture.js';

const ANNA = user('anna');
const [BERT, CARL] = [user('bert'), user('carl')];
const ROWS = 300;
const REST = 20; // ms

/** Each look at the clock finds that it is time to rest. */
function restAtEachLook(): void {
  let time = performance.now();
  vi.spyOn(performance, 'now').mockImplementation(() => {
    time += 10;
    return time;
  });
}

/** How many turns of the event loop pass meanwhile. */
async function turnsOf(work: () => Promise<unknown>): Promise<number> {
  restAtEachLook();
  let turns = 0;
  const count = (): void => {
    turns++;
    next = setImmediate(count);
  };
  let next = setImmediate(count);
  await work();
  clearImmediate(next);
  return turns;
}

/** The clause about users of whom much is read: many rows, which each have to be checked, or decrypted. */
export function turnsContract(name: string, create: () => Promise<StoreFixture>): void {
  describe(`the store contract, turns of others: ${name}`, () => {
    let fixture: StoreFixture;
    let store: Store;

    beforeEach(async () => {
      fixture = await create();
      store = await fixture.open();
      await store.load(ANNA);
      await writeNotes(store, ANNA, ROWS);
    });
    afterEach(async () => {
      vi.restoreAllMocks();
      await store.close();
      await fixture.remove();
    });

    it('[S4] others have their turns while a document of many updates is read', async () => {
      await store.close();
      store = await fixture.open();
      const turns = await turnsOf(() => store.load(ANNA));
      expect(turns).toBeGreaterThanOrEqual(ROWS);
      expect(Object.keys(notesOf(await store.load(ANNA)))).toHaveLength(ROWS);
    });

    it('[S4] [P8] as many of these as may be read at once hold up no other read', async () => {
      for (const [name, rows] of [
        [CARL, ROWS],
        [BERT, 1],
      ] as const) {
        await store.load(name);
        await writeNotes(store, name, rows);
      }
      await store.close();
      store = await fixture.open();
      restAtEachLook();
      // So the many rests take seconds, until the few of Bert are over.
      const rests = vi.spyOn(globalThis, 'setImmediate');
      rests.mockImplementation(((task: () => void) =>
        setTimeout(task, REST)) as unknown as typeof setImmediate);
      const order: string[] = [];
      const load = (name: UserId) => store.load(name).then(() => order.push(name));
      const bert = () => load(BERT).then(() => rests.mockRestore());
      await Promise.all([load(ANNA), load(CARL), bert()]);
      expect(order[0]).toBe(BERT);
    });

    it('[S4] others have their turns while many deletions are read', async () => {
      const deletions = Array.from({ length: ROWS }, (_, n) => ({ collection: 'notes', id: `n${n}` }));
      const remembered = deletions.map((deletion, n) => ({ ...deletion, revision: n + 1, at: n }));
      await store.prune(ANNA, ROWS, remembered);
      const turns = await turnsOf(async () => expect(await store.deletions(ANNA)).toHaveLength(ROWS));
      expect(turns).toBeGreaterThanOrEqual(ROWS);
    });
  });
}
