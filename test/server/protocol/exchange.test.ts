import { describe, expect, it } from 'vitest';
import * as Y from 'yjs';
import { decodeExchange, encodeExchange } from '../../../server/protocol/exchange.js';
import { randomBytes, truncations } from '../../support/hostile.js';
import { refusal } from '../../support/refusal.js';

const NOTHING = new Uint8Array();

function sample(): { stateVector: Uint8Array; update: Uint8Array } {
  const doc = new Y.Doc();
  doc.getMap('patients').set('p1', true);
  return { stateVector: Y.encodeStateVector(doc), update: Y.encodeStateAsUpdate(doc) };
}

describe('exchange over HTTP', () => {
  it('[H3] carries a state vector and an update, each possibly empty', () => {
    const { stateVector, update } = sample();
    for (const exchange of [
      { stateVector, update },
      { stateVector: NOTHING, update },
      { stateVector, update: NOTHING },
      { stateVector: NOTHING, update: NOTHING },
    ]) {
      expect(decodeExchange(encodeExchange(exchange))).toEqual(exchange);
    }
  });

  it('[H3 N9] carries changes with their times, of which there may be no more than a batch has', () => {
    const { stateVector, update } = sample();
    const changes = [
      { madeAt: 1_700_000_000_000, update },
      { madeAt: null, update },
    ];
    const exchange = { stateVector, update: NOTHING, timed: { sentAt: 1_700_000_000_500, changes } };
    const bytes = encodeExchange(exchange);
    expect(decodeExchange(bytes)).toEqual(exchange);
    expect(refusal(() => decodeExchange(bytes.subarray(0, -1))).status).toBe(400);
    const many = Array.from({ length: 1_001 }, () => ({ madeAt: 1, update: NOTHING }));
    const tooMany = encodeExchange({ ...exchange, timed: { sentAt: 1, changes: many } });
    expect(refusal(() => decodeExchange(tooMany)).message).toContain('1000');
  });

  it('[H3] tells "no diff wanted" from a document without content', () => {
    const stateVector = Y.encodeStateVector(new Y.Doc());
    expect(stateVector).toEqual(Uint8Array.of(0));
    expect(decodeExchange(encodeExchange({ stateVector, update: NOTHING })).stateVector).toEqual(stateVector);
  });

  it('[H3] refuses a cut or prolonged body', () => {
    const bytes = encodeExchange(sample());
    for (const prefix of truncations(bytes)) expect(refusal(() => decodeExchange(prefix)).status).toBe(400);
    for (const extra of [[0], [0, 0], [1, 2, 3]]) {
      expect(refusal(() => decodeExchange(Uint8Array.from([...bytes, ...extra]))).message).toContain(
        'after the end',
      );
    }
  });

  it('[H3] refuses a state vector that is none', () => {
    const exchange = { stateVector: Uint8Array.of(5, 1), update: NOTHING };
    expect(refusal(() => decodeExchange(encodeExchange(exchange))).message).toContain('count');
  });

  it('[H3] throws nothing but its own error at random bytes', () => {
    for (let seed = 1; seed <= 5_000; seed++) {
      const bytes = randomBytes(seed, seed % 24);
      try {
        decodeExchange(bytes);
      } catch {
        expect(refusal(() => decodeExchange(bytes)).code).toBe('MALFORMED_UPDATE');
      }
    }
  });
});
