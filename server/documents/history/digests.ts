/**
 * Digests stand for values that are not kept (L8). They are made with a secret of the user, which is erased with them,
 * so that a short value can't be guessed from its digest alone.
 */
import { createHmac, hash, randomBytes } from 'node:crypto';
import type { Json } from '../../../shared/json.js';
import { canonical } from '../../../shared/merge/arrays.js';

/**
 * Of a value; {@link ABSENT} where there was none, {@link UNKNOWN} where it is not kept. Behind that of a list of values
 * may stand one for each of them, in their order.
 */
export type Digest = string;
export const UNKNOWN: Digest = '';
export const ABSENT: Digest = '-';
/** Of an object, or a list of elements, that went as a whole: its parts are told by changes of the same revision. */
export const IN_PARTS: Digest = '+';
export const IN_ELEMENTS: Digest = '*';

const SIZE = 12;
/** Of a value in a list: it is only looked for in the list as it is by now, and in what came in. */
export const VALUE_SIZE = 8;
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
    return this.from(hash('sha256', canonical(value), 'base64').slice(0, SIZE));
  }

  /** Of a value that has this digest without a secret. */
  from(plain: Digest): Digest {
    if (this.secret === null) return plain;
    return createHmac('sha256', this.secret).update(plain).digest('base64').slice(0, SIZE);
  }

  /** Of the values of a list, to stand behind that of the whole. */
  ofEach(values: readonly Json[]): string {
    return values.map((value) => this.ofValue(value)).join('');
  }

  ofValue(value: Json): Digest {
    return this.of(value).slice(0, VALUE_SIZE);
  }
}

/** That of the whole, and what may stand behind it. */
export const parted = (digest: Digest): [whole: Digest, values: string] => [
  digest.slice(0, SIZE),
  digest.slice(SIZE),
];

/** What stands behind those of the whole, in characters. */
export const toldIn = (digests: readonly Digest[]): number =>
  digests.reduce((sum, digest) => sum + parted(digest)[1].length, 0);

/** Those of the values of a list; empty where they are not told apart, or can't be read. */
export function valuesOf(digest: Digest): Digest[] {
  const [, values] = parted(digest);
  if (values.length % VALUE_SIZE !== 0) return [];
  return Array.from({ length: values.length / VALUE_SIZE }, (_, n) =>
    values.slice(n * VALUE_SIZE, (n + 1) * VALUE_SIZE),
  );
}
