/** How many client ids of documents before there may be, whoever writes under new ones without end (P10). */
import { describe, expect, test } from 'vitest';
import { MANY_CLIENTS, MAX_RETIRED } from '../../../../server/documents/epochs/document-rewriting.js';
import { Epoch } from '../../../../server/documents/epochs/epoch.js';
import { MANY_RETIRED } from '../../../../server/documents/epochs/rewrites.js';
import type { RegistryOptions } from '../../../../server/documents/registry.js';
import { EMPTY } from '../../../../server/store/memory/memory-document.js';
import { longLived } from '../../../support/long-lived.js';
import { client } from '../../../support/replicas.js';
import { ANNA, REST_AFTER, SleepWorld } from '../../../support/sleep-world.js';

const OURS = { takesRewrites: true };
const STARTS = MANY_CLIENTS + 1;
const DAY = 86_400_000;

/** A world with an empty document, before which there were others of so many clients; nothing is kept for plain devices. */
function worldAfter(retired: number, options: Partial<RegistryOptions> = {}): SleepWorld {
  const clients = Array.from({ length: retired }, (_, n) => ({
    client: 10_000_000 + n,
    upTo: 1,
    living: [],
  }));
  const epoch = Epoch.after(null, clients, { revision: 0, mark: 0 }).encode();
  return new SleepWorld(new Map([[ANNA, { ...EMPTY, epoch }]]), { historyDays: 0, ...options });
}

describe('[P10] a document with a long past', () => {
  test.each([
    [MAX_RETIRED - STARTS, 'REWRITTEN'],
    [MAX_RETIRED - STARTS + 1, null],
  ])('of %d client ids before is written anew, or goes on as it is', async (retired, closed) => {
    const world = worldAfter(retired);
    const phone = await world.connect('phone', longLived(), OURS);
    await world.sleep();
    expect(phone.closed).toBe(closed);
    const fresh = await world.connect('fresh', client(7), OURS);
    fresh.set('n9', 'since');
    await world.settle();
    const other = await world.connect('other', client(8), OURS);
    expect([fresh.closed, other.notes]).toEqual([null, fresh.notes]);
    expect(other.notes).toMatchObject({ n9: 'since', n1: { text: expect.any(String) } });
    expect(world.failures).toEqual([]);
  });

  test.each([
    ['few', MANY_RETIRED - 3 * STARTS, 'REWRITTEN'],
    ['many', MANY_RETIRED, null],
  ])('of %s client ids before is written anew at each rest, or once a day', async (_, retired, closed) => {
    let uptime = 0;
    const world = worldAfter(retired, { uptime: () => uptime });
    const rest = async (): Promise<void> => {
      for (let look = 0; look < 4; look++) {
        world.registry.sleep();
        await world.settle();
        uptime += REST_AFTER;
      }
    };
    const phone = await world.connect('phone', longLived(), OURS);
    await rest();
    expect(phone.closed).toBe('REWRITTEN');
    const tablet = await world.connect('tablet', longLived(STARTS, 6_000_000), OURS);
    await rest();
    await world.registry.rewriteIfDue(ANNA); // in the daily round
    await world.settle();
    expect(tablet.closed).toBe(closed);
    uptime += DAY;
    await rest();
    expect(tablet.closed).toBe('REWRITTEN');
    expect(world.failures).toEqual([]);
  });
});
