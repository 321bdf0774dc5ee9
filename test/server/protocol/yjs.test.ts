import fc from 'fast-check';
import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import { describe, expect, it } from 'vitest';
import { readAuthMessage } from 'y-protocols/auth';
import { Awareness, applyAwarenessUpdate, encodeAwarenessUpdate } from 'y-protocols/awareness';
import { readSyncMessage, writeSyncStep1, writeSyncStep2, writeUpdate } from 'y-protocols/sync';
import * as Y from 'yjs';
import { decodeMessage, decodeStateVector, messages } from '../../../server/protocol/yjs.js';
import { update } from '../../../shared/message-encoders.js';
import { randomBytes, truncations, varUint } from '../../support/hostile.js';
import { refusal } from '../../support/refusal.js';
import { runs } from '../../support/runs.js';

function sampleDoc(): Y.Doc {
  const doc = new Y.Doc();
  doc.getMap('patients').set('p1', new Y.Map([['name', 'Zoë']]));
  return doc;
}

const written = (type: number, write: (encoder: encoding.Encoder) => void): Uint8Array =>
  encoding.encode((encoder) => {
    encoding.writeVarUint(encoder, type);
    write(encoder);
  });

const withBlock = (type: number, block: Iterable<number>): Uint8Array =>
  written(type, (encoder) => encoding.writeVarUint8Array(encoder, Uint8Array.from(block)));

/** Reads a message as y-websocket does, up to the part that its handlers get. */
function opened(message: Uint8Array): { type: number; decoder: decoding.Decoder } {
  const decoder = decoding.createDecoder(message);
  return { type: decoding.readVarUint(decoder), decoder };
}

const every: Record<string, Uint8Array> = {
  syncStep1: messages.syncStep1(Y.encodeStateVector(sampleDoc())),
  syncStep2: messages.syncStep2(Y.encodeStateAsUpdate(sampleDoc())),
  update: messages.update(Y.encodeStateAsUpdate(sampleDoc())),
  awareness: messages.awareness([{ id: 7, clock: 3, state: '{"user":"Zoë"}' }]),
  queryAwareness: Uint8Array.from([3]),
  auth: messages.permissionDenied('read only'),
  checkpoint: messages.checkpoint(300),
};

