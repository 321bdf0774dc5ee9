import { readFileSync } from 'node:fs';
import type { Collections, JsonRecord } from '../../shared/json.js';
import { STANDARD_COLLECTIONS } from '../../shared/names.js';

const FILE = '../shared/data/clinic.json';

/** 173 clinical records in the four collections; made up in the same shapes where the file is not there. */
export function clinic(): Collections {
  try {
    return JSON.parse(readFileSync(FILE, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return generatedClinic();
  }
}

/** collection → id → record, which is how the order of records is left out of a comparison. */
export type ById = Record<string, Record<string, JsonRecord>>;

export function byId(collections: Collections): ById {
  const entries = Object.entries(collections).map(
    ([name, records]) => [name, Object.fromEntries(records.map((record) => [record.id, record]))] as const,
  );
  return Object.fromEntries(entries);
}

/** Each record with the name of its collection. */
export const recordsOf = (collections: Collections): (readonly [collection: string, record: JsonRecord])[] =>
  Object.entries(collections).flatMap(([name, records]) => records.map((record) => [name, record] as const));

const COUNTS: readonly number[] = [3, 10, 40, 120];

export function generatedClinic(): Collections {
  const entries = STANDARD_COLLECTIONS.map((name, index) => [
    name,
    Array.from({ length: COUNTS[index] ?? 0 }, (_, number) => generatedRecord(name, number)),
  ]);
  return Object.fromEntries(entries);
}

function generatedRecord(collection: string, number: number): JsonRecord {
  const coding = (code: number) => ({
    system: 'http://example.org/codes',
    code: `${code}`,
    display: `Ünit ${code}`,
  });
  return {
    resourceType: collection,
    id: `${collection}-${number}`,
    text: { status: 'generated', div: `<div>${'note '.repeat(20 + (number % 50))}</div>` },
    status: 'booked',
    priority: number,
    weight: number / 8,
    active: number % 2 === 0,
    subject: { reference: `Patient/${number}`, display: null },
    period: { start: '2024-02-01T07:15:00+10:00', end: '2024-02-01T08:45:00+10:00' },
    category: [{ coding: [coding(number), coding(number + 1)] }],
    tags: ['urgent', `ward ${number % 7}`],
    contained: [
      { id: 'a', type: 'Patient', name: [{ family: 'Müller', given: ['Anna', 'Lena'] }] },
      { id: 'b', type: 'Location', position: { longitude: 13.4, latitude: -52.5 } },
    ],
    component: Array.from({ length: number % 5 }, (_, n) => ({ code: { coding: [coding(n)] }, value: n })),
  };
}
