/** A user's history as requests give it (H6), and what can be wrong with it. */
import { isDeepStrictEqual } from 'node:util';
import type { Via } from '../../server/documents/history/history-entry.js';
import type { Collections, JsonRecord } from '../../shared/json.js';

export interface ShownEntry {
  readonly revision: number;
  readonly collection: string;
  readonly id: string;
  readonly before: JsonRecord | null;
  readonly after: JsonRecord | null;
  readonly deviceId: string;
  readonly actor: string | null;
  readonly via: Via;
  readonly at: number;
  readonly madeAt: number;
}

export interface ShownPage {
  readonly entries: readonly ShownEntry[];
  readonly next: number | null;
}

interface Place {
  readonly url: string;
  readonly user: string;
}
type Fetch = (url: string) => Promise<Response>;

export async function readHistoryPage(
  { url, user }: Place,
  query: Readonly<Record<string, string | number>> = {},
  get: Fetch = fetch,
): Promise<ShownPage> {
  const named = Object.entries(query).map(([name, value]): [string, string] => [name, String(value)]);
  const parameters = new URLSearchParams(named);
  const response = await get(`${url}/api/history/${user}?${parameters}`);
  if (response.status !== 200) {
    throw new Error(`GET /api/history answered ${response.status} ${await response.text()}`);
  }
  return (await response.json()) as ShownPage;
}

/** All entries, the oldest first, however many pages they take. */
export async function readHistory(
  place: Place,
  query: Readonly<Record<string, string | number>> = {},
  get: Fetch = fetch,
): Promise<ShownEntry[]> {
  const entries: ShownEntry[] = [];
  for (let before: number | null = null; ; ) {
    const page: ShownPage = await readHistoryPage(
      place,
      { ...query, ...(before !== null && { before }) },
      get,
    );
    entries.push(...page.entries);
    if (page.next === null) return entries.reverse();
    if (before !== null && page.next >= before) throw new Error(`next is ${page.next} after ${before}`);
    before = page.next;
  }
}

/** What is wrong with a whole history, the oldest entry first, of a user who has these records at this revision. */
export function historyProblems(
  entries: readonly ShownEntry[],
  collections: Collections,
  revision: number,
): string[] {
  const problems: string[] = [];
  const last = entries.at(-1)?.revision ?? 0;
  if (last !== revision) problems.push(`the last entry is ${last}, the revision ${revision}`);
  const records = new Map<string, JsonRecord | null>();
  for (const [index, { revision, collection, id, before, after }] of entries.entries()) {
    const name = `entry ${revision} of ${collection}/${id}`;
    if (revision !== index + 1) problems.push(`${name} is number ${index + 1}`);
    const key = `${collection}/${id}`;
    if (!isDeepStrictEqual(before, records.get(key) ?? null)) {
      problems.push(`${name} does not begin where the one before it ends`);
    }
    if (isDeepStrictEqual(before, after)) problems.push(`${name} changes nothing`);
    records.set(key, after);
  }
  const now = Object.entries(collections).flatMap(([collection, list]) =>
    list.map((record) => [`${collection}/${record.id}`, record] as const),
  );
  for (const [key, record] of now) {
    if (!isDeepStrictEqual(records.get(key), record))
      problems.push(`the last entry of ${key} is not the record`);
    records.delete(key);
  }
  for (const [key, record] of records) if (record !== null) problems.push(`${key} is in the history alone`);
  return problems;
}
