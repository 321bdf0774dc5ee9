import { createTestWard } from 'telemed-sync/testing';
import { expect, onTestFinished, test } from 'vitest';

async function open(options) {
  const ward = await createTestWard({ devices: ['phone', 'desk'], ...options });
  onTestFinished(() => ward.close());
  await ward.device('desk').addData('appointments', { id: 'a1', status: 'booked', room: 4 });
  await ward.settled();
  return ward;
}

test('three days pass', async () => {
  const ward = await open();
  ward.cut('phone');
  await ward.device('phone').updateData('appointments', 'a1', { room: 7 });
  await ward.clock.advance('3d');
  await ward.device('desk').updateData('appointments', 'a1', { room: 8 }); // three days later: this one stays
  ward.mend('phone');
  await ward.settled();
  expect(ward.device('phone').getRecord('appointments', 'a1').room).toBe(8);

  const { body } = await ward.request('/api/history/anna?id=a1');
  expect(body.entries.map(({ deviceId }) => deviceId)).toContain('phone'); // nothing is lost
});

test('the server dies with the answer under way', async () => {
  const ward = await open();
  await ward.device('phone').updateData('appointments', 'a1', { room: 7 });
  await ward.crash();
  await ward.settled();
  expect(ward.device('desk').getRecord('appointments', 'a1').room).toBe(7);
});

test('what was sent arrives though the line is cut before the answer', async () => {
  const ward = await open();
  await ward.device('phone').updateData('appointments', 'a1', { room: 7 });
  ward.cut('phone');
  await ward.settled();
  expect(ward.device('desk').getRecord('appointments', 'a1').room).toBe(7);
  expect(ward.device('phone').status.current.pendingChanges).toBe(1); // it can't know yet
});

test('an old device writes whole records', async () => {
  const ward = await open();
  const tablet = ward.jsonDevice('old-tablet');
  await ward.settled();
  ward.cut('old-tablet');
  tablet.edit('appointments', 'a1', { status: 'arrived' }); // sends its room as well, which is an old one
  await ward.device('desk').updateData('appointments', 'a1', { room: 9 });
  await ward.settled();
  ward.mend('old-tablet');
  await ward.settled();
  expect(tablet.record('appointments', 'a1')).toEqual({ id: 'a1', status: 'arrived', room: 9 });
});

test('the server refuses what is too much', async () => {
  const ward = await open({ server: { MAX_DOCUMENT: '2 KB' } });
  const phone = ward.device('phone');
  await phone.addData('notes', { text: 'x'.repeat(4_000) });
  await ward.settled();
  expect(phone.status.current.refused[0].code).toBe('DOCUMENT_FULL');
});

test('another user has other records', async () => {
  const ward = await open();
  const ben = ward.device('tablet', { user: 'ben' });
  await ward.settled();
  expect(await ben.getData('appointments')).toEqual([]);
});
