/** A server is replaced while its devices write: nothing is lost, and all are back soon (O4, O5). */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, onTestFinished, test } from 'vitest';
import { NativeDevice } from './support/devices/native-device.js';
import { closeClients, testClient } from './support/devices/test-client.js';
import { ServerProcess } from './support/server-process.js';
import { PATIENCE } from './support/wait.js';

const USERS = 6;
/** As y-websocket has it where an app says nothing. */
const Y_WEBSOCKET_BACKOFF = 2_500;
/** From the moment that the new server listens, in ms. */
const MEDIAN = 5_000;

afterEach(closeClients);

/** A device that writes records of its own, with a connection or without. */
interface Writer {
  readonly user: string;
  readonly written: string[];
  write(id: string): Promise<void> | void;
  isBack(): boolean;
}

async function ourClient(server: ServerProcess, user: string): Promise<Writer> {
  const client = testClient();
  await client.initialize({ serverUrl: server.url, userId: user });
  return {
    user,
    written: [],
    write: async (id) => void (await client.addData('notes', { id, by: 'client' })),
    isBack: () => client.status.current.connection === 'online',
  };
}

async function plainProvider(server: ServerProcess, user: string): Promise<Writer> {
  const options = { maxBackoffTime: Y_WEBSOCKET_BACKOFF };
  const device = await NativeDevice.connect(server.url, user, `${user}-laptop`, options);
  onTestFinished(() => device.provider.destroy());
  return {
    user,
    written: [],
    write: (id) => void device.record('notes', id).set('by', 'provider'),
    isBack: () => device.provider.wsconnected && device.provider.synced,
  };
}

/** Writes until it is told to stop. */
async function writeOn(writer: Writer, name: string, signal: AbortSignal): Promise<void> {
  for (let n = 0; !signal.aborted; n++) {
    const id = `${name}-${n}`;
    await writer.write(id);
    writer.written.push(id);
    await sleep(25);
  }
}

/** How long each took to be back, in ms. */
async function timesBack(writers: readonly Writer[], since: number): Promise<number[]> {
  const times = new Map<Writer, number>();
  const look = (): number => {
    for (const writer of writers)
      if (!times.has(writer) && writer.isBack()) times.set(writer, performance.now() - since);
    return times.size;
  };
  await expect.poll(look, { timeout: 2 * PATIENCE, interval: 20 }).toBe(writers.length);
  return [...times.values()].sort((one, other) => one - other);
}

async function recordsOf(server: ServerProcess, user: string): Promise<Set<string>> {
  const { notes = [] } = (await (await fetch(`${server.url}/api/sync/${user}`)).json()) as {
    notes?: { id: string }[];
  };
  return new Set(notes.map(({ id }) => id));
}

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
  for (const user of users) {
    const written = writers.filter((writer) => writer.user === user).flatMap((writer) => writer.written);
    const missing = async (): Promise<string[]> => {
      const stored = await recordsOf(server, user);
      return written.filter((id) => !stored.has(id));
    };
    await expect.poll(missing, { timeout: PATIENCE }).toEqual([]);
  }
});
