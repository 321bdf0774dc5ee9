// Writes on a device without a network until it is killed: `node kill-client.mjs FOLDER`. It prints what it found
// in the folder, `found PENDING [ids]`, then the id of each record whose addData resolved.
import { writeSync } from 'node:fs';
import { createSyncClient, levelStorage } from '../../packages/client/dist/client/node.js';

/** To the pipe at once, so that nothing that resolved is held back when the process dies. */
const say = (line) => writeSync(1, `${line}\n`);

const [folder] = process.argv.slice(2);
const client = createSyncClient();
await client.initialize({
  serverUrl: 'http://127.0.0.1:1',
  userId: 'anna',
  autoConnect: false,
  storage: levelStorage(folder),
});
const ids = (await client.getData('notes')).map(({ id }) => id);
say(`found ${client.getSyncStatus().pendingChanges} ${JSON.stringify(ids)}`);

async function write() {
  for (;;) say(await client.addData('notes', { text: 'x'.repeat(100) }));
}
await Promise.all([write(), write(), write()]);
