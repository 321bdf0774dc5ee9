import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as Y from 'yjs';
import { scanUpdate, type UpdateScan } from '../../../server/protocol/scan.js';
import { nameProblem, storedNameProblem } from '../../../shared/names.js';
import {
  deepValue,
  rawUpdate,
  refusedUpdates,
  rootItem,
  rootOfAnotherKind,
  varUint,
} from '../../support/hostile.js';
import { expectMalformed, refusal } from '../../support/refusal.js';
import { runs, SPREAD } from '../../support/runs.js';
import { anyText } from '../../support/texts.js';

const scan = (update: Uint8Array): UpdateScan => scanUpdate(update, { maxDepth: 64 });

describe('scanUpdate on hostile updates', () => {
  it.each(Object.entries(refusedUpdates()))('[S1] refuses: %s', (_name, update) => {
    expectMalformed(update, /\.$/);
  });

  it('[S3] refuses a root of another kind and names it', () => {
    expectMalformed(rootOfAnotherKind(), /^Root type "notes" is not a map\.$/);
    const text = new Y.Doc();
    text.getText('letter').insert(0, 'secret');
    expectMalformed(Y.encodeStateAsUpdate(text), /^Root type "letter" is not a map\.$/);
    const xml = new Y.Doc();
    xml.getXmlFragment('page').insert(0, [new Y.XmlElement('p')]);
    expectMalformed(Y.encodeStateAsUpdate(xml), /^Root type "page" is not a map\.$/);
  });

  it('[S3] refuses what is left of a deleted root of another kind', () => {
    const doc = new Y.Doc();
    doc.getArray('notes').push(['x']);
    doc.getArray('notes').delete(0, 1);
    expectMalformed(Y.encodeStateAsUpdate(doc), 'Root type "notes"');
  });

  it.each([
    ['__proto__', 'is reserved'],
    ['constructor', 'is reserved'],
    ['prototype', 'is reserved'],
    ['', 'is empty'],
    ['a\u0000b', 'control character'],
    ['a\u007f', 'control character'],
    ['a\u0085', 'control character'],
    ['x'.repeat(257), 'is longer than'],
    ['ü'.repeat(257), 'is longer than'],
  ])('[D6] refuses the collection name and key %j', (name, problem) => {
    expectMalformed(rawUpdate([[1, 0, [rootItem(8, [1, 126], name)]]]), new RegExp(`^Key .*${problem}`));
    expectMalformed(
      rawUpdate([[1, 0, [rootItem(8, [1, 126], 'p1', name)]]]),
      new RegExp(`^Root type .*${problem}`),
    );
  });

  it('[D6] takes and refuses the same names as the check of names', () => {
    const names = fc.oneof(
      anyText(300),
      fc.string({ minLength: 254, maxLength: 258 }),
      fc.string({ unit: fc.constantFrom('a', '\u200d', '\u202e', '\ufeff', 'é') }),
      fc.constantFrom('__proto__', 'prototypf', 'constructor', 'constructos', 'birthDate', 'a'.repeat(128)),
    );
    fc.assert(
      fc.property(names, (name) => {
        const update = rawUpdate([[1, 0, [rootItem(8, [1, 126], name)]]]);
        if (storedNameProblem(name) !== null) return expectMalformed(update, /^Key /);
        const odd = nameProblem(name) === null ? [] : [name];
        expect([...scan(update).oddNames.keys()]).toEqual(odd);
      }),
      { numRuns: runs(500) },
    );
  });

  it('[S1] cuts names in its errors and never shows values', () => {
    const { message } = refusal(() => scan(rawUpdate([[1, 0, [rootItem(8, [1, 126], 'x'.repeat(300))]]])));
    expect(message.length).toBeLessThan(100);
    const json = [...varUint(1), ...varUint(7), ...new TextEncoder().encode('{secret')];
    expect(refusal(() => scan(rawUpdate([[1, 0, [rootItem(2, json)]]]))).message).not.toContain('secret');
  });

  it.each([1, 2, 17, 64])('[S1] takes a value of %i levels', (depth) => {
    expect(scan(deepValue(depth)).structs).toBe(1);
  });

  it.each([65, 499, 10_000, 1_000_000])('[S1] refuses a value of %i levels', (depth) => {
    expectMalformed(deepValue(depth), 'deeper than 64 levels');
  });

  it('[S1] without a limit stops where recursion stays safe', () => {
    expect(scanUpdate(deepValue(500), { maxDepth: 0 }).structs).toBe(1);
    expect(refusal(() => scanUpdate(deepValue(501), { maxDepth: 0 })).message).toContain('500 levels');
  });

  it.each([64, 65, 1_000_000])('[S1] bounds the depth of JSON too: %i levels', (depth) => {
    const text = '['.repeat(depth) + ']'.repeat(depth);
    const content = [1, ...varUint(text.length), ...new TextEncoder().encode(text)];
    const update = rawUpdate([[1, 0, [rootItem(2, content)]]]);
    if (depth > 64) expectMalformed(update, 'deeper than 64 levels');
    else expect(scan(update).structs).toBe(1);
  });
});

