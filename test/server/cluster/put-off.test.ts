/** Who could not be led to the node of its user: it waits, and is told when that can be reached. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import WebSocket from 'ws';
import { Hops } from '../../../server/cluster/hops.js';
import type { Doubt, NodeId, Place } from '../../../server/cluster/placement.js';
import { PutOff } from '../../../server/gateways/websocket/put-off.js';
import { silentLog } from '../../../server/log.js';
import type { UserId } from '../../../shared/names.js';
import {
  CLUSTER_SECRET,
  TestOwners,
  useFrontAndOwner,
  useHangingNode,
  useNode,
  useStandIn,
} from '../../support/cluster.js';
import { openRaw, useJson } from '../../support/use.js';
import { PATIENCE } from '../../support/wait.js';

const GUEST = { user: 'anna' as UserId, address: '127.0.0.1' };
const OTHER = 'other' as NodeId;
const HERE: Place = { here: true };

afterEach(() => void vi.useRealTimers());

/** A door that puts off everybody who comes; its timers are moved by the test. */
async function useDoor(mayCome: (canTell: () => void) => Promise<boolean | null>) {
  const putOff = new PutOff({ metrics: null, random: () => 0.5 });
  const server = createServer().on('upgrade', (request, stream, head) =>
    putOff.take({ request, stream, head, challenge: null }, 'OWNER_UNREACHABLE', mayCome),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const come = async () => {
    const ws = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
    onTestFinished(() => ws.terminate());
    await once(ws, 'open');
    return ws;
  };
  return { come, putOff };
}

const closeOf = async (ws: WebSocket) => {
  const [code, reason] = await once(ws, 'close');
  return [code, String(reason)];
};

describe('[S4] who waits for the end of what puts it off', () => {
  test('is told to connect again when it is over', async () => {
    let isOver = false;
    const looks = vi.fn(async () => isOver);
    const { come } = await useDoor(looks);
    const closed = closeOf(await come());
    await vi.advanceTimersByTimeAsync(2_000);
    expect(looks).toHaveBeenCalledTimes(2);
    isOver = true;
    await vi.advanceTimersByTimeAsync(999);
    expect(looks).toHaveBeenCalledTimes(2);
    await vi.advanceTimersByTimeAsync(1);
    expect(await closed).toEqual([1012, expect.stringContaining('can be reached again')]);
  });

  test('waits for 20 to 26 s at most: after 30 s of silence it would take the connection for lost', async () => {
    const { come } = await useDoor(async () => false);
    const ws = await come();
    const closed = closeOf(ws);
    await vi.advanceTimersByTimeAsync(22_999);
    expect(ws.readyState).toBe(WebSocket.OPEN);
    await vi.advanceTimersByTimeAsync(1);
    expect(await closed).toEqual([1012, expect.stringContaining('can not be reached')]);
  });

  test('waits as long at a server that reaches the store, though the node that it asks says nothing', async () => {
    const { come } = await useDoor((canTell) => {
      canTell();
      return new Promise(() => {});
    });
    const ws = await come();
    const closed = closeOf(ws);
    await vi.advanceTimersByTimeAsync(22_999);
    expect(ws.readyState).toBe(WebSocket.OPEN);
    await vi.advanceTimersByTimeAsync(1);
    expect(await closed).toEqual([1012, expect.stringContaining('can not be reached')]);
  });

  test.each<[string, () => Promise<null>]>([
    ['does not reach the store', async () => null],
    ['hears nothing of the store', () => new Promise(() => {})],
  ])('waits for 3 to 9 s at a server that %s: another one may', async (_, look) => {
    const { come } = await useDoor(look);
    const ws = await come();
    const closed = closeOf(ws);
    await vi.advanceTimersByTimeAsync(5_999);
    expect(ws.readyState).toBe(WebSocket.OPEN);
    await vi.advanceTimersByTimeAsync(1);
    expect(await closed).toEqual([1012, expect.stringContaining('can not be reached')]);
  });

  test('does not come at once with all others: many are looked at by turns, 200 a second', async () => {
    const looks = vi.fn(async () => false);
    const { come } = await useDoor(looks);
    await Promise.all(Array.from({ length: 300 }, come));
    // Of the first ones after 1 s, of the last one after 1.5 s, then of each after 1.5 s.
    await vi.advanceTimersByTimeAsync(2_499);
    expect(looks).toHaveBeenCalledTimes(300);
    await vi.advanceTimersByTimeAsync(501);
    expect(looks).toHaveBeenCalledTimes(600);
  });

  test('nobody looks any more once it has gone, or the server stops', async () => {
    const looks = vi.fn(async () => true);
    const { come, putOff } = await useDoor(looks);
    const gone = await come();
    gone.terminate();
    await once(gone, 'close');
    const stopped = closeOf(await come());
    putOff.close();
    expect(await stopped).toEqual([1012, 'The server is restarting; connect again.']);
    await vi.advanceTimersByTimeAsync(30_000);
    expect(looks.mock.calls.length).toBeLessThanOrEqual(1); // the server may not have heard yet that it has gone
  });
});

/** A node that is told of these places, one after the other, the last one again and again. */
function hopsTold(places: readonly (Place | Error)[], upgradeTimeout = PATIENCE) {
  const doubts: Doubt[] = [];
  let asked = 0;
  let reached = 0;
  const hops = new Hops({
    config: { clusterSecret: CLUSTER_SECRET, upgradeTimeout, pingInterval: 0 },
    placement: {
      whereIs: async () => {
        const place = places[Math.min(asked++, places.length - 1)];
        if (place === undefined || place instanceof Error) throw place;
        return place;
      },
      doubt: (_user, _node, why) => void doubts.push(why),
      reached: () => void reached++,
      gone: async () => [],
    },
    now: Date.now,
    log: silentLog,
  });
  return { hops, doubts, reached: () => reached, asked: () => asked };
}

const at = ({ address }: TestOwners, node = OTHER): Place => ({ here: false, node, address });

describe('[S4] whether who was put off may come', () => {
  test('where its user is here by now, and not while the store can not tell', async () => {
    const { hops } = hopsTold([new Error('the store is gone'), HERE]);
    expect(await hops.mayCome(GUEST)).toBe(null);
    expect(await hops.mayCome(GUEST)).toBe(true);
  });

  test('where the node of its user says that it is ready; for all who wait it is asked once', async () => {
    const { owner } = await useFrontAndOwner();
    const { hops, doubts, reached } = hopsTold([at(owner.owners)]);
    expect(await Promise.all([1, 2, 3].map(() => hops.mayCome(GUEST)))).toEqual([true, true, true]);
    expect([doubts, reached()]).toEqual([[], 1]);
  });

  test('not where it says that it is not, which nobody is taken from', async () => {
    const busy = await useStandIn((socket) =>
      socket.once('data', () => socket.end('HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n')),
    );
    const { hops, doubts, reached } = hopsTold([at(busy)]);
    expect(await hops.mayCome(GUEST)).toBe(false);
    expect([doubts, reached()]).toEqual([[], 1]);
  });

  test('nor where it lets this one not in', async () => {
    const owner: TestOwners = new TestOwners('owner', () => owner);
    await useNode(owner, { CLUSTER_SECRET: `${CLUSTER_SECRET}, or nearly` });
    const { hops, doubts } = hopsTold([at(owner)]);
    expect([await hops.mayCome(GUEST), doubts]).toEqual([false, []]);
  });

  test('that the store was reached is told before the node has answered, and not where it was not', async () => {
    const { owners } = await useHangingNode();
    const told = vi.fn();
    const answer = hopsTold([at(owners)], PATIENCE).hops.mayCome(GUEST, told);
    await expect.poll(() => told.mock.calls.length, { timeout: PATIENCE }).toBe(1);
    expect(await Promise.race([answer, 'not yet'])).toBe('not yet');
    await hopsTold([new Error('the store is gone')]).hops.mayCome(GUEST, told);
    expect(told).toHaveBeenCalledTimes(1);
  });

  test('where its user has moved while its node said nothing, long before that one is given up', async () => {
    const { owners } = await useHangingNode();
    const { hops, doubts } = hopsTold([at(owners), at(owners), HERE], 10 * PATIENCE);
    expect([await hops.mayCome(GUEST), await hops.mayCome(GUEST), doubts]).toEqual([false, true, []]);
  });

  test('where it has moved to one that is ready', async () => {
    const { owners } = await useHangingNode();
    const { owner } = await useFrontAndOwner();
    const { hops } = hopsTold([at(owners), at(owner.owners, 'next' as NodeId)], 10 * PATIENCE);
    expect(await hops.mayCome(GUEST)).toBe(true);
  });

  test('where it is about to be given up: the user can be taken from it in that moment', async () => {
    const { owners } = await useHangingNode();
    const { hops, doubts } = hopsTold([at(owners), HERE], 3_500);
    expect([await hops.mayCome(GUEST), doubts]).toEqual([true, ['silent']]);
  });

  test('where one that says nothing has lost the user by that', async () => {
    const { owners } = await useHangingNode();
    const silent = hopsTold([at(owners)], 50);
    expect([await silent.hops.mayCome(GUEST), silent.doubts, silent.asked()]).toEqual([false, ['silent'], 2]);
    const lost = hopsTold([at(owners), HERE], 50);
    expect(await lost.hops.mayCome(GUEST)).toBe(true);
  });
});

test('[S4 C6] a device that came too early is told when its node is there, and connects', async () => {
  const nobody: TestOwners = new TestOwners('nobody', () => nobody);
  const owner: TestOwners = new TestOwners('owner', () => owner);
  let serving = nobody;
  const front = await useNode(new TestOwners('front', () => serving));
  await useNode(owner);
  const raw = openRaw(front, 'anna', 'phone');
  await raw.until(() => raw.ws.readyState === WebSocket.OPEN);
  serving = owner;
  expect(await raw.end()).toMatchObject({ code: 1012, reason: expect.stringContaining('again') });
  await useJson(front, 'anna', 'tablet');
});
