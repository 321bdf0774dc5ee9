import { describe, expect, test } from 'vitest';
import type { Json, JsonObject } from '../../../shared/json.js';
import { mayDelete, mergeWrite, type Path, type WriteToMerge } from '../../../shared/merge/merge.js';

/** One of four values, or none (`-`). */
type Letter = 'A' | 'B' | 'C' | 'D' | '-';

const CHANGED = 1_000;
const TIMES: readonly [name: string, madeAt: number | null][] = [
  ['earlier', CHANGED - 1],
  ['at the same time', CHANGED],
  ['later', CHANGED + 1],
  ['without a time', null],
];

/** A place where a value can stand. */
interface Kind {
  readonly name: string;
  readonly valueOf: (letter: Letter) => Json;
  readonly record: (value: Json | undefined) => JsonObject;
  /** The path of a conflict; `both`: both sides have a value. */
  readonly path: (both: boolean) => Path;
  /** What becomes of two values that differ, where it isn't the later one. */
  readonly both?: (incoming: Letter, current: Letter, seen: readonly Letter[]) => Json | null;
  /** What the device may not have read stays: it can't be told from what the device put in its place. */
  readonly keepsUnread?: boolean;
  readonly isText?: boolean;
}

const optional = (key: string, value: Json | undefined): JsonObject =>
  value === undefined ? {} : { [key]: value };

const KINDS: readonly Kind[] = [
  {
    name: 'a field',
    valueOf: (letter) => letter,
    record: (value) => ({ rest: 1, ...optional('f', value) }),
    path: () => ['f'],
  },
  {
    name: 'a field of a nested object',
    valueOf: (letter) => letter,
    record: (value) => ({ nested: { rest: 1, ...optional('f', value) } }),
    path: () => ['nested', 'f'],
  },
  {
    name: 'an element of an array',
    valueOf: (letter) => ({ id: 'm1', name: letter }),
    record: (value) => ({ list: [{ id: 'm0' }, ...(value === undefined ? [] : [value])] }),
    path: (both) => ['list', { id: 'm1' }, ...(both ? ['name'] : [])],
  },
  {
    name: 'an array of values',
    valueOf: (letter) => [letter],
    record: (value) => ({ rest: 1, ...optional('tags', value) }),
    path: () => ['tags'],
    both: (incoming, current) => [current, incoming],
    keepsUnread: true,
  },
  {
    name: 'a shared text',
    valueOf: (letter) => `word${letter}`,
    record: (value) => ({ rest: 1, ...optional('text', value) }),
    path: () => ['text'],
    both: (incoming, current, seen) =>
      seen.every((letter) => letter === '-') ? null : `word${current} word${incoming}`,
    isText: true,
  },
];

const recordOf = (kind: Kind, letter: Letter): JsonObject =>
  kind.record(letter === '-' ? undefined : kind.valueOf(letter));

function writeOf(kind: Kind, [i, c]: readonly [Letter, Letter], more: Partial<WriteToMerge>): WriteToMerge {
  return {
    seen: [],
    incoming: recordOf(kind, i),
    current: recordOf(kind, c),
    deletion: null,
    madeAt: null,
    changedAt: (path) => {
      expect(path).toEqual(kind.path(i !== '-' && c !== '-'));
      return CHANGED;
    },
    knows: () => true,
    isText: () => kind.isText === true,
    isMarkup: () => false,
    ...more,
  };
}

/** The record, and that it is the very object where nothing changed. */
function expectMerged(write: WriteToMerge, expected: JsonObject | null): void {
  const merged = mergeWrite(write);
  expect(merged).toEqual(expected);
  const isUnchanged = JSON.stringify(expected) === JSON.stringify(write.current);
  expect(merged === write.current).toBe(isUnchanged);
}

/** seen, incoming, current, and what comes of it; `time`: it is a conflict. */
type Row = readonly [seen: string, incoming: Letter, current: Letter, outcome: Letter | 'time'];

const ROWS: readonly Row[] = [
  // The device did not touch it.
  ['A', 'A', 'A', 'A'],
  ['A', 'A', 'B', 'B'],
  ['A', 'A', '-', '-'],
  ['-', '-', '-', '-'],
  ['-', '-', 'B', 'B'],
  // Nobody else touched it.
  ['A', 'B', 'A', 'B'],
  ['A', '-', 'A', '-'],
  ['-', 'B', '-', 'B'],
  // Both did the same.
  ['A', 'B', 'B', 'B'],
  ['A', '-', '-', '-'],
  ['-', 'B', 'B', 'B'],
  // Both touched it.
  ['A', 'B', 'C', 'time'],
  ['A', 'B', '-', 'time'],
  ['A', '-', 'B', 'time'],
  ['-', 'B', 'C', 'time'],
  // Somebody changed it between two versions that the device may have been looking at.
  ['A B', 'A', 'A', 'A'],
  ['A B', 'A', 'B', 'B'],
  ['A B', 'A', 'C', 'C'],
  ['A B', 'A', '-', '-'],
  ['A B', 'B', 'A', 'A'],
  ['A B', 'B', 'B', 'B'],
  ['A B', 'B', 'C', 'C'],
  ['A B', 'B', '-', '-'],
  ['A B', 'C', 'A', 'C'],
  ['A B', 'C', 'B', 'C'],
  ['A B', 'C', 'C', 'C'],
  ['A B', 'C', 'D', 'time'],
  ['A B', 'C', '-', 'time'],
  ['A B', '-', 'A', '-'],
  ['A B', '-', 'B', '-'],
  ['A B', '-', 'C', 'time'],
  ['A B', '-', '-', '-'],
  // It was there and back again.
  ['A B A', 'B', 'A', 'A'],
  ['A B A', 'C', 'B', 'C'],
  // Somebody added or removed it between two of them.
  ['- A', '-', 'A', 'A'],
  ['- A', '-', 'B', 'B'],
  ['- A', 'A', '-', '-'],
  ['- A', 'B', '-', 'B'],
  ['- A', 'B', 'A', 'B'],
  ['- A', 'B', 'C', 'time'],
  ['A -', '-', 'A', 'A'],
  ['A -', 'A', '-', '-'],
  ['A -', 'A', 'B', 'B'],
  ['A -', 'B', '-', 'B'],
];

