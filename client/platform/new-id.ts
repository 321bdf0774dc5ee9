import { uint32 } from 'lib0/random';

const hex = (value: number, digits: number): string =>
  value.toString(16).padStart(digits, '0').slice(-digits);

/** A UUID of version 7: it begins with the time, so that ids in their order are records in theirs. */
export function newId(now: number): string {
  const time = hex(now, 12);
  const random = [uint32(), uint32(), uint32()] as const;
  const variant = hex(0x8000 | (random[1] & 0x3fff), 4);
  const last = hex(random[1] >>> 16, 4) + hex(random[2], 8);
  return `${time.slice(0, 8)}-${time.slice(8)}-7${hex(random[0], 3)}-${variant}-${last}`;
}
