/** A front that does nothing for a while, and finds then what an owner has said meanwhile. */
import { expect, test } from 'vitest';
import { forward } from '../../../server/cluster/forward.js';
import { HEARD } from '../../../server/cluster/hop-target.js';
import { askReady } from '../../../server/cluster/ready.js';
import { Splice, splice } from '../../../server/cluster/splice.js';
import { CONNECT_TIMEOUT } from '../../../server/net/reachable.js';
import { useStandIn } from '../../support/cluster.js';
import { SWITCHED, targetAt, useForwarded, useSpliced } from '../../support/hop-fronts.js';
import { stall } from '../../support/wait.js';

const TIMEOUT = 300;
const SILENCE = 5_000;
const DONE = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n';

/** One of this process, which stalls before it answers, and before the answer can be read. */
const useOwner = (answer: string) =>
  useStandIn((socket) =>
    socket.once('data', () => {
      socket.write(HEARD);
      stall(TIMEOUT + 100);
      socket.write(answer);
    }),
  );

test('[N2 S4] an upgrade that it leads on is not given up for that', async () => {
  const owner = await useOwner(SWITCHED);
  const { led } = await useSpliced((upgrade) => {
    const leading = splice(targetAt(owner, SILENCE, TIMEOUT), upgrade);
    stall(CONNECT_TIMEOUT + 100);
    return leading;
  });
  expect(await led).toBeInstanceOf(Splice);
});

test('[N2 S4] a request that it leads on is not, either', async () => {
  const owner = await useOwner(DONE);
  const led = useForwarded((exchange) => {
    const leading = forward(targetAt(owner, SILENCE, TIMEOUT), exchange);
    process.nextTick(() => process.nextTick(() => stall(CONNECT_TIMEOUT + 100))); // the connection is asked for by then
    return leading;
  });
  expect(await led).toBe('led');
});

test('[N2 S4] a node that it asks whether it is ready is not taken for a silent one', async () => {
  const owner = await useOwner(DONE);
  const asked = askReady(targetAt(owner, SILENCE, TIMEOUT));
  process.nextTick(() => process.nextTick(() => stall(CONNECT_TIMEOUT + 100)));
  expect(await asked).toBe('ready');
});

test('[S4] a node that is silent in the time that it has is given up', async () => {
  const mute = await useStandIn((socket) => socket.resume());
  expect(await askReady(targetAt(mute, SILENCE, TIMEOUT))).toBe('silent');
});
