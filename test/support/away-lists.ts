/** Random lives of a tablet that is away for longer than history is kept, and of lists that others change meanwhile. */
import fc from 'fast-check';
import type { Json, JsonObject, JsonRecord } from '../../shared/json.js';
import { assignRecord, recordMap } from '../../shared/records.js';
import { Away, type AwayWrite, N1, RETURN } from './away.js';
import { memoryShelf } from './ward.js';

const HALF_DAY = 0.5;
/** In which list of the record. */
const PLACES = ['tags', 'in an object', 'in an element'] as const;
const KINDS = ['add', 'add', 'remove', 'remove', 'move', 'replace', 'other'] as const;
/** Edits after which it is known which values there have to be. */
const PLAIN_KINDS = ['add', 'add', 'remove', 'remove', 'move'] as const;

type Place = (typeof PLACES)[number];

interface Edit {
  readonly kind: (typeof KINDS)[number];
  readonly place: Place;
  readonly at: number;
  readonly to: number;
  readonly value: Json;
}

type Step = { readonly by: 'others' | 'tablet'; readonly edit: Edit } | { readonly by: 'visit' };

export interface AwayLife {
  readonly lists: readonly (readonly Json[])[];
  readonly steps: readonly Step[];
  /** Whether the tablet says when it wrote what it sends. */
  readonly isTimed: boolean;
  /** What others do after its queue came, which it sends once more another year later; `null`: it does not. */
  readonly again: readonly Edit[] | null;
}

const values = fc.constantFrom<Json>(
  'a',
  'b',
  'c',
  'd',
  'e',
  1,
  '1',
  null,
  true,
  { unit: 'mg' },
  { unit: 'g' },
  [1],
  [],
);

const lifeOf = (kinds: readonly Edit['kind'][]): fc.Arbitrary<AwayLife> => {
  const edit = fc.record({
    kind: fc.constantFrom(...kinds),
    place: fc.constantFrom(...PLACES),
    at: fc.nat(20),
    to: fc.nat(20),
    value: values,
  });
  const byAny = fc.record({ by: fc.constantFrom('others', 'tablet'), edit });
  const step = fc.oneof(
    { weight: 5, arbitrary: byAny },
    { weight: 1, arbitrary: fc.constant({ by: 'visit' as const }) },
  );
  return fc.record({
    lists: fc.tuple(...PLACES.map(() => fc.array(values, { maxLength: 6 }))),
    steps: fc.array(step, { minLength: 2, maxLength: 14 }),
    isTimed: fc.boolean(),
    again: fc.option(fc.array(edit, { maxLength: 4 })),
  });
};

export const anyLife = lifeOf(KINDS);

/** No value is put in twice, and the tablet says when: so it is known which ones there have to be in the end. */
export const plainLife = lifeOf(PLAIN_KINDS).map(numbered);

function numbered({ lists, steps, again }: AwayLife): AwayLife {
  let last = 0;
  const withNumber = (edit: Edit): Edit => ({ ...edit, value: ++last });
  return {
    lists: lists.map((list) => list.map(() => ++last)),
    steps: steps.map((step) => (step.by === 'visit' ? step : { ...step, edit: withNumber(step.edit) })),
    isTimed: true,
    again: again?.map(withNumber) ?? null,
  };
}

export interface Lived {
  readonly record: JsonRecord;
  /** The values that were put into a list and not taken out, where none is put in twice. */
  readonly left: ReadonlySet<Json>;
}

export async function lived({ lists, steps, isTimed, again }: AwayLife, historyDays: number): Promise<Lived> {
  const [tags = [], inner = [], last = []] = lists.map((list) => [...list]);
  const visits = [{ id: 'v0' }, { id: 'v1', tags: last }];
  const away = await Away.with(memoryShelf(), historyDays, { tags, object: { tags: inner }, visits });
  const left = new Set<Json>(lists.flat());
  let copy: JsonObject = {};
  let queue: AwayWrite[] = [];
  const current = (): JsonObject => {
    const { id: _, ...fields } = away.ward.json('notes', 'n1') as JsonRecord;
    return fields;
  };
  const others = (edit: Edit): void => {
    const before = current();
    const map = recordMap(away.ward.document.doc, N1.collection, N1.id);
    away.write(() => map !== null && assignRecord(map, edited(before, edit, left), before));
  };
  /** Its queue first; then it comes again, and reads all of it. */
  const visit = async (): Promise<void> => {
    const tablet = await away.ward.line('tablet').ready();
    await away.send(tablet, queue);
    tablet.leave();
    await away.visit();
    [copy, queue] = [current(), []];
  };
  // By this its clock is known, and what it leaves out later counts as removed.
  await away.visit((tablet) =>
    tablet.updateAt('notes', { id: 'n1', ...current(), known: 1 }, away.ward.now, away.ward.now),
  );
  await visit();
  for (const [n, step] of steps.entries()) {
    const day = HALF_DAY * (n + 1);
    away.day(day);
    if (step.by === 'visit') await visit();
    else if (step.by === 'others') others(step.edit);
    else {
      copy = { ...edited(copy, step.edit, left), edited: day };
      queue.push([isTimed ? day : null, copy]);
    }
  }
  await away.back(...queue);
  if (again !== null) {
    for (const edit of again) {
      away.ward.now += 1_000;
      others(edit);
    }
    await away.ward.document.durable();
    await away.backOn(2 * RETURN, queue);
  }
  const record = away.ward.json('notes', 'n1') as JsonRecord;
  await away.ward.stop();
  return { record, left };
}

export const listsIn = (record: JsonObject): Json[][] =>
  PLACES.map((place) => listAt(record, place)).filter((list) => Array.isArray(list));

const elementsOf = (record: JsonObject): JsonObject[] => record.visits as JsonObject[];

function listAt(record: JsonObject, place: Place): Json | undefined {
  if (place === 'tags') return record.tags;
  if (place === 'in an object') return (record.object as JsonObject).tags;
  return elementsOf(record)[1]?.tags;
}

function withList(record: JsonObject, place: Place, tags: Json): JsonObject {
  if (place === 'tags') return { ...record, tags };
  if (place === 'in an object') return { ...record, object: { tags } };
  return { ...record, visits: elementsOf(record).map((each, n) => (n === 1 ? { ...each, tags } : each)) };
}

/** The record after an edit; what stands in its lists then is noted in `left`. */
function edited(record: JsonObject, { kind, place, at, to, value }: Edit, left: Set<Json>): JsonObject {
  const now = listAt(record, place);
  const list = Array.isArray(now) ? [...now] : [];
  if (kind === 'replace') return withList(record, place, [value]);
  if (kind === 'other') return withList(record, place, 'none');
  if (kind === 'add') {
    list.splice(at % (list.length + 1), 0, value);
    left.add(value);
  } else if (list.length > 0) {
    const [taken = null] = list.splice(at % list.length, 1);
    if (kind === 'move') list.splice(to % (list.length + 1), 0, taken);
    else left.delete(taken);
  }
  return withList(record, place, list);
}