describe('scanUpdate on numbers and lengths', () => {
  const one = (struct: Iterable<number>, client = 1, clock = 0): Uint8Array =>
    rawUpdate([[client, clock, [struct]]]);

  it('[S1] takes client ids up to the largest safe integer, clocks up to 2^48, and no more', () => {
    const max = Number.MAX_SAFE_INTEGER;
    const last = 2 ** 48;
    expect(scan(one([0, ...varUint(1)], max, last - 1)).ranges).toEqual([
      { client: max, from: last - 1, to: last },
    ]);
    expectMalformed(one([0, 2], 1, last - 1), 'clock is too large');
    expectMalformed(rawUpdate([], [[1, [[max, 1]]]]), 'clock is too large');
    expectMalformed(one([0x88, ...varUint(2), ...varUint(max), 1, 126]), 'clock is too large');
    expectMalformed(
      Uint8Array.from([1, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f, 0, 0, 1, 0]),
      'number is too large',
    );
    expectMalformed(
      Uint8Array.from([1, 1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0, 0, 0, 1, 0]),
      'number is too large',
    );
  });

  it('[S1] refuses counts that the data can not hold', () => {
    for (const count of [200, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
      expectMalformed(Uint8Array.from(varUint(count)), 'count is larger');
      expectMalformed(Uint8Array.from([1, ...varUint(count), 1, 0]), 'count is larger');
      expectMalformed(one(rootItem(8, varUint(count))), 'count is larger');
      expectMalformed(one(rootItem(3, varUint(count))), 'too early');
    }
  });

  it('[S1] refuses structs and deletions without length', () => {
    expectMalformed(one([0, 0]), 'no length');
    expectMalformed(one([10, 0]), 'no length');
    for (const kind of [1, 2, 4, 8]) expectMalformed(one(rootItem(kind, [0])), 'no length');
    expectMalformed(rawUpdate([], [[1, [[3, 0]]]]), 'no length');
    expectMalformed(rawUpdate([[1, 0, []]]), 'without structs');
    expectMalformed(rawUpdate([], [[1, []]]), 'without deletions');
  });

  it('[S1] refuses unknown kinds', () => {
    for (const kind of [0, 10, 11, 31]) expectMalformed(one(rootItem(kind, [1])), 'unknown kind');
    expectMalformed(one([0x80, 2, 0, 1]), 'unknown kind 0');
    expectMalformed(one([0x8a, 2, 0, 1]), 'unknown kind 10');
    expectMalformed(one(rootItem(7, [7])), 'unknown kind 7');
    expectMalformed(one(rootItem(8, [1, 128])), 'unknown kind');
    expectMalformed(one(rootItem(8, [1, 115])), 'unknown kind');
    expectMalformed(one([0x28, 2, 1, 97, 1, 97, 1, 126]), 'unknown kind of parent');
  });

  it('[S1] refuses two sections of one client, and structs that refer to themselves or to later ones', () => {
    const section: [number, number, number[][]] = [1, 0, [[0, 1]]];
    expectMalformed(rawUpdate([section, [1, 1, [[0, 1]]]]), 'two sections');
    expectMalformed(one([0x88, 1, 5, 1, 126], 1, 5), 'itself or to a later');
    expectMalformed(one([0x48, 1, 6, 1, 126], 1, 5), 'itself or to a later');
    expectMalformed(one([0x28, 0, 1, 9, 1, 97, 1, 126], 1, 5), 'itself or to a later');
    expect(scan(one([0x88, 1, 4, 1, 126], 1, 5)).needs).toEqual(new Map([[1, 5]]));
  });

  it.each([
    ['a stray continuation', [0x80]],
    ['an overlong form', [0xc0, 0x80]],
    ['an overlong form of three bytes', [0xe0, 0x9f, 0xbf]],
    ['a surrogate', [0xed, 0xa0, 0x80]],
    ['an overlong form of four bytes', [0xf0, 0x8f, 0xbf, 0xbf]],
    ['a code point above U+10FFFF', [0xf4, 0x90, 0x80, 0x80]],
    ['a cut sequence', [0xe2, 0x82]],
    ['a broken tail', [0xf0, 0x9f, 0x91, 0x41]],
  ])('[S1] refuses strings with %s', (_name, bytes) => {
    expectMalformed(one(rootItem(4, [bytes.length, ...bytes])), 'UTF-8');
    expectMalformed(one(rootItem(8, [1, 119, bytes.length, ...bytes])), 'UTF-8');
    expectMalformed(one(rootItem(5, [bytes.length, ...bytes])), 'UTF-8');
  });

  it('[S1] judges UTF-8, and counts it, as TextDecoder does', () => {
    const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    const pieces = [
      0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xed, 0xef, 0xf0, 0xf1,
      0xf4, 0xf5,
    ];
    const wrong: number[][] = [];
    let count = 0;
    for (const a of pieces)
      for (const b of pieces)
        for (const c of pieces)
          for (const d of [0x41, 0x80, 0xbf]) {
            if (count++ % SPREAD !== 0) continue;
            const bytes = [a, b, c, d];
            const update = one(rootItem(4, [4, ...bytes]));
            let text: string | null = null;
            try {
              text = decoder.decode(Uint8Array.from(bytes));
            } catch {}
            const isRight =
              text === null
                ? refusal(() => scan(update)).message.includes('UTF-8')
                : scan(update).ranges[0]?.to === text.length;
            if (!isRight) wrong.push(bytes);
          }
    expect(wrong).toEqual([]);
  });

  it('[S1] refuses JSON that does not parse, and knows the undefined of Yjs', () => {
    const json = (text: string): number[] => [...varUint(text.length), ...new TextEncoder().encode(text)];
    expect(scan(one(rootItem(2, [2, ...json('undefined'), ...json('{"a":[1]}')]))).ranges[0]?.to).toBe(2);
    expectMalformed(one(rootItem(2, [1, ...json('{a:1}')])), 'does not parse');
    expectMalformed(one(rootItem(5, json('undefined'))), 'does not parse');
    expectMalformed(one(rootItem(6, [...json('bold'), ...json('tru')])), 'does not parse');
    expectMalformed(one(rootItem(6, [...json('__proto__'), ...json('true')])), 'reserved');
  });
});
