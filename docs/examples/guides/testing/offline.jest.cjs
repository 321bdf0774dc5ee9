const { createTestWard } = require('telemed-sync/testing');

let ward;
beforeEach(async () => {
  ward = await createTestWard({ devices: ['phone', 'desk'] });
});
afterEach(() => ward.close());

test('what was written offline is there after the app was ended', async () => {
  ward.cut('phone');
  await ward.device('phone').addData('notes', { id: 'n1', text: 'allergic to penicillin' });
  const phone = await ward.restart('phone');
  expect(await phone.getLocalData('notes', 'n1')).toEqual({ id: 'n1', text: 'allergic to penicillin' });

  ward.mend('phone');
  await ward.settled();
  expect(ward.device('desk').getRecord('notes', 'n1')).toEqual({ id: 'n1', text: 'allergic to penicillin' });
});
