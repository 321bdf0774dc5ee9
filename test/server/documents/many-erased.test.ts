/** How many client ids a tombstone may get, whoever writes under new ones and is erased without end (P7). */
import { describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import { MANY_RETIRED } from '../../../server/documents/epochs/rewrites.js';
import { sortedIds } from '../../../server/documents/epochs/sorted-ids.js';
import type { RegistryOptions } from '../../../server/documents/registry.js';
import { Tombstone } from '../../../server/documents/tombstone.js';
import { EMPTY } from '../../../server/store/memory/memory-document.js';
import { longLived } from '../../support/long-lived.js';
import { ANNA, REST_AFTER, SleepWorld } from '../../support/sleep-world.js';

const MANY_ERASED = 100_000;
const MAX_AFTER_MANY = 1_000;
const OURS = { takesRewrites: true };

/** A world with a document that was erased after so many clients had written it. */
function worldAfter(erased: number, options: Partial<RegistryOptions> = {}): SleepWorld {
  const retired = Float64Array.from({ length: erased }, (_, n) => 10_000_000 + n);
  const stateVector = () => Y.encodeStateVector(new Y.Doc());
  const document = { revision: 7, devices: { keys: [] }, erased: null, epoch: { retired }, stateVector };
  const tombstone = Tombstone.of(document, 0).encode();
  return new SleepWorld(new Map([[ANNA, { ...EMPTY, tombstone }]]), { historyDays: 0, ...options });
}

describe('[P7] [S4] a document that was erased', () => {
  test.each([
    [MANY_ERASED, MAX_AFTER_MANY + 1, null],
    [MANY_ERASED + 1, MAX_AFTER_MANY, null],
    [MANY_ERASED + 1, MAX_AFTER_MANY + 1, 'UPDATE_TOO_COSTLY'],
  ])('with %d client ids takes %d new ones, or says that they are too many', async (erased, ids, closed) => {
    const world = worldAfter(erased);
    const phone = await world.connect('phone', longLived(ids), OURS);
    expect(phone.closed).toBe(closed);
    expect(world.failures).toEqual([]);
  });

  test('[P10] with very many client ids is written anew once a day at most', async () => {
    let uptime = 0;
    const world = worldAfter(MANY_RETIRED + 1, { uptime: () => uptime });
    const rest = async (): Promise<void> => {
      for (let look = 0; look < 4; look++) {
        world.registry.sleep();
        await world.settle();
        uptime += REST_AFTER;
      }
    };
    const phone = await world.connect('phone', longLived(MAX_AFTER_MANY), OURS);
    await rest();
    expect(phone.closed).toBe('REWRITTEN');
    const tablet = await world.connect('tablet', longLived(MAX_AFTER_MANY - 1, 6_000_000), OURS);
    await rest();
    expect(tablet.closed).toBeNull();
    uptime += 86_400_000;
    await rest();
    expect(tablet.closed).toBe('REWRITTEN');
    expect(world.failures).toEqual([]);
  });
});

test('[P7] the client ids of a tombstone are each there once, in order', () => {
  // As many as a set can't have, 2 ** 24, would take 20 s and several hundred MB here.
  expect([...sortedIds(new Float64Array([9, 1, 4, 4]), new Set([7, 4]))]).toEqual([1, 4, 7, 9]);
});
