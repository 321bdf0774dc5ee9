import { createSyncClient } from 'telemed-sync/node';

const client = createSyncClient({ folder: './my-data' }); // syncManager keeps its data in ./telemed-sync-data
await client.initialize({ serverUrl: 'http://localhost:3001', userId: 'demo' });
await client.addData('appointments', { status: 'booked' });
await client.whenSynced();
await client.close();
