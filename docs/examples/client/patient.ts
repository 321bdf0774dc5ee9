import { createSyncClient } from 'telemed-sync';

const patient = createSyncClient();
await patient.initialize({ serverUrl: 'http://localhost:3001', userId: 'patient-7' });
