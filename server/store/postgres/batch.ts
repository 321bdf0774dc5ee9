/** One batch of changes as one statement. */
import type { QueryConfig } from 'pg';
import type { Row } from '../format.js';
import { byteas, int8s, texts } from './arrays.js';
import type { Held, KeptValue, PostgresJob, ValueAt } from './plan.js';
import { CHANGE, COMMIT, CONFIRM } from './statements.js';

/** What becomes of one document. Of what is written twice only the last counts. */
export class DocumentChange {
  readonly held: Held;
  row: Row;
  /** In their order. */
  readonly updates: ValueAt[] = [];
  readonly entries: ValueAt[] = [];
  /** `null` while there is nothing, as most of the time. */
  #kept: Map<string, KeptValue> | null = null;
  /** Else it is only asked whether the user still is this node's. */
  isChange = false;
  #trims = false;

  constructor({ held, was }: PostgresJob) {
    this.held = held;
    this.row = was;
  }

  add({ plan }: PostgresJob): void {
    if (plan === null) return;
    const { row, update, entries, kept } = plan;
    this.isChange = true;
    // A commit moves `last` alone, and its entries come behind those that are there.
    this.#trims ||= update !== null && update.at !== row.last;
    this.#trims ||= row.first !== this.row.first || row.historyFrom !== this.row.historyFrom;
    this.row = row;
    if (update !== null) put(this.updates, update);
    for (const entry of entries) put(this.entries, entry);
    for (const value of kept) this.#keep(value);
  }

  get kept(): Iterable<KeptValue> {
    return this.#kept?.values() ?? [];
  }

  /** More than updates and entries. */
  get isMore(): boolean {
    return this.#kept !== null || this.#trims;
  }

  #keep(value: KeptValue): void {
    this.#kept ??= new Map();
    this.#kept.set(`${value.kind} ${Buffer.from(value.name).toString('hex')}`, value);
  }
}

/** Behind all of them, or in the place of the one that it replaces. */
function put(values: ValueAt[], value: ValueAt): void {
  const last = values.at(-1);
  if (last === undefined || last.at < value.at) {
    values.push(value);
    return;
  }
  const place = values.findIndex(({ at }) => at >= value.at);
  values.splice(place, values[place]?.at === value.at ? 1 : 0, value);
}

export function changesOf(jobs: readonly PostgresJob[]): DocumentChange[] {
  const changes = new Map<Held, DocumentChange>();
  for (const job of jobs) {
    const change = changes.get(job.held) ?? new DocumentChange(job);
    changes.set(job.held, change);
    change.add(job);
  }
  return [...changes.values()];
}

export function statementOf(
  node: number,
  changes: readonly DocumentChange[],
): QueryConfig & { values: unknown[] } {
  const isMore = changes.some((change) => change.isMore);
  const values = [node, ...rowValues(changes), ...hotValues(changes), ...(isMore ? keptValues(changes) : [])];
  return isMore ? { name: 'change', text: CHANGE, values } : { name: 'commit', text: COMMIT, values };
}

export function questionOf(
  node: number,
  asked: readonly DocumentChange[],
): QueryConfig & { values: unknown[] } {
  const values = [node, ...claimsOf(asked.map(({ held }) => held))];
  return { name: 'confirm', text: CONFIRM, values };
}

/** As the database has to have them, where they still are this node's. */
export const claimsOf = (all: readonly Held[]): Buffer[] => [
  int8s(all.map(({ doc }) => doc)),
  int8s(all.map(({ claim }) => claim)),
  int8s(all.map(({ version }) => version)),
];

/** In place of null: as a checksum it can't be. */
const NONE = -1;

const rowValues = (changes: readonly DocumentChange[]): Buffer[] =>
  [
    ({ held }: DocumentChange) => held.doc,
    ({ held }: DocumentChange) => held.claim,
    ({ held }: DocumentChange) => held.version,
    ({ row }: DocumentChange) => row.first,
    ({ row }: DocumentChange) => row.last,
    ({ row }: DocumentChange) => row.revision,
    ({ row }: DocumentChange) => row.historyFrom,
    ({ row }: DocumentChange) => row.memory ?? NONE,
    ({ row }: DocumentChange) => row.epoch ?? NONE,
  ].map((value) => int8s(changes.map(value)));

function hotValues(changes: readonly DocumentChange[]): Buffer[] {
  const updates = new Rows();
  const entries = new Rows();
  for (const change of changes) {
    const { held, row } = change;
    for (const each of change.updates) if (each.at >= row.first) updates.add(held.doc, each);
    for (const each of change.entries) if (each.at > row.historyFrom) entries.add(held.doc, each);
  }
  return [...updates.arrays(), ...entries.arrays()];
}

/** Values of several documents, column by column. */
class Rows {
  readonly #docs: number[] = [];
  readonly #ats: number[] = [];
  readonly #values: Uint8Array[] = [];

  add(doc: number, { at, value }: ValueAt): void {
    this.#docs.push(doc);
    this.#ats.push(at);
    this.#values.push(value);
  }

  arrays(): Buffer[] {
    return [int8s(this.#docs), int8s(this.#ats), byteas(this.#values)];
  }
}

function keptValues(changes: readonly DocumentChange[]): Buffer[] {
  const kept = changes.flatMap(({ held: { doc }, kept }) => [...kept].map((value) => ({ doc, ...value })));
  return [
    int8s(kept.map(({ doc }) => doc)),
    texts(kept.map(({ kind }) => kind)),
    byteas(kept.map(({ name }) => name)),
    byteas(kept.map(({ value }) => value)),
  ];
}
