import { memoryStorage } from 'telemed-sync/memory';
import { createSyncClient } from 'telemed-sync/node';

test('a client that writes and reads', async () => {
  const client = createSyncClient();
  const storage = memoryStorage();
  await client.initialize({ serverUrl: 'http://127.0.0.1:1', userId: 'anna', autoConnect: false, storage });
  const id = await client.addData('notes', { text: 'one' });
  expect(await client.getData('notes')).toEqual([{ id, text: 'one' }]);
  await client.close();
});
