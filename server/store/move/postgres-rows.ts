/** The rows of a user as a PostgreSQL has them in its tables. */
import type { UserId } from '../../../shared/names.js';
import * as format from '../format.js';
import { byteas, int8s, texts } from '../postgres/arrays.js';
import { placeOf } from '../postgres/plan.js';
import { rowOf } from '../postgres/reading.js';
import type { CopiedRow } from '../store.js';
import type { Rows } from './move.js';
import { NAMED, SINGLES, saysNothing } from './user-rows.js';

export type Ask = (text: string, values: unknown[]) => Promise<readonly Readonly<Record<string, unknown>>[]>;

const DOCUMENT = `
SELECT doc, claim, version, first, last, revision, history_from, memory, epoch FROM document WHERE user_id = $1::text`;
const SOME = 200;
const UPDATES = `
SELECT clock AS at, data AS value FROM update_row WHERE doc = $1::int8 AND clock > $2::int8 ORDER BY clock LIMIT ${SOME}`;
const ENTRIES = `
SELECT revision AS at, entry AS value FROM history_row WHERE doc = $1::int8 AND revision > $2::int8 ORDER BY revision LIMIT ${SOME}`;
const KEPT_SINGLES = 'SELECT kind, value FROM kept WHERE doc = $1::int8 AND kind = ANY($2::text[])';
const KEPT_NAMED = `
SELECT name, value FROM kept WHERE doc = $1::int8 AND kind = $2::text AND name > $3::bytea ORDER BY name LIMIT ${SOME}`;

const bytesOf = (value: unknown): Uint8Array => {
  if (!(value instanceof Uint8Array)) throw new Error('a value is no bytes');
  return value;
};

export async function* rowsOf(ask: Ask, user: string): Rows {
  const [document] = await ask(DOCUMENT, [user]);
  if (document === undefined) return;
  const { doc, ...row } = rowOf(document);
  if (!saysNothing(row)) yield [[format.rowKey(user), format.encodeRow(user, row)]];
  yield await singlesOf(ask, user, doc);
  yield* numbered(ask, UPDATES, doc, (at) => format.updateKey(user, at));
  yield* numbered(ask, ENTRIES, doc, (at) => format.historyKey(user, at));
  for (const kind of NAMED) yield* named(ask, { user, doc, kind });
}

async function singlesOf(ask: Ask, user: string, doc: number): Promise<CopiedRow[]> {
  const stored = await ask(KEPT_SINGLES, [doc, SINGLES.map(([kind]) => kind)]);
  return SINGLES.flatMap(([kind, keyOf]): CopiedRow[] =>
    stored.filter((each) => each.kind === kind).map(({ value }) => [keyOf(user), bytesOf(value)]),
  );
}

async function* numbered(ask: Ask, text: string, doc: number, keyOf: (at: number) => Buffer): Rows {
  for (let last = -1; ; ) {
    const some = await ask(text, [doc, last]);
    if (some.length === 0) return;
    yield some.map(({ at, value }): CopiedRow => [keyOf(Number(at)), bytesOf(value)]);
    last = Number(some.at(-1)?.at);
  }
}

interface Named {
  readonly user: string;
  readonly doc: number;
  readonly kind: format.NamedKind;
}

async function* named(ask: Ask, { user, doc, kind }: Named): Rows {
  for (let last: Uint8Array = Buffer.of(); ; ) {
    const some = await ask(KEPT_NAMED, [doc, kind, last]);
    if (some.length === 0) return;
    yield some.map(
      ({ name, value }): CopiedRow => [placeOf(kind, user as UserId, bytesOf(name)), bytesOf(value)],
    );
    last = bytesOf(some.at(-1)?.name);
  }
}

const PUT_DOCUMENT = `
INSERT INTO document (user_id, version, first, last, revision, history_from, memory, epoch)
VALUES ($1::text, 1, $2::int8, $3::int8, $4::int8, $5::int8, $6::int8, $7::int8) RETURNING doc`;
const PUT_UPDATES = `
INSERT INTO update_row (doc, clock, data) SELECT $1::int8, * FROM unnest($2::int8[], $3::bytea[])`;
const PUT_ENTRIES = `
INSERT INTO history_row (doc, revision, entry) SELECT $1::int8, * FROM unnest($2::int8[], $3::bytea[])`;
const PUT_KEPT = `
INSERT INTO kept (doc, kind, name, value) SELECT $1::int8, * FROM unnest($2::text[], $3::bytea[], $4::bytea[])`;
const OF_DOCUMENT = ['update_row', 'history_row', 'kept'];

/** In a transaction of its own, so that none of it is there alone. */
export async function removeUser(ask: Ask, user: string): Promise<void> {
  const [document] = await ask(DOCUMENT, [user]);
  if (document === undefined) return;
  for (const table of [...OF_DOCUMENT, 'document'])
    await ask(`DELETE FROM ${table} WHERE doc = $1::int8`, [document.doc]);
}

export async function putUser(ask: Ask, user: string, rows: Rows): Promise<void> {
  let doc: unknown;
  for await (const some of rows) {
    const [first] = some;
    if (first === undefined) continue;
    doc ??= await putDocument(ask, user, first);
    await putRows(ask, { doc, user }, some);
  }
}

/** The row comes first, where there is one. */
async function putDocument(ask: Ask, user: string, [key, value]: CopiedRow): Promise<unknown> {
  const row = format.rowKey(user).equals(key) ? format.decodeRow(user, value) : format.EMPTY_ROW;
  if (row === undefined) throw new Error('a row is damaged');
  const { first, last, revision, historyFrom, memory, epoch } = row;
  const [put] = await ask(PUT_DOCUMENT, [user, first, last, revision, historyFrom, memory, epoch]);
  return put?.doc;
}

async function putRows(
  ask: Ask,
  { doc, user }: { doc: unknown; user: string },
  rows: readonly CopiedRow[],
): Promise<void> {
  const of = (range: format.KeyRange) => rows.filter(([key]) => format.isIn(key, range));
  const [updates, entries] = [of(format.updateRange(user)), of(format.historyRange(user))];
  const valuesOf = (some: readonly CopiedRow[]) => byteas(some.map(([, value]) => value));
  if (updates.length > 0)
    await ask(PUT_UPDATES, [doc, int8s(updates.map(([key]) => format.clockOf(key))), valuesOf(updates)]);
  if (entries.length > 0)
    await ask(PUT_ENTRIES, [doc, int8s(entries.map(([key]) => format.revisionOf(key))), valuesOf(entries)]);
  const kept = rows.flatMap((row) => keptOf(user, row) ?? []);
  if (kept.length === 0) return;
  const kinds = texts(kept.map(({ kind }) => kind));
  await ask(PUT_KEPT, [
    doc,
    kinds,
    byteas(kept.map(({ name }) => name)),
    byteas(kept.map(({ value }) => value)),
  ]);
}

interface Kept {
  readonly kind: string;
  readonly name: Uint8Array;
  readonly value: Uint8Array;
}

function keptOf(user: string, [key, value]: CopiedRow): Kept | null {
  const named = format.namedKindOf(key, user);
  if (named !== null)
    return { kind: named, name: key.subarray(format.namedKey(named, user, '').length), value };
  const single = SINGLES.find(([, keyOf]) => keyOf(user).equals(key));
  return single === undefined ? null : { kind: single[0], name: Buffer.of(), value };
}
