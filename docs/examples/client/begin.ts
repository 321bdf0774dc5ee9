import { syncManager } from 'telemed-sync';

await syncManager.initialize({ serverUrl: 'http://localhost:3001', userId: 'demo' });
const id = await syncManager.addData('appointments', { status: 'booked', room: 4 });
await syncManager.updateData('appointments', id, { room: 7 });
console.log(await syncManager.getData('appointments'), syncManager.getSyncStatus().pendingChanges);
