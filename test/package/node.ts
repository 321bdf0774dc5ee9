import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSyncClient } from 'telemed-sync/node';
import { createApp, createLog, readConfig } from 'telemed-sync-server';
import type { Appointment } from './appointment.js';

const folder = await mkdtemp(join(tmpdir(), 'telemed-'));
const config = readConfig({
  HOST: '127.0.0.1',
  PORT: '0',
  AUTH: 'none',
  DATA_DIR: join(folder, 'server'),
});
const app = await createApp(config, createLog({ format: 'json' }));
const serverUrl = `http://127.0.0.1:${await app.listen()}`;

const client = createSyncClient({ folder: join(folder, 'device') });
await client.initialize({ serverUrl, userId: 'demo' });
await client.addData('appointments', { id: 'a1', status: 'booked' });
await client.whenSynced();
const local: Appointment | null = await client.getLocalData('appointments', 'a1');
await client.close();

const answer = await fetch(`${serverUrl}/api/sync/demo`, { headers: { 'Device-ID': 'reader' } });
const { appointments } = (await answer.json()) as { appointments: Appointment[] };
await app.close();
await rm(folder, { recursive: true });
if (local === null || JSON.stringify(appointments) !== JSON.stringify([local]))
  throw new Error(`The server has ${JSON.stringify(appointments)}`);
