/**
 * A JSON device that was away for longer than history is kept leaves a record as it would be left where all of it is
 * kept (L6, L8): whatever others did to its fields, objects and elements, or to the record itself.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type * as Y from 'yjs';
import { isObject, type Json, type JsonObject } from '../shared/json.js';
import { assignRecord, recordMap, writeRecord } from '../shared/records.js';
import { runs } from './support/runs.js';
import { DAY, memoryShelf, record, Ward, type WardDevice } from './support/ward.js';

const N1 = record('notes', 'n1');
const BEGIN = Date.UTC(2025, 0, 31);
const FIELDS = ['a', 'b', 'c'];
const IDS = ['m1', 'm2', 'm3', 'm4'];

/** What somebody does to a record; values are made unique by whoever does it. */
type Deed =
  | { readonly kind: 'set' | 'set as at first' | 'unset'; readonly field: string }
  | { readonly kind: 'set inside' | 'unset inside'; readonly field: string }
  | { readonly kind: 'change element' | 'remove element'; readonly id: string; readonly field: string }
  | { readonly kind: 'delete' };

const field = fc.constantFrom(...FIELDS);
const deed: fc.Arbitrary<Deed> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('set', 'set as at first', 'unset'), field }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('set inside', 'unset inside'), field }) },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constantFrom('change element', 'change element', 'remove element'),
      id: fc.constantFrom(...IDS),
      field,
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'delete' } as const) },
);

/** A field that it removed and others changed stays: whether it had been there is not always known. */
const ownDeed = deed.filter(({ kind }) => !kind.startsWith('unset'));

const without = (object: JsonObject, name: string): JsonObject => {
  const { [name]: _, ...others } = object;
  return others;
};
const objectIn = (value: Json | undefined): JsonObject => (isObject(value) ? value : {});

/** The record after a deed; `null`: there is none. A deed to none makes it anew. */
function done(before: JsonObject | null, deed: Deed, value: Json): JsonObject | null {
  const note: JsonObject = before ?? { id: 'n1' };
  switch (deed.kind) {
    case 'delete':
      return null;
    case 'set':
      return { ...note, [deed.field]: value };
    case 'set as at first':
      return { ...note, [deed.field]: 0 };
    case 'unset':
      return without(note, deed.field);
    case 'set inside':
      return { ...note, at: { ...objectIn(note.at), [deed.field]: value } };
    case 'unset inside':
      return isObject(note.at) ? { ...note, at: without(note.at, deed.field) } : note;
    default:
      return { ...note, list: elementsAfter(Array.isArray(note.list) ? note.list : [], deed, value) };
  }
}

function elementsAfter(list: Json[], deed: Extract<Deed, { id: string }>, value: Json): Json[] {
  const is = (element: Json) => isObject(element) && element.id === deed.id;
  if (deed.kind === 'remove element') return list.filter((element) => !is(element));
  if (!list.some(is)) return [...list, { id: deed.id, [deed.field]: value }];
  return list.map((element) => (is(element) ? { ...objectIn(element), [deed.field]: value } : element));
}

function write(doc: Y.Doc, before: JsonObject | null, after: JsonObject | null): void {
  const map = recordMap(doc, N1.collection, N1.id);
  if (after === null) doc.getMap('notes').delete('n1');
  else if (map === null) writeRecord(doc, N1.collection, N1.id, after);
  else assignRecord(map, after, before ?? {});
}

async function said(tablet: WardDevice, note: JsonObject | null, at?: number | null): Promise<typeof note> {
  if (note === null) await tablet.delete('notes', 'n1', at);
  else await tablet.update('notes', note, at);
  return note;
}

interface Life {
  /** Of others, each on a day of its own, before the tablet reads. */
  readonly before: readonly Deed[];
  /** Of the tablet, while it is there. */
  readonly visit: Deed;
  /** Of others, on their way to the tablet when it leaves. */
  readonly crossing: readonly Deed[];
  readonly others: readonly Deed[];
  /** Of the tablet, after so many of the others' deeds. */
  readonly mine: readonly (readonly [after: number, deed: Deed])[];
  readonly isTimed: boolean;
}

const START: JsonObject = {
  id: 'n1',
  a: 0,
  b: 0,
  at: { a: 0, b: 0 },
  list: [
    { id: 'm1', a: 0, b: 0 },
    { id: 'm2', a: 0 },
    { id: 'm3', a: 0 },
  ],
};

