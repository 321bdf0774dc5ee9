/** The bytes of what is noted of a document at rest, and of its records as JSON. */
import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import type { Row } from './format.js';
import type { RestRow } from './store.js';

/** The row of the document when it was noted: as long as it is the same, nothing was committed since. */
export type Place = Pick<Row, 'first' | 'last' | 'revision'>;

export const isSame = (one: Place, two: Place): boolean =>
  one.first === two.first && one.last === two.last && one.revision === two.revision;

const VERSION = 1;
const IS_WHOLE = 1;
const HAS_VIEW = 2;

export function encodeRest(row: Place, rest: RestRow): Uint8Array {
  return encoding.encode((encoder) => {
    const isWhole = rest.isWhole && row.first === row.last ? IS_WHOLE : 0;
    const flags = isWhole + (rest.hasView ? HAS_VIEW : 0);
    for (const number of [VERSION, row.first, row.last, row.revision, flags]) {
      encoding.writeVarUint(encoder, number);
    }
    encoding.writeVarUint8Array(encoder, rest.stateVector);
    encoding.writeVarUint8Array(encoder, rest.deletions);
    // Behind what an earlier version reads; 0 is not known.
    for (const number of [rest.bytes ?? 0, rest.changedAt ?? 0]) encoding.writeVarUint(encoder, number);
  });
}

export function decodeRest(encoded: Uint8Array): { rest: RestRow; place: Place } | null {
  const decoder = decoding.createDecoder(encoded);
  const number = () => decoding.readVarUint(decoder);
  if (number() !== VERSION) return null;
  const place = { first: number(), last: number(), revision: number() };
  const flags = number();
  const [isWhole, hasView] = [(flags & IS_WHOLE) !== 0, (flags & HAS_VIEW) !== 0];
  const [stateVector, deletions] = [ownBytes(decoder), ownBytes(decoder)];
  const known = () => (decoding.hasContent(decoder) && number()) || undefined;
  const [bytes, changedAt] = [known(), known()];
  const rest = { revision: place.revision, stateVector, deletions, isWhole, hasView, bytes, changedAt };
  return { rest, place };
}

/** What most users have as deletions; two small arrays would take more than all else of their rows. */
const NONE = Uint8Array.of(0, 0);

/** Thousands of users at rest hold theirs for long: they are not to keep what they were read from. */
function ownBytes(decoder: decoding.Decoder): Uint8Array {
  const bytes = decoding.readVarUint8Array(decoder);
  return Buffer.compare(bytes, NONE) === 0 ? NONE : new Uint8Array(bytes);
}

export function encodeView(row: Place, view: Uint8Array): Uint8Array {
  return encoding.encode((encoder) => {
    for (const number of [VERSION, row.first, row.last, row.revision]) encoding.writeVarUint(encoder, number);
    encoding.writeUint8Array(encoder, view);
  });
}

export function decodeView(bytes: Uint8Array): { view: Uint8Array; place: Place } | null {
  const decoder = decoding.createDecoder(bytes);
  const number = () => decoding.readVarUint(decoder);
  if (number() !== VERSION) return null;
  const place = { first: number(), last: number(), revision: number() };
  return { view: decoding.readTailAsUint8Array(decoder), place };
}
