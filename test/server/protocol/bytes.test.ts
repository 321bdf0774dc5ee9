import fc from 'fast-check';
import * as encoding from 'lib0/encoding';
import { expect, test } from 'vitest';
import { encoded, writeText } from '../../../server/protocol/bytes.js';
import { runs } from '../../support/runs.js';

test('a text is written as lib0 writes it, short or long, with halves of characters in it', () => {
  const unit = fc.constantFrom('a', 'Z', '\u007f', '\u0080', 'é', '€', '😀', '\ud83d', '\ude00');
  const text = fc.oneof(
    fc.string({ unit, maxLength: 140 }),
    fc.string({ unit: 'grapheme-ascii', minLength: 120, maxLength: 135 }),
  );
  fc.assert(
    fc.property(text, text, (one, other) => {
      const written = encoded((encoder) => {
        writeText(encoder, one);
        writeText(encoder, other);
      });
      const expected = encoding.encode((encoder) => {
        encoding.writeVarString(encoder, one);
        encoding.writeVarString(encoder, other);
      });
      expect([...written]).toEqual([...expected]);
    }),
    { numRuns: runs(300) },
  );
});
