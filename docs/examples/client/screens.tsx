/** Screens of docs/reference/CLIENT.md. */
import type { SyncClient } from 'telemed-sync';
import { SyncProvider } from 'telemed-sync/react';
import { Appointments } from './appointments.js';

export const OfPatient = ({ patient }: { patient: SyncClient }) => (
  <SyncProvider client={patient}>
    <Appointments />
  </SyncProvider>
);
