/** Times as apps in the field write them, as ms since 1970 (L12). */

/** In seconds from 1973 on; as ms, no device has a clock that tells such a time. */
const SECONDS = { from: 1e8, to: 1e11 };
const LATEST = Number.MAX_SAFE_INTEGER;

const NUMBER = /^\d+(?:\.\d+)?$/;
/** Date, time, seconds and their fraction, zone. */
const ISO = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d(?:[.,]\d+)?)?\s*(Z|[+-]\d\d(?::?\d\d)?)?)?$/i;

/**
 * `null` where the time can't be known: one without a zone may be that of any. `undefined` for what is no time.
 */
export function readTimestamp(value: number | string): number | null | undefined {
  if (typeof value === 'number') return ofNumber(value);
  const text = value.trim();
  if (NUMBER.test(text)) return ofNumber(Number(text));
  return ofIso(text);
}

function ofNumber(value: number): number | undefined {
  if (!(value >= 0 && value <= LATEST)) return undefined;
  return value > SECONDS.from && value < SECONDS.to ? Math.round(value * 1_000) : value;
}

function ofIso(text: string): number | null | undefined {
  const [, date = '', time = '00:00', seconds = ':00', zone] = ISO.exec(text) ?? [];
  const [, hours = 'Z', minutes] = /^([+-]\d\d):?(\d\d)?$/.exec(zone ?? '') ?? [];
  const offset = hours === 'Z' ? 'Z' : `${hours}:${minutes ?? '00'}`;
  const at = Date.parse(`${date}T${time}${seconds.replace(',', '.')}${offset}`);
  if (date === '' || !(at >= 0)) return undefined;
  return zone === undefined ? null : at;
}
