import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { type Collections, isObject, type Json, type JsonRecord } from '../../shared/json.js';
import { readHistoryPage, type ShownEntry } from '../support/history.js';
import { read } from './http-writers.js';
import { FREE_FOR_ALL, recordKey } from './ledger.js';

/** Entries that are read again at each check, to see that they are what they were. */
const OVERLAP = 100;
const ATTEMPTS = 5;

/**
 * Follows the history of one user over kills: no entry is lost or becomes another one, each begins where the one
 * before it ended, the last ones end in the records, and each tells of the change of its own device (H5).
 */
export class HistoryCheck {
  readonly #url: string;
  readonly #user: string;
  /** What the entries said, by revision - 1. */
  readonly #digests: string[] = [];
  readonly #records = new Map<string, JsonRecord | null>();
  /** The largest number that each device had in a field of its own. */
  readonly #highest = new Map<string, number>();

  constructor(url: string, user: string) {
    this.#url = url;
    this.#user = user;
  }

  /** What is wrong with the history since the last time. */
  async problems(): Promise<string[]> {
    for (let left = ATTEMPTS; left > 0; left--) {
      const { revision, collections } = await this.#sync();
      const entries = await this.#entriesSince(Math.max(0, this.#digests.length - OVERLAP));
      // Somebody wrote meanwhile.
      if ((await this.#sync()).revision !== revision) continue;
      const last = entries.at(-1)?.revision ?? 0;
      const wrongEnd = last === revision ? [] : [`the revision is ${revision}, the last entry ${last}`];
      return [
        ...wrongEnd,
        ...entries.flatMap((entry) => this.#enter(entry)),
        ...this.#problemsWith(collections),
      ];
    }
    return ['the history could not be read while nothing changed'];
  }

  async #sync(): Promise<{ revision: number; collections: Collections }> {
    const response = await read(`${this.#url}/api/sync/${this.#user}`);
    // A compressed answer has it as a weak one.
    const revision = Number(/^(?:W\/)?"(\d+)\./.exec(response.headers.get('ETag') ?? '')?.[1]);
    return { revision, collections: (await response.json()) as Collections };
  }

  /** The entries after a revision, the oldest first. */
  async #entriesSince(revision: number): Promise<ShownEntry[]> {
    const entries: ShownEntry[] = [];
    const place = { url: this.#url, user: this.#user };
    for (let next: number | null = Number.MAX_SAFE_INTEGER; next !== null && next > revision + 1; ) {
      const before = next === Number.MAX_SAFE_INTEGER ? {} : { before: next };
      const page = await readHistoryPage(place, { limit: OVERLAP, ...before }, read);
      entries.push(...page.entries);
      next = page.next;
    }
    return entries.reverse();
  }

  #enter(entry: ShownEntry): string[] {
    const { revision, collection, id, before, after, deviceId } = entry;
    const name = `entry ${revision} of ${collection}/${id} by ${deviceId}`;
    const digest = createHash('sha1')
      .update(JSON.stringify(sorted(entry as unknown as Json)))
      .digest('base64');
    const known = this.#digests[revision - 1];
    if (known !== undefined) return known === digest ? [] : [`${name} is not what it was`];
    const isNext = revision === this.#digests.length + 1;
    const expected = this.#digests.length + 1;
    this.#digests[revision - 1] = digest;
    const key = recordKey(collection, id);
    const last = this.#records.get(key) ?? null;
    this.#records.set(key, after);
    return [
      ...(isNext ? [] : [`${name} comes where entry ${expected} should`]),
      ...(isDeepStrictEqual(before, last) ? [] : [`${name} does not begin where the one before it ended`]),
      ...(collection !== FREE_FOR_ALL && isDeepStrictEqual(before, after) ? [`${name} changes nothing`] : []),
      ...(collection === 'appointments' ? this.#foreignChanges(entry).map((what) => `${name} ${what}`) : []),
    ];
  }

  /**
   * In appointments each device counts up in fields of its own name: a new number there in the entry of another
   * one is a change without an entry.
   */
  #foreignChanges({ id, after, deviceId }: ShownEntry): string[] {
    return [after ?? {}, isObject(after?.by) ? after.by : {}].flatMap((fields, depth) =>
      Object.entries(fields).flatMap(([device, value]) => {
        const cell = `${id} ${depth} ${device}`;
        if (typeof value !== 'number' || value <= (this.#highest.get(cell) ?? 0)) return [];
        this.#highest.set(cell, value);
        return device === deviceId ? [] : [`has the new ${value} of ${device}`];
      }),
    );
  }

  #problemsWith(collections: Collections): string[] {
    const left = new Map([...this.#records].filter(([, record]) => record !== null));
    const problems: string[] = [];
    for (const [collection, records] of Object.entries(collections)) {
      for (const record of records) {
        const key = recordKey(collection, record.id);
        if (!isDeepStrictEqual(left.get(key), record))
          problems.push(`${key} is not what its last entry says`);
        left.delete(key);
      }
    }
    return [...problems, ...[...left.keys()].map((key) => `${key} is in the history alone`)];
  }
}

/** With the keys of all objects in one order. */
function sorted(value: Json): Json {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isObject(value)) return value;
  const keys = Object.keys(value).sort();
  return Object.fromEntries(keys.map((key) => [key, sorted(value[key] as Json)]));
}
