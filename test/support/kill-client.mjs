// Devices without a network that write until they are killed: `node kill-client.mjs FOLDER...`, one in each folder. Each
// prints what it found in its folder, `0 found PENDING [ids]`, then the id of each record whose addData resolved, `0 ID`.
import { createSyncClient, levelStorage } from '../../packages/client/dist/client/node.js';

async function live(folder, device) {
  // In the pipe before the next write, so that nothing that resolved is held back when the process dies; where that is
  // full, since who reads it is late, it waits.
  const say = (line) => new Promise((done) => process.stdout.write(`${device} ${line}\n`, done));
  const client = createSyncClient();
  await client.initialize({
    serverUrl: 'http://127.0.0.1:1',
    userId: 'anna',
    autoConnect: false,
    storage: levelStorage(folder),
  });
  const ids = (await client.getData('notes')).map(({ id }) => id);
  await say(`found ${client.getSyncStatus().pendingChanges} ${JSON.stringify(ids)}`);
  const write = async () => {
    for (;;) await say(await client.addData('notes', { text: 'x'.repeat(100) }));
  };
  await Promise.all([write(), write(), write()]);
}
await Promise.all(process.argv.slice(2).map(live));
