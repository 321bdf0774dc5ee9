/** Devices that write on while their server is replaced. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished } from 'vitest';
import { NativeDevice } from './devices/native-device.js';
import { testClient } from './devices/test-client.js';
import { PATIENCE } from './wait.js';

/** As y-websocket has it where an app says nothing. */
const Y_WEBSOCKET_BACKOFF = 2_500;

/** A device that writes records of its own, with a connection or without. */
export interface Writer {
  readonly user: string;
  readonly written: string[];
  write(id: string): Promise<void> | void;
  isBack(): boolean;
}

interface Address {
  readonly url: string;
}

export async function ourClient({ url }: Address, user: string): Promise<Writer> {
  const client = testClient();
  await client.initialize({ serverUrl: url, userId: user });
  return {
    user,
    written: [],
    write: async (id) => void (await client.addData('notes', { id, by: 'client' })),
    isBack: () => client.status.current.connection === 'online',
  };
}

export async function plainProvider({ url }: Address, user: string): Promise<Writer> {
  const options = { maxBackoffTime: Y_WEBSOCKET_BACKOFF };
  const device = await NativeDevice.connect(url, user, `${user}-laptop`, options);
  onTestFinished(() => device.provider.destroy());
  return {
    user,
    written: [],
    write: (id) => void device.record('notes', id).set('by', 'provider'),
    isBack: () => device.provider.wsconnected && device.provider.synced,
  };
}

/** Writes until it is told to stop. */
export async function writeOn(writer: Writer, name: string, signal: AbortSignal): Promise<void> {
  for (let n = 0; !signal.aborted; n++) {
    const id = `${name}-${n}`;
    await writer.write(id);
    writer.written.push(id);
    await sleep(25);
  }
}

/** How long each took to be back, in ms. */
export async function timesBack(writers: readonly Writer[], since: number): Promise<number[]> {
  const times = new Map<Writer, number>();
  const look = (): number => {
    for (const writer of writers)
      if (!times.has(writer) && writer.isBack()) times.set(writer, performance.now() - since);
    return times.size;
  };
  await expect.poll(look, { timeout: 2 * PATIENCE, interval: 20 }).toBe(writers.length);
  return [...times.values()].sort((one, other) => one - other);
}

async function recordsOf({ url }: Address, user: string): Promise<Set<string>> {
  const { notes = [] } = (await (await fetch(`${url}/api/sync/${user}`)).json()) as {
    notes?: { id: string }[];
  };
  return new Set(notes.map(({ id }) => id));
}

/** Resolves when the server has all that they wrote. */
export async function untilStored(address: Address, writers: readonly Writer[]): Promise<void> {
  for (const user of new Set(writers.map((writer) => writer.user))) {
    const written = writers.filter((writer) => writer.user === user).flatMap((writer) => writer.written);
    const missing = async (): Promise<string[]> => {
      const stored = await recordsOf(address, user);
      return written.filter((id) => !stored.has(id));
    };
    await expect.poll(missing, { timeout: PATIENCE }).toEqual([]);
  }
}
