/** A server is replaced while its devices write: nothing is lost, and all are back soon (O4, O5). */
import { afterEach, expect, onTestFinished, test } from 'vitest';
import { closeClients } from './support/devices/test-client.js';
import { ServerProcess } from './support/server-process.js';
import {
  ourClient,
  plainProvider,
  timesBack,
  untilStored,
  type Writer,
  writeOn,
} from './support/writing-on.js';

const USERS = 6;
/** From the moment that the new server listens, in ms. */
const MEDIAN = 5_000;

afterEach(closeClients);

/** Replaces the server by another process on the same folder. */
async function replace(server: ServerProcess, writers: readonly Writer[]): Promise<void> {
  const from = server.lines.length;
  const leftAt = performance.now();
  const exit = await server.stop();
  expect([exit, server.lines.slice(from).at(-1)]).toEqual([
    { code: 0, signal: null },
    expect.stringMatching(/Stopped after \d+ ms$/),
  ]);
  await server.restart();
  const away = performance.now() - leftAt;
  const times = await timesBack(writers, performance.now());
  const median = times[Math.floor(times.length / 2)];
  // A busy machine needs longer for the start, and devices pause longer the longer it takes: by no more than that.
  const limit = Math.max(MEDIAN, away);
  const told = `away for ${Math.round(away)} ms, back after ${times.map(Math.round).join(', ')} ms`;
  expect(median, told).toBeLessThan(limit);
}

test('[O4 O5] a restart under load: our clients and plain providers lose nothing, and are back soon', async () => {
  const server = await ServerProcess.start({ LOG_LEVEL: 'info' });
  onTestFinished(() => server.dispose());
  const users = Array.from({ length: USERS }, (_, n) => `user-${n}`);
  const opened = users.map((user) => [ourClient(server, user), plainProvider(server, user)]);
  const writers = await Promise.all(opened.flat());
  await timesBack(writers, performance.now());
  const stop = new AbortController();
  const writing = writers.map((writer, n) => writeOn(writer, `w${n}`, stop.signal));
  try {
    await expect.poll(() => Math.min(...writers.map(({ written }) => written.length))).toBeGreaterThan(5);
    await replace(server, writers);
  } finally {
    stop.abort();
    await Promise.all(writing);
  }
  await untilStored(server, writers);
});
