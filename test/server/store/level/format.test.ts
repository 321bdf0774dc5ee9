import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keyEncoding } from 'y-leveldb';
import * as Y from 'yjs';
import { updateLength } from '../../../../server/protocol/scan.js';
import * as format from '../../../../server/store/format.js';
import { Author } from '../../../support/notes.js';
import { runs } from '../../../support/runs.js';
import { anyText } from '../../../support/texts.js';

const clocks = fc.integer({ min: 0, max: 0xfffffffe });
const users = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 128 });
const isIn = (key: Buffer, { gte, lt }: format.KeyRange): boolean =>
  Buffer.compare(key, gte) >= 0 && Buffer.compare(key, lt) < 0;

describe('the format of the database', () => {
  it('[P1] keys are those of y-leveldb, byte for byte', () => {
    fc.assert(
      fc.property(users, clocks, (user, clock) => {
        expect(format.updateKey(user, clock)).toEqual(keyEncoding.encode(['v1', user, 'update', clock]));
        expect(format.stateVectorKey(user)).toEqual(keyEncoding.encode(['v1_sv', user]));
        expect(format.clockOf(format.updateKey(user, clock))).toBe(clock);
        expect(format.userOf(format.stateVectorKey(user))).toBe(user);
        expect(format.userOfRow(format.rowKey(user))).toBe(user);
      }),
    );
  });

  it('[P1] [H5] the keys of a user that is loaded are the same', () => {
    fc.assert(
      fc.property(users, clocks, (user, number) => {
        const keys = new format.UserKeys(user);
        expect(keys.update(number)).toEqual(format.updateKey(user, number));
        expect(keys.history(number + 1)).toEqual(format.historyKey(user, number + 1));
        expect(keys.update(number)).toEqual(format.updateKey(user, number));
      }),
    );
  });

  it('[P1] ranges are those of y-leveldb, and no key of our own lies in one', () => {
    const range = format.updateRange('anna');
    expect(range.gte).toEqual(keyEncoding.encode(['v1', 'anna', 'update', 0]));
    expect(range.lt).toEqual(keyEncoding.encode(['v1', 'anna', 'update', 0xffffffff]));
    expect(format.STATE_VECTORS.gte).toEqual(keyEncoding.encode(['v1_sv']));
    expect(format.STATE_VECTORS.lt).toEqual(keyEncoding.encode(['v1_sw']));
    const ours = [
      format.FORMAT_KEY,
      format.PROBE_KEY,
      format.rowKey('anna'),
      format.memoryKey('anna'),
      format.historyKey('anna', 1),
      format.deviceKey('anna', 'phone'),
      format.deletionKey('anna', 'notes', 'n1'),
    ];
    for (const key of ours) expect(Buffer.compare(key, keyEncoding.encode(['v2']))).toBe(1);
  });

  it('[P1] [H5] a range of one user holds no key of another one, and keys say what they are for', () => {
    // What ids may have, and `%`, which names of y-leveldb may.
    const signs = ['a', '!', '"', '%', '2', '1', '5', '|', '+', 'ü', '\u0308', '漢', '😀', '\uffff'];
    const names = fc.string({ unit: fc.constantFrom(...signs), minLength: 1, maxLength: 6 });
    const texts = anyText(10);
    const revisions = fc.integer({ min: 0, max: 2 ** 48 - 1 });
    fc.assert(
      fc.property(names, names, texts, revisions, (user, other, text, revision) => {
        const device = format.deviceKey(user, other);
        expect(format.nameOf(device, 'device', user)).toBe(other);
        const deletion = format.deletionKey(user, text, text);
        const decoded = format.decodeDeletion(
          format.nameOf(deletion, 'deleted', user),
          format.encodeDeletion({ revision, at: 1.5 }),
        );
        expect(decoded).toEqual({ collection: text, id: text, revision, at: 1.5 });
        const entry = format.historyKey(user, revision);
        expect(format.revisionOf(entry)).toBe(revision);
        expect(isIn(entry, format.historyRange(user))).toBe(true);
        expect(isIn(entry, format.historyRange(other))).toBe(user === other);
        expect(isIn(device, format.namedRange('device', user))).toBe(true);
        expect(isIn(deletion, format.namedRange('deleted', user))).toBe(true);
        expect(isIn(device, format.namedRange('device', other))).toBe(user === other);
        expect(isIn(deletion, format.namedRange('deleted', other))).toBe(user === other);
        expect([format.namedKindOf(device, user), format.namedKindOf(deletion, user)]).toEqual([
          'device',
          'deleted',
        ]);
        expect(format.namedKindOf(device, other)).toBe(user === other ? 'device' : null);
        for (const key of [device, deletion, entry]) {
          expect(format.userOfOwn(key)).toBe(user);
          expect(isIn(key, format.ROWS)).toBe(false);
        }
      }),
      { numRuns: runs(1_000) },
    );
  });

  it('[H5] keys of the history are in the order of the revisions', () => {
    const revisions = [0, 1, 255, 256, 65_535, 2 ** 32 - 1, 2 ** 32, 2 ** 48 - 1];
    const keys = revisions.map((revision) => format.historyKey('anna', revision));
    expect([...keys].reverse().sort(Buffer.compare)).toEqual(keys);
  });

  it('[P1] a sealed value opens under its key, and under no other', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), users, clocks, (value, user, clock) => {
        const key = format.updateKey(user, clock);
        const sealed = format.seal(value, key);
        expect(format.unseal(sealed, key)).toEqual(value);
        expect(format.unseal(sealed, format.updateKey(user, clock + 1))).toBeUndefined();
        expect(format.unseal(sealed, format.updateKey(`${user}x`, clock))).toBeUndefined();
        expect(format.unseal(value, key)).toBeUndefined();
      }),
    );
  });

  it('[P1] Yjs and the scan read a sealed update as it was: bytes after an update are ignored', () => {
    const update = new Author().set('name', 'value');
    const sealed = format.seal(update, format.updateKey('anna', 0));
    const doc = new Y.Doc();
    Y.applyUpdate(doc, sealed);
    expect(doc.getMap('notes').toJSON()).toEqual({ name: 'value' });
    expect(updateLength(sealed)).toBe(update.length);
  });

  it('[P5] a row with any bit flipped is no row', () => {
    const row = {
      first: 3,
      last: 2_000_000_000,
      revision: 2 ** 40,
      memory: 0xffffffff,
      epoch: 0xfffffffe,
      historyFrom: 2 ** 33,
    };
    const sealed = format.encodeRow('anna', row);
    expect(format.decodeRow('anna', sealed)).toEqual(row);
    expect(format.decodeRow('anna', format.encodeRow('anna', { ...row, memory: null }))?.memory).toBeNull();
    expect(format.decodeRow('anna', format.encodeRow('anna', { ...row, epoch: null }))?.epoch).toBeNull();
    expect(format.decodeRow('anna', format.encodeRow('anna', format.EMPTY_ROW))).toEqual(format.EMPTY_ROW);
    expect(format.decodeRow('bert', sealed)).toBeUndefined();
    for (let bit = 0; bit < sealed.length * 8; bit += 1) {
      const damaged = Buffer.from(sealed);
      damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(format.decodeRow('anna', damaged)).toBeUndefined();
    }
  });

  it('[P1] the clock of a state vector value, as y-leveldb writes it', () => {
    const value = format.encodeStateVectorValue(700, Uint8Array.of(0));
    expect([...value]).toEqual([188, 5, 1, 0]);
    expect(format.stateVectorClock(value)).toBe(700);
    expect(format.stateVectorClock(Buffer.concat([value, Buffer.of(1)]))).toBeUndefined();
    expect(format.stateVectorClock(Buffer.of(128))).toBeUndefined();
  });
});
