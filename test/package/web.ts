import { ClientError, type RecordOf, type SyncClient, syncManager } from 'telemed-sync';
import type { Appointment } from './appointment.js';

export async function book(client: SyncClient = syncManager): Promise<Appointment | null> {
  const id: string = await client.addData('appointments', { status: 'booked', room: 4 });
  // @ts-expect-error no such status
  await client.updateData('appointments', id, { status: 'lost' });
  // @ts-expect-error the status is missing
  await client.addData('appointments', { room: 4 });
  await client.addData('notes', { anything: [1, 2] });
  client.subscribe('appointments', (event) => {
    const changed: readonly Appointment[] = event.operation === 'sync' ? event.data : [event.data];
    void changed;
  });
  const shown: readonly Appointment[] = client.collection('appointments').records;
  void shown;
  return client.getRecord('appointments', id);
}

export const code = (error: unknown): string | null => (error instanceof ClientError ? error.code : null);
export const row: RecordOf<'appointments'> = { id: 'a1', status: 'done' } satisfies Appointment;
