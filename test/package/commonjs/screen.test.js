import { act, createElement } from 'react';
import { createRoot } from 'react-dom/client';
import { syncManager } from 'telemed-sync';
import { memoryStorage } from 'telemed-sync/memory';
import { useSyncedAppointments } from 'telemed-sync/react';

globalThis.IS_REACT_ACT_ENVIRONMENT = true;

test('a screen on the client of the app', async () => {
  const List = () =>
    useSyncedAppointments().data.map(({ status }) => createElement('p', { key: status }, status));
  const root = document.createElement('div');
  await act(async () => createRoot(root).render(createElement(List)));
  const storage = memoryStorage();
  await syncManager.initialize({
    serverUrl: 'http://127.0.0.1:1',
    userId: 'anna',
    autoConnect: false,
    storage,
  });
  await act(() => syncManager.addData('appointments', { status: 'booked' }));
  expect(root.textContent).toBe('booked');
  await act(() => syncManager.close());
});
