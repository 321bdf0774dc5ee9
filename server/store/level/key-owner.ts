/** Whose a key of the database is. */
import * as decoding from 'lib0/decoding';
import * as format from '../format.js';

const OWN = '!sync!';
/** Kinds with the user as all that follows, and with more behind it. */
const OF_USERS = new Set([
  'row',
  'memory',
  'key',
  'rest',
  'epoch',
  'plain',
  'seen',
  'view',
  'erased',
  'erasing',
]);
const OF_PARTS = new Set(['history', 'device', 'deleted']);
const OF_NOBODY = new Set(['format', 'probe', 'encryption', 'note']);

/** Null for one of the whole database, undefined for one that is none of ours or y-leveldb's. */
export function ownerOf(key: Uint8Array): string | null | undefined {
  const text = Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('utf8');
  if (!text.startsWith(OWN)) return ownerOfForeign(key);
  const [kind = ''] = text.slice(OWN.length).split('!', 1);
  if (OF_NOBODY.has(kind)) return null;
  if (OF_PARTS.has(kind)) return format.userOfOwn(key);
  return OF_USERS.has(kind) ? text.slice(OWN.length + kind.length + 1) : undefined;
}

/** The keys of y-leveldb: texts, each behind a 0. */
function ownerOfForeign(key: Uint8Array): string | undefined {
  try {
    const decoder = decoding.createDecoder(key);
    const part = () => (decoding.readUint8(decoder) === 0 ? decoding.readVarString(decoder) : undefined);
    const name = part();
    return name === 'v1' || name === 'v1_sv' ? part() : undefined;
  } catch {
    return undefined;
  }
}
