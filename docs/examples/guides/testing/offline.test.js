import { createTestWard } from 'telemed-sync/testing';
import { expect, onTestFinished, test } from 'vitest';

test('an edit without a network is merged when the phone is back', async () => {
  const ward = await createTestWard({ devices: ['phone', 'desk'] });
  onTestFinished(() => ward.close());
  const phone = ward.device('phone');
  const desk = ward.device('desk');
  const id = await desk.addData('appointments', { status: 'booked', room: 4 });
  await ward.settled();

  ward.cut('phone');
  await phone.updateData('appointments', id, { room: 7 });
  await desk.updateData('appointments', id, { status: 'arrived' });
  expect(phone.status.current).toMatchObject({ connection: 'offline', pendingChanges: 1 });

  ward.mend('phone');
  await ward.settled();
  expect(desk.getRecord('appointments', id)).toEqual({ id, status: 'arrived', room: 7 });
});
