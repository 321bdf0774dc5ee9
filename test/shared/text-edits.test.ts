import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { textEdit, textEdits } from '../../shared/text-edits.js';
import { runs } from '../support/runs.js';

describe('[D2] the one edit between two texts', () => {
  test.each([
    ['', '', { index: 0, remove: 0, insert: '' }],
    ['', 'abc', { index: 0, remove: 0, insert: 'abc' }],
    ['abc', '', { index: 0, remove: 3, insert: '' }],
    ['abc', 'abXc', { index: 2, remove: 0, insert: 'X' }],
    ['aaa', 'aa', { index: 2, remove: 1, insert: '' }],
    ['a😀b', 'a😁b', { index: 1, remove: 2, insert: '😁' }], // the same high surrogate
    ['a😀b', 'a🐀b', { index: 1, remove: 2, insert: '🐀' }], // the same low surrogate
    ['😀', '😀😀', { index: 2, remove: 0, insert: '😀' }],
  ])('%j → %j', (from, to, edit) => {
    expect(textEdit(from, to)).toEqual(edit);
  });

  const whole = fc.string({ unit: fc.constantFrom('a', 'b', '😀', '😁', '🐀', 'ä'), maxLength: 8 });

  test('the edit makes the one of the other, and never splits a character', () => {
    fc.assert(
      fc.property(whole, whole, (from, to) => {
        const { index, remove, insert } = textEdit(from, to);
        expect(from.slice(0, index) + insert + from.slice(index + remove)).toBe(to);
        for (const part of [insert, from.slice(0, index), from.slice(index + remove)]) {
          expect(Buffer.from(part).toString()).toBe(part);
        }
      }),
      { numRuns: runs(2_000) },
    );
  });
});

describe('[D2] the edits between two texts', () => {
  test.each([
    ['nothing differs', 'a b', 'a b', []],
    ['one word', 'one two three', 'one 2 three', [[4, 3, '2']]],
    [
      'two words with one between them',
      'one two three',
      'One two 3',
      [
        [0, 1, 'O'],
        [8, 5, '3'],
      ],
    ],
    ['two neighbours are one edit', 'take one two', 'have 1 2', [[0, 12, 'have 1 2']]],
    [
      'words in front and behind',
      'b',
      'a b c',
      [
        [0, 0, 'a '],
        [1, 0, ' c'],
      ],
    ],
    [
      'half of two emoji',
      'x😀 y z😁',
      'x🐀 y z😂',
      [
        [1, 2, '🐀'],
        [7, 2, '😂'],
      ],
    ],
  ])('%s', (_, from, to, edits) => {
    expect(textEdits(from, to).map(({ index, remove, insert }) => [index, remove, insert])).toEqual(edits);
  });

  const text = fc
    .array(fc.constantFrom('a', 'b', 'ab', ' ', '\n', '😀', '😁', '🐀', 'ä'), { maxLength: 14 })
    .map((parts) => parts.join(''));

  test('they make the one of the other, are apart, and never split a character', () => {
    fc.assert(
      fc.property(text, text, (from, to) => {
        const edits = textEdits(from, to);
        let [made, at] = ['', 0];
        for (const { index, remove, insert } of edits) {
          expect(index).toBeGreaterThanOrEqual(at);
          const parts = [from.slice(at, index), from.slice(index, index + remove), insert];
          for (const part of parts) expect(Buffer.from(part).toString()).toBe(part);
          made += parts[0] + insert;
          at = index + remove;
        }
        expect(made + from.slice(at)).toBe(to);
      }),
      { numRuns: runs(2_000) },
    );
  });
});
