/**
 * Digests stand for values that are not kept (L8). They are made with a secret of the user, which is erased with them,
 * so that a short value can't be guessed from its digest alone.
 */
import { createHash, createHmac, randomBytes } from 'node:crypto';
import type { Json } from '../../../shared/json.js';
import { canonical } from '../../../shared/merge/arrays.js';

/** Of a value; {@link ABSENT} where there was none, {@link UNKNOWN} where it is not kept. */
export type Digest = string;
export const UNKNOWN: Digest = '';
export const ABSENT: Digest = '-';
/** Of an object, or a list of elements, that went as a whole: its parts are told by changes of the same revision. */
export const IN_PARTS: Digest = '+';
export const IN_ELEMENTS: Digest = '*';

const SIZE = 12;
const SECRET_BYTES = 16;

export class Digests {
  /** As text; `null`: an earlier version made them without. */
  readonly secret: string | null;

  constructor(secret: string | null) {
    this.secret = secret;
  }

  static anew(): Digests {
    return new Digests(randomBytes(SECRET_BYTES).toString('base64'));
  }

  of(value: Json | undefined): Digest {
    if (value === undefined) return ABSENT;
    return this.from(createHash('sha256').update(canonical(value)).digest('base64').slice(0, SIZE));
  }

  /** Of a value that has this digest without a secret. */
  from(plain: Digest): Digest {
    if (this.secret === null) return plain;
    return createHmac('sha256', this.secret).update(plain).digest('base64').slice(0, SIZE);
  }
}