const lettersOf = (text: string): Letter[] => text.split(' ') as Letter[];

/** What a conflict comes to. */
function settled(kind: Kind, [seen, i, c]: Row, madeAt: number | null): JsonObject {
  // Words that came unseen stay.
  if (kind.isText && i === '-') return recordOf(kind, c);
  const both = i === '-' || c === '-' ? null : (kind.both?.(i, c, lettersOf(seen)) ?? null);
  if (both !== null) return kind.record(both);
  return recordOf(kind, madeAt === null || madeAt >= CHANGED ? i : c);
}

/** It wrote something of its own, with or without having read what is there now. */
function mayBeUnread([seen, i, c]: Row): boolean {
  const versions = lettersOf(seen);
  return versions.some((letter) => letter !== c) && versions.includes(c) && ![...versions, '-'].includes(i);
}

describe.each(KINDS.map((kind) => [kind.name, kind] as const))('%s', (_, kind) => {
  const cases = ROWS.flatMap((row) => TIMES.map(([time, madeAt]) => ({ row, time, madeAt })));
  const named = cases.map(({ row, time, madeAt }) => {
    const [seen, i, c, outcome] = row;
    const isBoth = kind.keepsUnread && c !== '-' && mayBeUnread(row);
    const isSettled = outcome === 'time' || isBoth;
    // A text that is taken away loses its words.
    const isEmptied = kind.isText && outcome === '-' && c !== '-';
    const whole = isEmptied && !seen.endsWith('-') ? kind.record('') : recordOf(kind, outcome as Letter);
    const expected = isSettled ? settled(kind, row, madeAt) : whole;
    const result = isSettled ? JSON.stringify(expected) : outcome;
    return [`seen ${seen}, incoming ${i}, current ${c}, ${time} → ${result}`, row, madeAt, expected] as const;
  });

  test.each(named)('[L6] %s', (_, [seen, incoming, current], madeAt, expected) => {
    const versions = lettersOf(seen).map((letter) => recordOf(kind, letter));
    expectMerged(writeOf(kind, [incoming, current], { seen: versions, madeAt }), expected);
  });

  const UNSEEN: readonly [Letter, Letter, earlier: Letter, same: Letter, later: Letter, none: Letter][] = [
    ['-', 'A', 'A', 'A', 'A', 'A'],
    ['-', '-', '-', '-', '-', '-'],
    ['A', 'A', 'A', 'A', 'A', 'A'],
    ['B', 'A', 'A', 'A', 'B', 'A'],
    ['B', '-', '-', '-', 'B', kind.name === 'an element of an array' ? '-' : 'B'],
  ];
  const unseen = UNSEEN.flatMap(([incoming, current, ...outcomes]) =>
    TIMES.map(([time, madeAt], at) => [incoming, current, time, outcomes[at] ?? '-', madeAt] as const),
  );

  test.each(unseen)(
    '[L8] seen is not known, incoming %s, current %s, %s → %s',
    (incoming, current, _, outcome, madeAt) => {
      expectMerged(writeOf(kind, [incoming, current], { madeAt }), recordOf(kind, outcome));
    },
  );

  test.each(TIMES)('[L7] exists, but in no version seen: union, a conflict %s', (_, madeAt) => {
    const write = writeOf(kind, ['B', 'C'], { seen: [null], madeAt });
    const row: Row = ['-', 'B', 'C', 'time'];
    expectMerged(write, settled(kind, row, madeAt));
    expectMerged(writeOf(kind, ['-', 'C'], { seen: [null], madeAt }), recordOf(kind, 'C'));
    expectMerged(writeOf(kind, ['B', '-'], { seen: [null], madeAt }), recordOf(kind, 'B'));
  });
});

