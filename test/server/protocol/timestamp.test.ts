import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readTimestamp } from '../../../server/protocol/timestamp.js';

const AT = Date.UTC(2024, 1, 29, 10, 30, 15, 250);

describe('[L12] times as apps write them', () => {
  test.each<[number | string, number]>([
    [AT, AT],
    [0, 0],
    [1e8, 1e8],
    [1e8 + 1, 1e11 + 1_000],
    [1e11 - 1, 1e14 - 1_000],
    [1e11, 1e11],
    [AT / 1_000, AT],
    [`${AT}`, AT],
    [` ${AT / 1_000} `, AT],
    ['2024-02-29T10:30:15.250Z', AT],
    ['2024-02-29t10:30:15,250z', AT],
    ['2024-02-29 10:30:15.250123Z', AT],
    ['2024-02-29T12:30:15.250+02:00', AT],
    ['2024-02-29T05:00:15.250-0530', AT],
    ['2024-02-29T11:30:15.250+01', AT],
    ['2024-02-29T10:30Z', Date.UTC(2024, 1, 29, 10, 30)],
  ])('%s', (value, at) => {
    expect(readTimestamp(value)).toBe(at);
  });

  test.each(['2024-02-29', '2024-02-29T10:30', '2024-02-29 10:30:15', '2024-02-29T10:30:15.250'])(
    '%s could be in any zone',
    (value) => {
      expect(readTimestamp(value)).toBeNull();
    },
  );

  test.each<number | string>([
    -1,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    2 ** 53,
    '',
    'today',
    'Thu, 29 Feb 2024 10:30:15 GMT',
    '29.02.2024',
    '2024-13-01T00:00:00Z',
    '2024-02-29T25:00:00Z',
    '1969-12-31T23:59:59Z',
    '-5',
    '1e12',
    '99999999999999999999',
    '2024-02-29T10:30:15Z and more',
    '2024-02-29T10:30:15.250+99:99',
  ])('%s is none', (value) => {
    expect(readTimestamp(value)).toBeUndefined();
  });

  test('a date comes back from its text, whatever the zone', () => {
    const ms = fc.integer({ min: 0, max: 4e12 });
    fc.assert(
      fc.property(ms, fc.integer({ min: -14, max: 14 }), (at, zone) => {
        const local = new Date(at + zone * 3_600_000);
        if (local.getTime() < 0) return;
        const sign = zone < 0 ? '-' : '+';
        const offset = `${sign}${String(Math.abs(zone)).padStart(2, '0')}:00`;
        expect(readTimestamp(local.toISOString().replace('Z', offset))).toBe(at);
      }),
    );
  });
});
