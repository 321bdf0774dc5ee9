/** `node --import tsx add-data.ts PORT RECORDS`: our client, which adds records at once; tells the times in ms by IPC. */
import { SyncManager } from '../../client/sync-manager.js';
import { testPlatform } from '../../test/support/devices/test-client.js';

const [port, records] = [process.argv[2] ?? '', Number(process.argv[3])];

/** On this port nobody listens. */
const OFFLINE = '1';
const isOnline = port !== OFFLINE;

interface Times {
  readonly stored: number;
  /** CPU time of this process in ms, which other work on the machine does not change. */
  readonly cpu: number;
  readonly synced: number;
}

const cpuTime = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
};

async function addAll(userId: string): Promise<Times> {
  const client = new SyncManager(testPlatform());
  const serverUrl = `http://127.0.0.1:${port}`;
  await client.initialize({ serverUrl, userId, autoConnect: isOnline });
  if (isOnline) await client.whenSynced();
  const [began, busy] = [performance.now(), cpuTime()];
  const calls = Array.from({ length: records }, (_, n) =>
    client.addData('notes', { id: `n${n}`, text: `the ${n}th note`, room: n % 40 }),
  );
  await Promise.all(calls);
  const [stored, cpu] = [performance.now() - began, cpuTime() - busy];
  if (isOnline) await client.whenSynced();
  const synced = performance.now() - began;
  await client.close();
  return { stored, cpu, synced };
}

const cold = await addAll('first');
const warm = await addAll('second');
process.send?.({
  cpu: warm.cpu,
  cold: cold.stored,
  warm: warm.stored,
  ...(isOnline && { synced: warm.synced }),
});
process.disconnect();
