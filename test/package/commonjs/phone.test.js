import { syncManager } from 'telemed-sync';
import { useSyncClient } from 'telemed-sync/react';

test('a client that stores in AsyncStorage', async () => {
  expect(typeof useSyncClient).toBe('function');
  await syncManager.initialize({ serverUrl: 'http://127.0.0.1:1', userId: 'anna', autoConnect: false });
  const id = await syncManager.addData('notes', { text: 'one' });
  expect(syncManager.getRecord('notes', id)).toEqual({ id, text: 'one' });
  expect(syncManager.status.current).toMatchObject({ durable: true, error: null });
  await syncManager.close();
});
