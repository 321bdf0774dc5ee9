import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTestWard } from 'telemed-sync/testing';

test('the last of two edits of one field stays', async (context) => {
  const ward = await createTestWard({ devices: 2 }); // phone, tablet
  context.after(() => ward.close());
  await ward.device('phone').addData('patients', { id: 'p1', phone: '030 1' });
  await ward.settled();

  ward.cut();
  await ward.device('phone').updateData('patients', 'p1', { phone: '030 2' });
  await ward.device('tablet').updateData('patients', 'p1', { phone: '030 3' });
  ward.mend('tablet');
  ward.mend('phone'); // later, with the older edit
  await ward.settled();
  assert.deepEqual(ward.device('phone').getRecord('patients', 'p1'), { id: 'p1', phone: '030 3' });
});
