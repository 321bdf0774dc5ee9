/** What the demo knows of an appointment. Any device may store anything, so fields are read with care. */
import type { SyncRecord } from '../client/index.js';

export const COLLECTION = 'appointments';

export const STATUSES = ['booked', 'arrived', 'in consultation', 'completed', 'cancelled'] as const;

export interface Field {
  readonly name: string;
  readonly label: string;
  readonly type: 'text' | 'datetime-local';
  readonly hint: string;
}

export const FIELDS = [
  { name: 'patient', label: 'Patient', type: 'text', hint: 'Name of the patient' },
  { name: 'time', label: 'Time', type: 'datetime-local', hint: 'Set a time' },
  { name: 'reason', label: 'Reason', type: 'text', hint: 'Reason' },
  { name: 'doctor', label: 'Doctor', type: 'text', hint: 'Doctor' },
  { name: 'room', label: 'Room', type: 'text', hint: 'not set' },
  { name: 'notes', label: 'Notes', type: 'text', hint: 'Add a note' },
] as const satisfies readonly Field[];

export type FieldName = (typeof FIELDS)[number]['name'];
export const FIELD = Object.fromEntries(FIELDS.map((field) => [field.name, field])) as Record<
  FieldName,
  Field
>;

/** A value in words; objects and lists as JSON. */
export function inWords(value: unknown): string {
  if (value === undefined || value === null) return '';
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

export const textOf = (record: SyncRecord, field: string): string => inWords(record[field]);
export const titleOf = (record: SyncRecord): string => textOf(record, 'patient') || 'Unnamed appointment';

/** The earliest first; those without a time at the end. */
export function byTime(a: SyncRecord, b: SyncRecord): number {
  const [left, right] = [textOf(a, 'time') || '~', textOf(b, 'time') || '~'];
  return left < right ? -1 : left > right ? 1 : String(a.id).localeCompare(String(b.id));
}

const CLOCK = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });
const DAY = new Intl.DateTimeFormat('en-GB', { weekday: 'short', day: 'numeric', month: 'short' });

/** Clock and day of a time such as `2025-01-31T09:30`; null for anything else. */
export function timeInWords(time: string): { readonly clock: string; readonly day: string } | null {
  const date = new Date(time);
  if (!/^\d{4}-\d\d-\d\dT/.test(time) || Number.isNaN(date.getTime())) return null;
  return { clock: CLOCK.format(date), day: DAY.format(date) };
}

/** Today where the visitor is, as `2025-01-31`. */
export const today = (): string => new Intl.DateTimeFormat('sv-SE').format(new Date());
