// @vitest-environment happy-dom
import { act, createElement } from 'react';
import { createRoot } from 'react-dom/client';
import { SyncProvider, useSyncedAppointments, useSyncStatus } from 'telemed-sync/react';
import { createTestWard } from 'telemed-sync/testing';
import { expect, onTestFinished, test } from 'vitest';

globalThis.IS_REACT_ACT_ENVIRONMENT = true;

function Appointments() {
  const { data } = useSyncedAppointments({ orderBy: 'room' });
  const pending = useSyncStatus(({ pendingChanges }) => pendingChanges);
  return `${data.map(({ room }) => room).join(', ')}; ${pending} not sent`;
}

test('the screen says what was not sent', async () => {
  const ward = await createTestWard({ devices: ['phone', 'desk'] });
  onTestFinished(() => ward.close());
  const phone = ward.device('phone');
  const page = document.createElement('div');
  const root = createRoot(page);
  onTestFinished(() => act(async () => root.unmount()));
  await act(async () =>
    root.render(createElement(SyncProvider, { client: phone }, createElement(Appointments))),
  );

  ward.cut('phone');
  await act(() => phone.addData('appointments', { id: 'a1', room: 4 }));
  expect(page.textContent).toBe('4; 1 not sent');

  await ward.device('desk').addData('appointments', { id: 'a2', room: 7 });
  ward.mend('phone');
  await act(() => ward.settled());
  expect(page.textContent).toBe('4, 7; 0 not sent');
});
