/** An app says once what is in its collections; every entry knows it then. */
export interface Appointment {
  readonly id: string;
  readonly status: 'booked' | 'done';
  readonly room?: number;
}

declare module 'telemed-sync' {
  interface SyncedCollections {
    appointments: Appointment;
  }
}
