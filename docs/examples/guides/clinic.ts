/** How an app opens a patient's document, books, and reads what everybody reads: docs/guides/CLINIC.md. */
import { createSyncClient, type SyncClient, syncManager } from 'telemed-sync';
import { getToken } from './sign-in.js';

/** What somebody who treats a patient sees of them, beside what the app shows of its own user. */
export async function openPatient(serverUrl: string, patientId: string): Promise<SyncClient> {
  const patient = createSyncClient();
  await patient.initialize({ serverUrl, userId: patientId, getToken });
  return patient;
}

export async function book(desk: SyncClient, patient: SyncClient, patientId: string, start: string) {
  const id = await patient.addData('appointments', { start, status: 'booked' });
  await desk.addData('plan', { id, patientId, start });
  return id;
}

export const openShared = (serverUrl: string, userId: string): Promise<void> =>
  syncManager.initialize({ serverUrl, userId, getToken, sharedCollections: ['doctors', 'rooms'] });
