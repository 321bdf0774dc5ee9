import type { Collections, JsonRecord } from '../../shared/json.js';

/**
 * Something that one device alone makes true, and that stays true: a field that only this device writes, with
 * numbers that only grow, or the removal of a record that only this device made.
 */
export type Fact =
  | { readonly kind: 'value'; readonly record: string; readonly field: string; readonly value: number }
  | { readonly kind: 'removal'; readonly record: string };

/** In this collection everybody writes everything, so that it holds no facts; the witness watches it. */
export const FREE_FOR_ALL = 'medicalRecords';

export const recordKey = (collection: string, id: string | number): string => `${collection}/${id}`;

interface Cell {
  issued: number;
  confirmed: number;
  /** Of what is confirmed: how, and when. */
  how: string;
}

interface Entry {
  readonly cells: Map<string, Cell>;
  removal: 'none' | 'issued' | 'confirmed';
}

/** What the devices of one user wrote, and how much of that was seen by others or confirmed to its author. */
export class Ledger {
  readonly #entries = new Map<string, Entry>();
  readonly #onConfirmed: () => void;
  /** What was shown to a device and never written by one. */
  readonly invented: string[] = [];
  confirmations = 0;

  constructor(onConfirmed: () => void = () => {}) {
    this.#onConfirmed = onConfirmed;
  }

  issue(fact: Fact): void {
    const entry = this.#entries.get(fact.record) ?? { cells: new Map(), removal: 'none' };
    this.#entries.set(fact.record, entry);
    if (fact.kind === 'removal') entry.removal = entry.removal === 'none' ? 'issued' : entry.removal;
    else
      entry.cells.set(fact.field, {
        confirmed: 0,
        how: '',
        ...entry.cells.get(fact.field),
        issued: fact.value,
      });
  }

  /** Its author was told that it is durable. */
  confirm(fact: Fact): void {
    this.confirmations++;
    if (fact.kind === 'removal') this.sawRemoval(fact.record);
    else this.#sawValue(fact.record, fact.field, fact.value, 'acknowledged');
    this.#onConfirmed();
  }

  /** A device got this record from the server. */
  saw(collection: string, record: JsonRecord): void {
    if (collection === FREE_FOR_ALL) return;
    const key = recordKey(collection, record.id);
    for (const [field, value] of numbersIn(record)) this.#sawValue(key, field, value, 'shown');
  }

  /** A device was told that this record was deleted. */
  sawRemoval(record: string): void {
    const entry = this.#entries.get(record);
    if (entry !== undefined && entry.removal !== 'none') entry.removal = 'confirmed';
    else this.invented.push(`the removal of ${record}`);
  }

  sawAll(collections: Collections): void {
    for (const [name, records] of Object.entries(collections)) {
      for (const record of records) this.saw(name, record);
    }
  }

  /** What was confirmed or seen, and is not in these collections. */
  missingFrom(collections: Collections): string[] {
    return this.asOfNow()(collections);
  }

  /** What was confirmed or seen by now, and is not in the collections that the result is given. */
  asOfNow(): (collections: Collections) => string[] {
    const then = [...this.#entries].map(([key, { cells, removal }]) => {
      const copied = [...cells].map(([field, cell]) => [field, { ...cell }] as const);
      return [key, { cells: new Map(copied), removal }] as const;
    });
    return (collections) => {
      const present = new Map<string, Map<string, number>>();
      for (const [name, records] of Object.entries(collections)) {
        for (const record of records) present.set(recordKey(name, record.id), new Map(numbersIn(record)));
      }
      return then.flatMap(([key, entry]) => {
        const isGoing = entry.removal === 'none' && this.#entries.get(key)?.removal !== 'none';
        return isGoing ? [] : missing(key, entry, present.get(key));
      });
    };
  }

  #sawValue(record: string, field: string, value: number, how: string): void {
    const cell = this.#entries.get(record)?.cells.get(field);
    if (cell === undefined || value > cell.issued) this.invented.push(`${record} ${field} = ${value}`);
    else if (value > cell.confirmed) {
      cell.confirmed = value;
      cell.how = `${how} at ${new Date().toISOString()}`;
    }
  }
}

function missing(key: string, { cells, removal }: Entry, present: Map<string, number> | undefined): string[] {
  if (removal === 'confirmed') return present === undefined ? [] : [`${key} is back, which was removed`];
  if (removal === 'issued') return [];
  return [...cells].flatMap(([field, { confirmed, how }]) => {
    const value = present?.get(field) ?? 0;
    return value >= confirmed ? [] : [`${key} ${field} is ${value}, was ${confirmed}, ${how}`];
  });
}

/** The numbers in a record, by the path of their fields. */
function numbersIn(value: object, path = ''): [string, number][] {
  return Object.entries(value).flatMap(([key, field]: [string, unknown]): [string, number][] => {
    if (typeof field === 'number') return [[path + key, field]];
    return typeof field === 'object' && field !== null ? numbersIn(field, `${path}${key}.`) : [];
  });
}
