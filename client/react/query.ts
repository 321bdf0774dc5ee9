import type { CollectionView, SyncRecord } from '../api/api.js';

/** Field → value that it has to equal, or a function that says yes. */
export type Where<Row> = { readonly [Field in keyof Row]?: Row[Field] } | ((record: Row) => boolean);
type Field<Row> = keyof Row & string;
type Order<Row> = Field<Row> | readonly [field: Field<Row>, direction: 'asc' | 'desc'];
/** A field, a field with its direction, a list of these, or a function as `sort` takes it. */
export type OrderBy<Row> = Order<Row> | readonly Order<Row>[] | ((a: Row, b: Row) => number);

export interface Query<Row> {
  readonly where?: Where<Row> | undefined;
  readonly orderBy?: OrderBy<Row> | undefined;
  readonly limit?: number | undefined;
}

type Row = SyncRecord;
const NOTHING: readonly never[] = [];

/**
 * The result of a query, again and again: the same array as long as it holds the same records, and sorted from
 * the order of the last time, which is nearly right.
 */
export class QueryResult {
  #source: readonly Row[] = NOTHING;
  #query: Query<Row> = {};
  #ordered: readonly Row[] = NOTHING;
  #result: readonly Row[] = NOTHING;

  read({ records }: CollectionView, query: Query<Row>): readonly Row[] {
    if (records === this.#source && isSameQuery(query, this.#query)) return this.#result;
    this.#source = records;
    this.#query = query;
    const matching = query.where === undefined ? records : records.filter(matcherOf(query.where));
    this.#ordered = query.orderBy === undefined ? matching : this.#sort(matching, comparerOf(query.orderBy));
    const limited = query.limit === undefined ? this.#ordered : this.#ordered.slice(0, query.limit);
    if (!isSameList(limited, this.#result)) this.#result = limited;
    return this.#result;
  }

  #sort(records: readonly Row[], compare: (a: Row, b: Row) => number): readonly Row[] {
    const [now, before] = [new Set(records), new Set(this.#ordered)];
    const known = this.#ordered.filter((record) => now.has(record));
    const unknown = records.filter((record) => !before.has(record));
    return [...known, ...unknown].sort((a, b) => compare(a, b) || compareIds(String(a.id), String(b.id)));
  }
}

function matcherOf(where: Where<Row>): (record: Row) => boolean {
  if (typeof where === 'function') return where;
  const fields = Object.entries(where);
  return (record) =>
    fields.every(([field, value]) =>
      field === 'id' ? String(record.id) === String(value) : Object.is(record[field], value),
    );
}

function comparerOf(orderBy: OrderBy<Row>): (a: Row, b: Row) => number {
  if (typeof orderBy === 'function') return orderBy;
  const orders = ordersOf(orderBy);
  return (a, b) => {
    for (const [field, direction] of orders) {
      const order = compareValues(a[field], b[field]);
      if (order !== 0) return direction === 'desc' ? -order : order;
    }
    return 0;
  };
}

function ordersOf(
  orderBy: Exclude<OrderBy<Row>, () => number>,
): readonly (readonly [string, 'asc' | 'desc'])[] {
  if (typeof orderBy === 'string') return [[orderBy, 'asc']];
  const [field, direction] = orderBy as readonly [string, string?];
  if (direction === 'asc' || direction === 'desc') return [[field, direction]];
  return (orderBy as readonly Order<Row>[]).map((order) =>
    typeof order === 'string' ? [order, 'asc'] : order,
  );
}

/** Missing values come last; values of different types in the order of their types. */
function compareValues(a: unknown, b: unknown): number {
  if (Object.is(a, b)) return 0;
  if (a === undefined || a === null || b === undefined || b === null) return rank(a) - rank(b);
  if (typeof a !== typeof b) return typeof a < typeof b ? -1 : 1;
  return typeof a === 'string' ? compareTexts(a, b as string) : compareIds(a as string, b as string);
}

const compareIds = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** As people of this place look for names: anna, Ärne, Zoe, and Room 9 before Room 10. Some phones have no `Intl`. */
const compareTexts =
  typeof Intl === 'object' && typeof Intl.Collator === 'function'
    ? new Intl.Collator(undefined, { numeric: true }).compare
    : compareIds;

const rank = (value: unknown): number => (value === undefined ? 2 : value === null ? 1 : 0);

/** Queries are written where they are used, so each render brings new objects that say the same. */
function isSameQuery(a: Query<Row>, b: Query<Row>): boolean {
  return a.limit === b.limit && isSame(a.where, b.where) && isSame(a.orderBy, b.orderBy);
}

function isSame(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  const [keys, others] = [Object.keys(a), Object.keys(b)];
  return (
    keys.length === others.length &&
    keys.every((key) => isSame(a[key as keyof typeof a], b[key as keyof typeof b]))
  );
}

function isSameList(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index]);
}
