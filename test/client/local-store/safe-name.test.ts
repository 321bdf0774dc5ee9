import fc from 'fast-check';
import { expect, test } from 'vitest';
import { safeName } from '../../../client/local-store/safe-name.js';

const LONG = ['漢', 'ü', '🩺', '\ud7ff'].map((sign) => sign.repeat(128 / sign.length));

test('[C5 D6] every user id has a name of a file that fits, in signs that every file system keeps apart', () => {
  for (const name of [...LONG, 'auth0|64f0', 'anna+test@x.org', 'zoë', '..', 'con', 'a'.repeat(128)])
    expect(safeName(name)).toMatch(/^[nxh]-[a-z0-9-]{1,218}$/);
});

test('[C5 D6] two names never share one', () => {
  const pairs = [
    ['zo\u00eb', 'zoe\u0308'],
    ['Anna', 'anna'],
    [`${LONG[0]}`, `${LONG[0]?.slice(1)}字`],
    ['a', '\u0000a'],
  ];
  for (const [a = '', b = ''] of pairs) expect(safeName(a)).not.toBe(safeName(b));
  const names = fc.string({ unit: 'grapheme', maxLength: 128 });
  fc.assert(fc.property(names, names, (a, b) => (safeName(a) === safeName(b)) === (a === b)));
});

test('[C5] names that had one keep it', () => {
  expect([safeName('anna'), safeName('anna@x.org'), safeName('Zoë')]).toEqual([
    'n-anna',
    'x-7jscu76pfoxyc6lj',
    'x-2o4gi3v',
  ]);
});
