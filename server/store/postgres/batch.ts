/** One batch of changes as one statement. */
import type { QueryConfig } from 'pg';
import type { Row } from '../format.js';
import { byteas, int8s, texts } from './arrays.js';
import type { Held, KeptValue, PostgresJob } from './plan.js';
import { CHANGE, COMMIT, CONFIRM } from './statements.js';

/** What becomes of one document. Of what is written twice only the last counts. */
export class DocumentChange {
  readonly held: Held;
  row: Row;
  readonly updates = new Map<number, Uint8Array>();
  readonly entries = new Map<number, Uint8Array>();
  readonly kept = new Map<string, KeptValue>();
  /** Else it is only asked whether the user still is this node's. */
  isChange = false;
  #trims = false;

  constructor({ held, was }: PostgresJob) {
    this.held = held;
    this.row = was;
  }

  add({ row, update, entries = [], kept = [], isQuestion = false }: PostgresJob): void {
    this.isChange ||= !isQuestion;
    // A commit moves `last` alone, and its entries come behind those that are there.
    this.#trims ||= update !== undefined && update[0] !== row.last;
    this.#trims ||= row.first !== this.row.first || row.historyFrom !== this.row.historyFrom;
    this.row = row;
    if (update !== undefined) this.updates.set(...update);
    for (const entry of entries) this.entries.set(...entry);
    for (const value of kept)
      this.kept.set(`${value.kind} ${Buffer.from(value.name).toString('hex')}`, value);
  }

  /** More than updates and entries. */
  get isMore(): boolean {
    return this.kept.size > 0 || this.#trims;
  }
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
  const updates = changes.flatMap(({ held: { doc }, row, updates }) =>
    [...updates].flatMap(([clock, value]) => (clock < row.first ? [] : [{ doc, at: clock, value }])),
  );
  const entries = changes.flatMap(({ held: { doc }, row, entries }) =>
    [...entries].flatMap(([revision, value]) =>
      revision <= row.historyFrom ? [] : [{ doc, at: revision, value }],
    ),
  );
  return [updates, entries].flatMap((rows) => [
    int8s(rows.map(({ doc }) => doc)),
    int8s(rows.map(({ at }) => at)),
    byteas(rows.map(({ value }) => value)),
  ]);
}

function keptValues(changes: readonly DocumentChange[]): Buffer[] {
  const kept = changes.flatMap(({ held: { doc }, kept }) =>
    [...kept.values()].map((value) => ({ doc, ...value })),
  );
  return [
    int8s(kept.map(({ doc }) => doc)),
    texts(kept.map(({ kind }) => kind)),
    byteas(kept.map(({ name }) => name)),
    byteas(kept.map(({ value }) => value)),
  ];
}
