import { createTestWard } from 'telemed-sync/testing';

const ward = await createTestWard({ devices: ['phone', 'desk'] });
const id = await ward.device('desk').addData('appointments', { status: 'booked', room: 4 });
await ward.settled();
ward.cut('phone');
await ward.device('phone').updateData('appointments', id, { room: 7 });
await ward.device('desk').updateData('appointments', id, { status: 'arrived' });
ward.mend('phone');
await ward.settled();
console.log(ward.device('desk').getRecord('appointments', id)); // { id, status: 'arrived', room: 7 }
await ward.close();
