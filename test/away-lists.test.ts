/**
 * Lists of values without an `id`, of a JSON device that was away for longer than history is kept: what others took out
 * stays out, and what the device changed is done, as where the history is kept (L6, L8).
 */
import { describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import type { Json } from '../shared/json.js';
import { writeRecord } from '../shared/records.js';
import { Away, N1, noteOf } from './support/away.js';
import { levelShelf, memoryShelf } from './support/ward.js';

const many = (count: number, name = 'v'): string[] => Array.from({ length: count }, (_, n) => `${name}${n}`);

describe.each([0, 1, 90, 100_000])('[L8] [H7] HISTORY_DAYS=%i', (historyDays) => {
  const open = (fields: object) => Away.with(memoryShelf(), historyDays, fields);

  describe.each([2, null])('on day %s', (day) => {
    test.each<[string, { read: Json[]; others: Json[]; sent: Json[]; after: Json[] }]>([
      [
        'adds a value, and brings back none that others removed',
        {
          read: ['penicillin', 'latex'],
          others: ['penicillin'],
          sent: ['penicillin', 'latex', 'nuts'],
          after: ['penicillin', 'nuts'],
        },
      ],
      [
        'removes a value, and none that others added',
        { read: ['a', 'b', 'c'], others: ['a', 'b', 'c', 'd'], sent: ['a', 'c'], after: ['a', 'c', 'd'] },
      ],
      [
        'removes what others did not',
        { read: ['a', 'b', 'c'], others: ['b', 'c'], sent: ['a', 'b'], after: ['b'] },
      ],
      [
        'puts a value where it stands among those that are left',
        {
          read: ['a', 'b', 'c'],
          others: ['b', 'c', 'd'],
          sent: ['a', 'b', 'x', 'c'],
          after: ['b', 'x', 'c', 'd'],
        },
      ],
      [
        'moves a value',
        {
          read: ['a', 'b', 'c', 'd'],
          others: ['a', 'b', 'd'],
          sent: ['d', 'a', 'b', 'c'],
          after: ['d', 'a', 'b'],
        },
      ],
      [
        'adds one more of a value that stands there twice, and others removed one of',
        { read: ['a', 'a', 'b'], others: ['a', 'b'], sent: ['a', 'a', 'b', 'b'], after: ['a', 'b', 'b'] },
      ],
      [
        'tells apart values of all kinds',
        {
          read: [1, '1', true, null, { unit: 'mg' }, [1, 2], 'null'],
          others: ['1', true, { unit: 'mg' }, [1, 2]],
          sent: [1, '1', null, { unit: 'g' }, [1, 2], 'null', 5],
          after: ['1', { unit: 'g' }, [1, 2], 5],
        },
      ],
      [
        'leaves empty what others emptied, but for its own',
        { read: ['a', 'b'], others: [], sent: ['a', 'b', 'c'], after: ['c'] },
      ],
      [
        'empties but for what others added',
        { read: ['a', 'b'], others: ['a', 'b', 'c'], sent: [], after: ['c'] },
      ],
      [
        'sends nothing but what it had read',
        { read: ['a', 'b'], others: ['c'], sent: ['a', 'b'], after: ['c'] },
      ],
    ])('%s', async (_, { read, others, sent, after }) => {
      const away = await open({ tags: read, known: 1 });
      // What an app leaves out counts as removed where it has sent it once.
      await away.visit((tablet) => tablet.update('notes', { id: 'n1', tags: read, known: 2 }));
      away.day(1);
      away.set({ tags: others });
      expect(await away.back([day, { tags: sent, known: 3 }])).toEqual({ id: 'n1', tags: after, known: 3 });
    });

    test('so it is in an object of an element of a list', async () => {
      const visit = (id: string, tags: Json[]) => ({ id, seen: { by: { tags } } });
      const away = await open({ visits: [visit('v1', ['a', 'b']), visit('v2', ['a'])] });
      await away.visit();
      away.day(1);
      away.set({ visits: [visit('v0', []), visit('v1', ['b', 'x'])] });
      const sent = [visit('v1', ['a', 'b', 'mine']), visit('v2', ['a'])];
      const after = [visit('v0', []), visit('v1', ['b', 'x', 'mine'])];
      expect(await away.back([day, { visits: sent }])).toEqual({ id: 'n1', visits: after });
    });

    test('so it is where others changed it many times', async () => {
      const away = await open({ tags: ['a', 'b', 'c'] });
      await away.visit();
      const lists = [['a', 'c'], ['c'], ['c', 'x'], ['c', 'x', 'a'], ['x']];
      for (const [n, tags] of lists.entries()) {
        away.day(1 + n / 10);
        away.set({ tags });
      }
      expect(await away.back([day, { tags: ['a', 'b', 'mine', 'c'] }])).toEqual({
        id: 'n1',
        tags: ['x', 'mine'],
      });
    });

    test('so it is where it was something else for a while', async () => {
      const away = await open({ tags: ['a', 'b'] });
      await away.visit();
      away.day(1);
      away.set({ tags: 'none' });
      away.set({ tags: ['b', 'c'] });
      expect(await away.back([day, { tags: ['a', 'b', 'mine'] }])).toEqual({
        id: 'n1',
        tags: ['b', 'c', 'mine'],
      });
    });

    test('so it is of a record that others deleted and made anew', async () => {
      const away = await open({ tags: ['a', 'b'], a: 1 });
      await away.visit();
      away.day(1);
      away.set({ tags: ['b'] });
      away.write((doc) => doc.getMap('notes').delete('n1'));
      away.write((doc) => writeRecord(doc, N1.collection, N1.id, { id: 'n1', tags: ['c'] }));
      const after = await away.back([day, { tags: ['a', 'b', 'mine'], a: 1 }]);
      expect(after).toMatchObject({ tags: expect.not.arrayContaining(['a']) });
      expect(after).toMatchObject({ tags: expect.not.arrayContaining(['b']) });
      expect(after).toMatchObject({ tags: expect.arrayContaining(['c']) });
    });

    test('two writes of its queue: the second one brings back nothing either', async () => {
      const away = await open({ tags: ['a', 'b', 'c'] });
      await away.visit();
      away.day(1);
      away.set({ tags: ['b', 'c', 'theirs'] });
      const next = day === null ? null : day + 1;
      const after = await away.back(
        [day, { tags: ['a', 'b', 'c', 'mine'] }],
        [next, { tags: ['a', 'b', 'mine', 'more'] }],
      );
      expect(after).toEqual({ id: 'n1', tags: ['b', 'theirs', 'mine', 'more'] });
    });

    test('an array of an editor counts as one of values', async () => {
      const away = await open({ known: 1 });
      away.set({ tags: Y.Array.from(['a', 'b', 'c']) });
      await away.visit();
      away.day(1);
      away.write((doc) => (noteOf(doc).get('tags') as Y.Array<string>).delete(0));
      expect(await away.back([day, { tags: ['a', 'b', 'mine', 'c'] }])).toMatchObject({
        tags: ['b', 'mine', 'c'],
      });
    });

    test('a list of 200 values is told apart', async () => {
      const read = many(200);
      const away = await open({ tags: read });
      await away.visit();
      away.day(1);
      away.set({ tags: read.slice(10) });
      expect(await away.back([day, { tags: [...read, 'mine'] }])).toEqual({
        id: 'n1',
        tags: [...read.slice(10), 'mine'],
      });
    });
  });

  test('holds against prunings of years, as what it had read', async () => {
    const away = await open({ tags: ['a', 'b', 'c'], n: 0 });
    await away.visit();
    for (const [day, tags] of [
      [1, ['a', 'b']],
      [130, ['b', 'x']],
      [260, ['b', 'x', 'y']],
    ] as const) {
      away.day(day);
      await away.ward.restart();
      away.set({ tags, n: day });
    }
    expect(await away.back([280, { tags: ['a', 'b', 'c', 'mine'], n: 0 }])).toEqual({
      id: 'n1',
      tags: ['b', 'x', 'y', 'mine'],
      n: 260,
    });
  });
});

test('[L8] stored in LevelDB, and encoded as that stores it, it is the same', async () => {
  const away = await Away.with(await levelShelf(), 1, { tags: ['a', 'b'] });
  await away.visit();
  away.day(1);
  away.set({ tags: ['b', 'c'] });
  expect(await away.back([2, { tags: ['a', 'b', 'mine'] }])).toEqual({ id: 'n1', tags: ['b', 'c', 'mine'] });
});

test('[L8] a list of more values, or one with elements that have an id, counts as one value', async () => {
  const away = await Away.with(memoryShelf(), 1, { tags: many(201), mixed: ['a', { id: 'm1' }] });
  await away.visit();
  away.day(1);
  away.set({ tags: many(200), mixed: [{ id: 'm1' }, 'b'] });
  const after = await away.back([2, { tags: [...many(201), 'mine'], mixed: ['a', { id: 'm1' }, 'mine'] }]);
  expect(after).toMatchObject({
    tags: expect.arrayContaining([...many(201), 'mine']),
    mixed: expect.arrayContaining(['b', 'mine', { id: 'm1' }]),
  });
});

test('[L8] beyond 400 values of lists that one edit changes, a list counts as one value', async () => {
  const read = { a: many(200, 'a'), b: many(200, 'b'), c: many(200, 'c') };
  const fewer = (list: string[]) => list.slice(1);
  const away = await Away.with(memoryShelf(), 1, read);
  await away.visit();
  away.day(1);
  const changed = { a: fewer(read.a), b: fewer(read.b), c: fewer(read.c) };
  away.set(changed);
  const sent = { a: [...read.a, 'mine'], b: [...read.b, 'mine'], c: [...read.c, 'mine'] };
  const after = await away.back([2, sent]);
  const told = (list: string[]) => [...list, 'mine'];
  expect(after).toMatchObject({ a: told(changed.a), b: told(changed.b) });
  expect(after).toMatchObject({ c: expect.arrayContaining(told(read.c)) });
});
