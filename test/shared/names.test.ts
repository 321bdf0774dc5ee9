import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { mergeText } from '../../shared/merge/text.js';
import {
  isDeviceId,
  isRecordId,
  isUserId,
  isWellFormed,
  nameProblem,
  recordIdOf,
  storedNameProblem,
  visible,
  wellFormedText,
} from '../../shared/names.js';
import { wellFormed } from '../../shared/record-fields.js';

const between = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, n) => String.fromCharCode(from + n));

/** The list of docs/SPEC.md, D6. */
const HIDDEN = [
  '\u061c',
  '\u180e',
  ...between(0x200b, 0x200f),
  ...between(0x2028, 0x202e),
  ...between(0x2060, 0x206f),
  '\ufeff',
];
const HALVES = ['\ud83d', 'a\ud83d', '\ude00b', 'a\ude00\ud83d', '\ud83d\ud83d\ude00'];

describe('[D6] user and device ids', () => {
  test.each([
    'auth0|64f0c2d1a9',
    'google-oauth2|103547991597142817347',
    'anna+test@x.org',
    'zoë@x.org',
    'zoe\u0308@x.org', // another user than the one above
    '漢字',
    '👩‍⚕️'.replace('\u200d', ''),
    'o\'neil&sons=!*();,$[]{}^`"<>',
    'a',
    'ü'.repeat(128),
    'a~b',
  ])('%s is one of both kinds', (id) => {
    expect([isUserId(id), isDeviceId(id)]).toEqual([true, true]);
  });

  test('a device may have spaces in its id, a user not', () => {
    expect([isUserId('Pixel 7'), isDeviceId('Pixel 7')]).toEqual([false, true]);
  });

  test.each([
    '',
    '~shared',
    'ü'.repeat(129),
    ...['/', '\\', '?', '#', '%', '\t', '\n', '\u0000', '\u007f', '\u0085', '\u00a0', '\u2003', '\u3000'].map(
      (sign) => `a${sign}b`,
    ),
    ...HIDDEN.map((sign) => `a${sign}b`),
    ...HALVES,
  ])('%j is neither', (id) => {
    expect([isUserId(id), isDeviceId(id)]).toEqual([false, false]);
  });

  test.each([undefined, null, 7, ['a'], { a: 1 }])('%j is no text', (id) => {
    expect([isUserId(id), isDeviceId(id)]).toEqual([false, false]);
  });
});

describe('[D6] names of collections, records and fields', () => {
  test.each(HIDDEN)('a new one may not have %j, which the sentence tells; one from before stays', (sign) => {
    const code = sign.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0');
    expect(nameProblem(`a${sign}b`)).toBe(`has a character that is not seen (U+${code})`);
    expect(storedNameProblem(`a${sign}b`)).toBeNull();
    expect(isRecordId(`a${sign}b`)).toBe(true);
  });

  test.each(HALVES)('none may have half of a character: %j', (name) => {
    expect(nameProblem(name)).toContain('half of a character');
  });

  test.each(['\u0301', 'a\ufe0f', '\u00ad', 'é', '👩', 'name with spaces', '\u200a', '\u2027', '\u202f'])(
    '%j is one, beside what is not',
    (name) => {
      expect(nameProblem(name)).toBeNull();
    },
  );

  test('what members of every object are called is a name', () => {
    for (const name of ['toString', 'hasOwnProperty', 'valueOf', '__defineGetter__'])
      expect(nameProblem(name)).toBeNull();
    expect(recordIdOf(7)).toBe('7');
  });

  test('what is not seen is shown by its code', () => {
    expect(visible('a\u202eb\ufeff')).toBe('a\\u202eb\\ufeff');
  });
});

describe('[D6] halves of characters in values', () => {
  const texts = fc.string({
    unit: fc.constantFrom('a', 'ü', '\ud83d', '\ude00', '\ud83c', '漢'),
    maxLength: 8,
  });

  test('they become what bytes make of them', () => {
    fc.assert(
      fc.property(texts, (text) => {
        const inBytes = Buffer.from(text, 'utf8').toString('utf8');
        expect(wellFormedText(text)).toBe(inBytes);
        expect(isWellFormed(text)).toBe(text === inBytes);
        expect(isWellFormed(wellFormedText(text))).toBe(true);
      }),
    );
  });

  test('a merge of texts cuts no character', () => {
    const whole = fc.string({
      unit: fc.constantFrom('a', ' ', '😀', '😁', '🐀', '👩🏽', '\u200d'),
      maxLength: 8,
    });
    fc.assert(
      fc.property(whole, whole, whole, (base, incoming, current) => {
        expect(isWellFormed(mergeText([base], incoming, current))).toBe(true);
      }),
    );
  });

  test('at every depth, and what has none stays the very same', () => {
    const document = { id: 'a', list: [1, { note: 'cut \ud83d' }], whole: { text: '😀' } };
    const made = wellFormed(document);
    expect(made).toEqual({ id: 'a', list: [1, { note: 'cut \ufffd' }], whole: { text: '😀' } });
    expect(made.whole).toBe(document.whole);
    expect(wellFormed(made)).toBe(made);
  });
});