describe('a field that the app of the device does not know', () => {
  const PLACES: readonly [name: string, path: Path, record: (value: Json | undefined) => JsonObject][] = [
    ['at the top', ['f'], (value) => ({ rest: 1, ...optional('f', value) })],
    ['in a nested object', ['n', 'f'], (value) => ({ n: { rest: 1, ...optional('f', value) } })],
    [
      'in an element',
      ['l', { id: 'm1' }, 'f'],
      (value) => ({ l: [{ id: 'm1', rest: 1, ...optional('f', value) }] }),
    ],
    [
      'in an element of an element',
      ['l', { id: '7' }, 'l', { id: 'm1' }, 'f'],
      (value) => ({ l: [{ id: 7, l: [{ id: 'm1', rest: 1, ...optional('f', value) }] }] }),
    ],
  ];
  const OUTCOMES: readonly (readonly [string, Letter, Letter, known: Letter])[] = [
    ['A', 'A', 'A', '-'],
    ['A', 'B', 'B', '-'],
    ['A', '-', '-', '-'],
    ['-', 'B', 'B', 'B'],
    ['A B', 'A', 'A', '-'],
  ];
  const rows = PLACES.flatMap(([place, path, record]) =>
    OUTCOMES.map((row) => [place, ...row, path, record] as const),
  );

  test.each(rows)(
    '[L6] %s: seen %s, incoming -, current %s → %s (were it known: %s)',
    (_, seen, current, unknown, known, path, record) => {
      const at = (letter: Letter) => record(letter === '-' ? undefined : letter);
      const write = {
        seen: lettersOf(seen).map(at),
        incoming: at('-'),
        current: at(current),
        deletion: null,
        madeAt: null,
        changedAt: () => CHANGED,
        isText: () => false,
        isMarkup: () => false,
      };
      const isField = (asked: Path) => JSON.stringify(asked) === JSON.stringify(path);
      expectMerged({ ...write, knows: (asked) => !isField(asked) }, at(unknown));
      expectMerged({ ...write, knows: () => true }, at(known));
    },
  );
});

describe('records', () => {
  const field = KINDS[0] as Kind;
  const ANY = [...TIMES.map(([, madeAt]) => madeAt)];
  const unseen = (at: number) => ({ at, unseen: true });
  const deleted = (at: number) => ({ at, unseen: false });
  type Versions = readonly (JsonObject | null)[];
  const V: JsonObject = { f: 'A' };

  test.each<[string, Versions, WriteToMerge['deletion'], readonly (number | null)[], 'created' | 'dropped']>([
    ['never existed, nothing seen', [], null, ANY, 'created'],
    ['never existed, seen so', [null], null, ANY, 'created'],
    ['deleted since', [V], unseen(CHANGED), ANY, 'dropped'],
    ['deleted since, whatever is said of it', [V], deleted(CHANGED), ANY, 'dropped'],
    ['the deletion was seen', [null], deleted(CHANGED), ANY, 'created'],
    ['the deletion was seen twice', [null, null], deleted(CHANGED), ANY, 'created'],
    ['perhaps seen, perhaps not', [V, null], deleted(CHANGED), ANY, 'dropped'],
    ['perhaps created and deleted', [null, V], deleted(CHANGED), ANY, 'dropped'],
    ['not known what was seen, but not the deletion', [], unseen(CHANGED), ANY, 'dropped'],
    ['not known what was seen, earlier', [], deleted(CHANGED), [CHANGED - 1], 'dropped'],
    ['not known what was seen, at the same time', [], deleted(CHANGED), [CHANGED], 'dropped'],
    ['not known what was seen, later', [], deleted(CHANGED), [CHANGED + 1], 'created'],
    ['not known what was seen, without a time', [], deleted(CHANGED), [null], 'dropped'],
  ])('[L7] no record, %s', (_, seen, deletion, times, outcome) => {
    for (const madeAt of times) {
      const write = { ...writeOf(field, ['B', '-'], { seen, deletion, madeAt }), current: null };
      expect(mergeWrite(write)).toEqual(outcome === 'created' ? write.incoming : null);
    }
  });

  test('[L7] created again since: the fields of both, conflicts by time', () => {
    const write = writeOf(field, ['B', 'C'], { seen: [{ rest: 1, f: 'A' }], deletion: unseen(900) });
    expectMerged({ ...write, madeAt: CHANGED - 1 }, recordOf(field, 'C'));
    expectMerged({ ...write, madeAt: CHANGED }, recordOf(field, 'B'));
  });

  test('[L7] of a record that was not there in one of the versions seen, nothing is removed', () => {
    expectMerged(writeOf(field, ['-', 'A'], { seen: [null, recordOf(field, 'A')] }), recordOf(field, 'A'));
  });

  test.each<[boolean, Versions, createdAgain: boolean, may: boolean]>([
    [false, [], false, true],
    [false, [], true, true],
    [false, [null], true, true],
    [false, [V], false, true],
    [true, [], false, false],
    [true, [], true, false],
    [true, [null], false, false],
    [true, [null, null], false, false],
    [true, [V], false, true],
    [true, [V, null], false, true],
    [true, [null, V], false, true],
    [true, [V], true, false],
    [true, [null, V], true, false],
  ])('[L9] replay %s, seen %j, created again %s: may delete %s', (replay, seen, createdAgain, may) => {
    expect(mayDelete({ replay, seen, createdAgain })).toBe(may);
  });
});
