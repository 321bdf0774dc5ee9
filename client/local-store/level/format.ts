/** What is in the database of a user: `c` + key → a change; `p` + key is there while it is pending; `s` → the state. */
import { crc32 } from 'node:zlib';

export const STATE = 's';
export const changeName = (key: number): string => `c${String(key).padStart(16, '0')}`;
export const pendingName = (key: number): string => `p${String(key).padStart(16, '0')}`;
export const NOTHING = new Uint8Array(0);

/** The number in the name of a change or a mark, or null. */
export const keyIn = (name: string): number | null =>
  /^[cp]\d{16}$/.test(name) ? Number(name.slice(1)) : null;

/** The checksum stands for the name, too. */
export function sealValue(name: string, bytes: Uint8Array): Uint8Array {
  const sealed = new Uint8Array(bytes.length + 4);
  new DataView(sealed.buffer).setUint32(0, crc32(bytes, crc32(name)));
  sealed.set(bytes, 4);
  return sealed;
}

/** The bytes, or null where they are damaged. `anyName`: also those of versions that knew no name. */
export function unsealValue(name: string, value: Uint8Array, anyName: boolean): Uint8Array | null {
  if (value.length < 4) return null;
  const check = new DataView(value.buffer, value.byteOffset, 4).getUint32(0);
  const bytes = value.slice(4);
  const isRight = check === crc32(bytes, crc32(name)) || (anyName && check === crc32(bytes));
  return isRight ? bytes : null;
}