describe('decodeMessage', () => {
  it('[N1] reads what y-protocols writes', () => {
    const doc = sampleDoc();
    const update = Y.encodeStateAsUpdate(doc);
    expect(decodeMessage(written(0, (encoder) => writeSyncStep1(encoder, doc)))).toEqual({
      type: 'syncStep1',
      stateVector: Y.encodeStateVector(doc),
    });
    expect(decodeMessage(written(0, (encoder) => writeSyncStep2(encoder, doc)))).toEqual({
      type: 'syncStep2',
      update,
    });
    expect(decodeMessage(written(0, (encoder) => writeUpdate(encoder, update)))).toEqual({
      type: 'update',
      update,
    });
    expect(decodeMessage(Uint8Array.from([3]))).toEqual({ type: 'queryAwareness' });
  });

  it('[N6] reads awareness as y-protocols writes it, a client that left included', () => {
    const awareness = new Awareness(sampleDoc());
    const id = awareness.clientID;
    awareness.setLocalState({ name: 'Zoë' });
    const here = encodeAwarenessUpdate(awareness, [id]);
    awareness.setLocalState(null);
    const gone = encodeAwarenessUpdate(awareness, [id]);
    awareness.destroy();
    expect(decodeMessage(withBlock(1, here))).toEqual({
      type: 'awareness',
      entries: [{ id, clock: 1, state: '{"name":"Zoë"}' }],
    });
    expect(decodeMessage(withBlock(1, gone))).toEqual({
      type: 'awareness',
      entries: [{ id, clock: 2, state: 'null' }],
    });
  });

  it('[N9] reads changes with their times, also from a clock that is out of its mind', () => {
    const update = Y.encodeStateAsUpdate(sampleDoc());
    const changes = [
      { madeAt: 1_700_000_000_000, update },
      { madeAt: 0, update },
      { madeAt: null, update },
    ];
    expect(decodeMessage(messages.timed(1_700_000_000_123, changes))).toEqual({
      type: 'timed',
      sentAt: 1_700_000_000_123,
      changes,
    });
    for (const time of [Number.NaN, -5, Number.POSITIVE_INFINITY, 1.5]) {
      expect(decodeMessage(messages.timed(time, [{ madeAt: time, update }]))).toMatchObject({
        type: 'timed',
      });
    }
    const many = Array.from({ length: 201 }, () => ({ madeAt: 1, update }));
    expect(refusal(() => decodeMessage(messages.timed(1, many))).message).toContain('200');
  });

  it('[N4] reads a checkpoint, up to the largest safe integer', () => {
    for (const n of [0, 127, 128, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
      expect(decodeMessage(messages.checkpoint(n))).toEqual({ type: 'checkpoint', n });
    }
    expect(refusal(() => decodeMessage(Uint8Array.from([100, ...new Array(200).fill(0x80)]))).closeCode).toBe(
      1007,
    );
  });

  it('[N4] reads what waits, as a checkpoint may tell', () => {
    const waiting = { now: 12, later: 9, age: 86_400_000 };
    expect(decodeMessage(messages.checkpoint(7, 12, 9, 86_400_000))).toEqual({
      type: 'checkpoint',
      n: 7,
      waiting,
    });
    expect(refusal(() => decodeMessage(messages.checkpoint(7, 12, 9))).closeCode).toBe(1007);
    expect(refusal(() => decodeMessage(messages.checkpoint(7, 12, 9, 1, 1))).closeCode).toBe(1007);
  });

  it('[S2] returns views of the message, for the socket to copy', () => {
    const bytes = messages.update(Y.encodeStateAsUpdate(sampleDoc()));
    const message = decodeMessage(bytes);
    expect(message.type === 'update' && message.update.buffer === bytes.buffer).toBe(true);
  });

  it.each(Object.entries(every))('[N8] refuses a cut or prolonged message: %s', (name, bytes) => {
    expect(decodeMessage(bytes).type).toBe(name);
    for (const prefix of truncations(bytes))
      expect(refusal(() => decodeMessage(prefix)).closeCode).toBe(1007);
    for (const extra of [[0], [0, 0], [1, 2, 3, 4]]) {
      expect(refusal(() => decodeMessage(Uint8Array.from([...bytes, ...extra]))).closeCode).toBe(1007);
    }
  });

  it('[N8] refuses unknown types', () => {
    for (const type of [4, 5, 99, 101, 2 ** 40]) {
      expect(refusal(() => decodeMessage(Uint8Array.from([...varUint(type), 0]))).message).toContain(
        'not known',
      );
    }
    for (const step of [3, 200]) {
      expect(refusal(() => decodeMessage(withBlock(0, []).with(1, 3))).message).toMatch(
        /not known|too early/,
      );
      expect(refusal(() => decodeMessage(Uint8Array.from([0, ...varUint(step), 0]))).message).toContain(
        'not known',
      );
    }
    expect(refusal(() => decodeMessage(Uint8Array.from([2, 1, 0]))).message).toContain('not known');
  });

  it('[N8] refuses awareness that is not JSON, not UTF-8, or lies about its count', () => {
    const entry = (state: number[]): number[] => [1, 7, 0, state.length, ...state];
    const ascii = (text: string): number[] => [...text].map((char) => char.charCodeAt(0));
    expect(refusal(() => decodeMessage(withBlock(1, entry(ascii('{a}'))))).message).toContain(
      'does not parse',
    );
    expect(refusal(() => decodeMessage(withBlock(1, entry([])))).message).toContain('does not parse');
    expect(refusal(() => decodeMessage(withBlock(1, entry([0x22, 0xff, 0x22])))).message).toContain('UTF-8');
    expect(refusal(() => decodeMessage(withBlock(1, [9, 7, 0, 1, 49]))).message).toContain('count');
    expect(refusal(() => decodeMessage(withBlock(1, [...entry([49]), 0]))).message).toContain(
      'after the end',
    );
  });

  it('[N8] throws nothing but its own error at random bytes', () => {
    for (let seed = 1; seed <= runs(20_000); seed++) {
      const bytes = randomBytes(seed, seed % 40);
      if (seed % 2 === 0) bytes[0] = seed % 5;
      try {
        decodeMessage(bytes);
      } catch {
        expect(refusal(() => decodeMessage(bytes)).code).toBe('MALFORMED_UPDATE');
      }
    }
  });
});

describe('decodeStateVector', () => {
  it('[N2] reads what Yjs writes', () => {
    const clocks = fc.dictionary(fc.nat().map(String), fc.maxSafeNat());
    fc.assert(
      fc.property(clocks, (entries) => {
        const state = new Map(Object.entries(entries).map(([client, clock]) => [Number(client), clock]));
        expect(decodeStateVector(Y.encodeStateVector(state))).toEqual(state);
      }),
    );
  });

  it('[N8] refuses lies, repetition and trailing bytes', () => {
    const refused = (...bytes: number[]): string =>
      refusal(() => decodeStateVector(Uint8Array.from(bytes))).message;
    expect(refused()).toContain('too early');
    expect(refused(2, 1, 1)).toContain('too early');
    expect(refused(9, 1, 1)).toContain('count');
    expect(refused(...varUint(2 ** 40), 1, 1)).toContain('count');
    expect(refused(2, 1, 1, 1, 5)).toContain('twice');
    expect(refused(1, 1, 1, 0)).toContain('after the end');
    expect(refused(1, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f)).toContain('too large');
  });
});

describe('messages', () => {
  it('[N1] are understood by y-protocols', () => {
    const doc = sampleDoc();
    const replica = new Y.Doc();
    const step2 = opened(messages.syncStep2(Y.encodeStateAsUpdate(doc)));
    expect(step2.type).toBe(0);
    expect(readSyncMessage(step2.decoder, encoding.createEncoder(), replica, null)).toBe(1);
    expect(replica.getMap('patients').toJSON()).toEqual({ p1: { name: 'Zoë' } });

    doc.getMap('patients').set('p2', true);
    const update = opened(messages.update(Y.encodeStateAsUpdate(doc)));
    expect(readSyncMessage(update.decoder, encoding.createEncoder(), replica, null)).toBe(2);
    expect(replica.getMap('patients').get('p2')).toBe(true);

    const reply = encoding.createEncoder();
    const step1 = opened(messages.syncStep1(Y.encodeStateVector(doc)));
    expect(readSyncMessage(step1.decoder, reply, replica, null)).toBe(0);
    expect(encoding.length(reply)).toBeGreaterThan(0);
  });

  it('[N1] an update is the same as a client writes it, of any size', () => {
    for (const size of [0, 1, 127, 128, 511, 512, 4_096, 4_097, 1e6]) {
      const body = Uint8Array.from({ length: size }, (_, index) => index % 251);
      const message = messages.update(body);
      messages.update(Uint8Array.of(1, 2, 3)); // what was written before stays as it is
      expect(Buffer.compare(message, update(body)), `${size} bytes`).toBe(0);
    }
  });

  it('[N1] a refusal of permission reaches the auth handler', () => {
    const { type, decoder } = opened(messages.permissionDenied('read only'));
    expect(type).toBe(2);
    let denied = '';
    readAuthMessage(decoder, new Y.Doc(), (_doc, reason) => {
      denied = reason;
    });
    expect(denied).toBe('read only');
  });

  it('[N6] awareness is applied by y-protocols, and a keep-alive changes nothing', () => {
    const awareness = new Awareness(new Y.Doc());
    const before = new Map(awareness.getStates());
    const apply = (message: Uint8Array): void => {
      const { type, decoder } = opened(message);
      expect(type).toBe(1);
      applyAwarenessUpdate(awareness, decoding.readVarUint8Array(decoder), null);
      expect(decoding.hasContent(decoder)).toBe(false);
    };
    apply(messages.keepAlive);
    expect(awareness.getStates()).toEqual(before);
    apply(messages.awareness([{ id: 7, clock: 1, state: '{"a":1}' }]));
    expect(awareness.getStates().get(7)).toEqual({ a: 1 });
    apply(messages.awareness([{ id: 7, clock: 2, state: 'null' }]));
    expect(awareness.getStates().has(7)).toBe(false);
    awareness.destroy();
  });
});
