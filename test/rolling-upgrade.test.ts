/** Three nodes are replaced one after the other while their devices write: nothing is lost, and all are back soon. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, onTestFinished } from 'vitest';
import { closeClients } from './support/devices/test-client.js';
import { freePort } from './support/free-port.js';
import { PostgresFixture, withPostgres } from './support/postgres.js';
import { SECRET, useRoundRobin } from './support/postgres-nodes.js';
import { ServerProcess } from './support/server-process.js';
import { LATENESS, PATIENCE } from './support/wait.js';
import {
  ourClient,
  plainProvider,
  timesBack,
  untilStored,
  type Writer,
  writeOn,
} from './support/writing-on.js';

const NODES = 3;
const USERS = 6;
/** How long the half of those who were sent away may take to be back, in ms. */
const MEDIAN = 5_000;
/** From one look who is away to the next, in ms. */
const LOOK = 20;

process.setMaxListeners(0); // each provider listens for the end of the process
afterEach(closeClients);

async function startNode(database: string): Promise<ServerProcess> {
  const node = await ServerProcess.start({
    ...{ STORE: database, CLUSTER_SECRET: SECRET, LOG_LEVEL: 'info' },
    CLUSTER_ADDRESS: `127.0.0.1:${await freePort()}`,
  });
  onTestFinished(() => node.dispose());
  return node;
}

/** How long each was away of those who were, in ms, until the signal comes and all are back, which they are soon. */
async function absences(writers: readonly Writer[], signal: AbortSignal): Promise<number[]> {
  const away = new Map<Writer, { readonly from: number; until: number }>();
  for (let end = Number.POSITIVE_INFINITY; ; ) {
    const now = performance.now();
    const missing = writers.filter((writer) => !writer.isBack());
    for (const writer of missing) {
      const known = away.get(writer) ?? { from: now, until: now };
      known.until = now;
      away.set(writer, known);
    }
    if (signal.aborted && missing.length === 0) break;
    if (signal.aborted) end = Math.min(end, now + PATIENCE);
    if (now > end) throw new Error(`${missing.length} devices did not come back`);
    await sleep(LOOK);
  }
  return [...away.values()].map(({ from, until }) => until - from + LOOK).sort((one, other) => one - other);
}

withPostgres(
  '[O4 O5 N4] three nodes start anew under load, one after the other, as in an upgrade: no edit is lost, devices are back soon',
  async () => {
    const fixture = await PostgresFixture.create();
    onTestFinished(() => fixture.remove());
    const nodes = await Promise.all(Array.from({ length: NODES }, () => startNode(fixture.schema.url)));
    const balancer = await useRoundRobin(nodes);
    const users = Array.from({ length: USERS }, (_, n) => `user-${n}`);
    const opened = users.map((user) => [ourClient(balancer, user), plainProvider(balancer, user)]);
    const writers = await Promise.all(opened.flat());
    await timesBack(writers, performance.now());
    const stop = new AbortController();
    const writing = writers.map((writer, n) => writeOn(writer, `w${n}`, stop.signal));
    const times: number[] = [];
    try {
      for (const node of nodes) {
        const replaced = new AbortController();
        const counted = absences(writers, replaced.signal);
        counted.catch(() => {}); // where a node fails, that is what is told
        try {
          balancer.takeOut(node); // as `/ready` tells it
          expect(await node.stop()).toEqual({ code: 0, signal: null });
          await node.restart();
          balancer.putBack(node);
        } finally {
          replaced.abort();
        }
        times.push(...(await counted));
      }
    } finally {
      stop.abort();
      await Promise.all(writing);
    }
    await untilStored(balancer, writers);
    times.sort((one, other) => one - other);
    expect(times.length, 'each of them is sent away once at least').toBeGreaterThanOrEqual(writers.length);
    const told = `away for ${times.map(Math.round).join(', ')} ms`;
    expect(times[times.length >> 1], told).toBeLessThan(MEDIAN + LATENESS);
  },
  8 * PATIENCE,
);