/** What becomes of the record, and what it was before the tablet came back. */
async function live(life: Life, historyDays: number): Promise<(Json | null)[]> {
  const { before, visit, crossing, others, mine, isTimed } = life;
  const ward = await Ward.open(memoryShelf(), { historyDays });
  let note: JsonObject | null = START;
  const doIt = (next: Deed, value: Json) => {
    const after = done(note, next, value);
    const old = note;
    if (old !== null || after !== null) ward.write('phone', (doc) => write(doc, old, after));
    note = after;
  };
  ward.write('phone', (doc) => write(doc, null, START));
  for (const [index, each] of before.entries()) doIt(each, `before ${index}`);
  const tablet = await ward.line('tablet').ready();
  ward.now += 40_000;
  let copy: JsonObject | null = note === null ? null : { ...(note as JsonObject), known: 1 };
  if (copy !== null) await tablet.update('notes', copy);
  if (copy !== null) copy = await said(tablet, done(copy, visit, 'at the visit'));
  note = copy;
  ward.now += 40_000;
  for (const [index, each] of crossing.entries()) doIt(each, `crossing ${index}`);
  await ward.document.durable();
  tablet.leave();
  ward.document.saveDevices('all');
  await ward.document.durable();
  for (const [index, each] of others.entries()) {
    ward.now = BEGIN + (index + 1) * DAY;
    doIt(each, `of others ${index}`);
  }
  await ward.document.durable();
  ward.now = BEGIN + 400 * DAY;
  await ward.restart();
  const back = await ward.line('tablet').ready();
  for (const [index, [after, each]] of mine.entries()) {
    const madeAt = isTimed ? BEGIN + (after + 1) * DAY + DAY / 2 + index : null;
    copy = await said(back, done(copy, each, `mine ${index}`), madeAt);
  }
  back.leave();
  expect([ward.unexpected, ward.damaged, ward.failures, ward.unpruned]).toEqual([[], [], [], []]);
  return [ward.json('notes', 'n1') as JsonObject | null, note];
}

/** Each value by where it stands, elements by their ids. */
function leavesOf(value: Json | null, path = ''): string[] {
  if (value === null && path === '') return []; // no record at all
  const parts = Array.isArray(value)
    ? value.map((element) => [String(objectIn(element).id), element] as const)
    : isObject(value)
      ? Object.entries(value)
      : null;
  if (parts === null) return [`${path} ${JSON.stringify(value)}`];
  return parts.flatMap(([name, part]) => leavesOf(part, `${path}/${name}`));
}

const lives: fc.Arbitrary<Life> = fc.record({
  before: fc.array(deed, { maxLength: 2 }),
  visit: ownDeed,
  crossing: fc.array(deed, { maxLength: 2 }),
  others: fc.array(deed, { maxLength: 8 }),
  mine: fc
    .array(fc.tuple(fc.nat(8), ownDeed), { minLength: 1, maxLength: 3 })
    .map((all) => [...all].sort(([one], [other]) => one - other)),
  isTimed: fc.boolean(),
});

const change = (id: string): Deed => ({ kind: 'change element', id, field: 'a' });

/** The record was made anew, and what the tablet had deleted before it went is like what it wrote since. */
const MADE_ANEW: Life = {
  before: [],
  visit: { kind: 'delete' },
  crossing: [{ kind: 'set inside', field: 'a' }],
  others: [change('m1'), change('m4')],
  mine: [
    [0, change('m1')],
    [0, change('m2')],
    [0, change('m1')],
  ],
  isTimed: false,
};

test('[L8 L6 L7 L9 H7] what it sends after that is merged as if all of the history were kept', async () => {
  await fc.assert(
    fc.asyncProperty(lives, async (each) => {
      const [[pruned, theirs], [kept]] = [await live(each, 1), await live(each, 100_000)];
      if (!each.others.some(({ kind }) => kind === 'delete')) expect(pruned).toEqual(kept);
      expect(pruned === null).toBe(kept === null);
      // Of a record that was deleted, what the device changed of the old one may be missing, and nothing else.
      const [all, others] = [new Set(leavesOf(kept ?? null)), new Set(leavesOf(theirs ?? null))];
      const left = new Set(leavesOf(pruned ?? null));
      const isMine = (leaf: string) => /"mine \d+"$|\/id "\w+"$/.test(leaf);
      expect([...left].filter((leaf) => !all.has(leaf) && !others.has(leaf) && !isMine(leaf))).toEqual([]);
      expect([...others].filter((leaf) => all.has(leaf) && !left.has(leaf))).toEqual([]);
    }),
    { numRuns: runs(60), examples: [[MADE_ANEW]] },
  );
});
