import { describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import { DeviceState } from '../../../server/documents/json-devices/device.js';
import { erasableOf, Tombstone } from '../../../server/documents/tombstone.js';
import type { DeviceId, DeviceKey, UserId } from '../../../shared/names.js';
import { slowness } from '../../support/core-speed.js';
import { threadTimes } from '../../support/thread-times.js';

const ERASED_AT = 1_000_000;
const ANNA = 'anna' as UserId;
const PHONE = 'phone' as DeviceId;

function erasedDoc(client: number): Y.Doc {
  const doc = new Y.Doc();
  doc.clientID = client;
  doc.getMap('notes').set('a', 1);
  return doc;
}

function tombstone(
  client: number,
  keys: readonly DeviceKey[],
  erased: Tombstone | null = null,
  retired: readonly number[] = [],
): Tombstone {
  const stateVector = () => Y.encodeStateVector(erasedDoc(client));
  return Tombstone.of({ revision: 7, devices: { keys }, erased, epoch: { retired }, stateVector }, ERASED_AT);
}

const stored = (tomb: Tombstone): Tombstone => Tombstone.decode(tomb.encode());
const ERASED = expect.objectContaining({ code: 'ERASED' });

describe('a tombstone', () => {
  test('[P7] survives being stored, and has no device id in it', () => {
    const bytes = tombstone(5, ['somebodys-phone' as DeviceId]).encode();
    expect(Buffer.from(bytes).includes('somebodys-phone')).toBe(false);
    expect(Tombstone.decode(bytes).encode()).toEqual(bytes);
    expect([7, 8].map((revision) => Tombstone.decode(bytes).covers(revision))).toEqual([true, false]);
  });

  test('[P7] [P10] it refuses what is of a document before the erased one, which was rewritten', () => {
    const tomb = stored(tombstone(5, [], null, [3, 4]));
    for (const client of [3, 4, 5])
      expect(() => tomb.checkStateVector(new Map([[client, 1]]))).toThrow(ERASED);
    tomb.checkStateVector(new Map([[6, 1]]));
  });

  test('[P7] a second erasure refuses what either has erased', () => {
    const tomb = stored(tombstone(6, ['tablet' as DeviceId], stored(tombstone(5, [PHONE]))));
    for (const client of [5, 6]) {
      expect(() => tomb.checkStateVector(new Map([[client, 1]]))).toThrow(ERASED);
      expect(() => tomb.checkUpdate({ ranges: [{ client, from: 9, to: 10 }], needs: new Map() })).toThrow(
        ERASED,
      );
      expect(() => tomb.checkUpdate({ ranges: [], needs: new Map([[client, 1]]) })).toThrow(ERASED);
    }
    tomb.checkStateVector(new Map([[7, 1]]));
    tomb.checkUpdate({ ranges: [{ client: 7, from: 0, to: 1 }], needs: new Map([[7, 1]]) });
    for (const id of [PHONE, 'tablet' as DeviceId]) {
      const write = { device: new DeviceState(id, ANNA), madeAt: ERASED_AT + 1, replay: false };
      expect(() => tomb.checkWrite(write)).toThrow(ERASED);
    }
  });

  test('[P7] [S4] of very many clients it is read without keeping others waiting', () => {
    const ids = Array.from({ length: 250_000 }, (_, n) => (n * 2_654_435_761) % 2 ** 32);
    const bytes = tombstone(5, [], null, ids).encode();
    const cpuOf = (): number => {
      const began = threadTimes().worked;
      expect(Tombstone.decode(bytes).retires(ids[7] ?? 0)).toBe(true);
      return threadTimes().worked - began;
    };
    expect(Math.min(cpuOf(), cpuOf(), cpuOf())).toBeLessThan(50 * slowness());
  });

  test.each([
    ['of a stranger, before', 'stranger', null, -1, true],
    ['of a stranger, at that time', 'stranger', null, 0, false],
    ['of a stranger, without a time', 'stranger', null, null, false],
    ['of a known device that has read nothing since', 'phone', null, 5, true],
    ['of a known device, after the erasure, before it read', 'phone', 10, 9, true],
    ['of a known device, after it read', 'phone', 10, 10, false],
    ['of a known device that has read, from a queue without times', 'phone', 10, null, true],
  ])('[P7] a queued write %s', (_, id, synced, made, isRefused) => {
    const device = new DeviceState(id as DeviceId, ANNA);
    if (synced !== null) device.noteSynced(ERASED_AT + synced);
    const write = { device, madeAt: made === null ? null : ERASED_AT + made, replay: true };
    const check = () => stored(tombstone(5, [PHONE])).checkWrite(write);
    if (isRefused) expect(check).toThrow(ERASED);
    else check();
  });

  test('[P7] without times, a known device is trusted live, and once its queue had the time to be flushed', () => {
    const tomb = stored(tombstone(5, [PHONE]));
    const device = new DeviceState(PHONE, ANNA);
    const sent = [[0, 8]] as const;
    const ended = { startedAt: 0, flushedAt: null, sent, read: 8, syncedAt: 0, replayedUpTo: -1 };
    device.noteSynced(ERASED_AT + 1);
    tomb.checkWrite({ device, madeAt: null, replay: false });
    device.connect(0, 8);
    device.disconnect(ended, 29_999);
    expect(() => tomb.checkWrite({ device, madeAt: null, replay: true })).toThrow(ERASED);
    device.connect(40_000, 8);
    device.disconnect({ ...ended, startedAt: 40_000, flushedAt: 70_000 }, 70_000);
    const saved = DeviceState.decode(PHONE, ANNA, device.encode(80_000), 8);
    tomb.checkWrite({ device: saved, madeAt: null, replay: true });
    expect(saved.syncedFrom).toBe(ERASED_AT + 1);
  });

  test('[P7] of a damaged document that was erased before it knows whom that kept away', () => {
    const doc = new Y.Doc();
    doc.getMap('notes').set('a', 1);
    const noted = { revision: 3, stateVector: Y.encodeStateVector(doc) };
    const nothing = { tombstone: null, epoch: null };
    const first = Tombstone.of(erasableOf({ noted, devices: [], former: nothing }), ERASED_AT);
    const former = { tombstone: first.encode(), epoch: null };
    const second = stored(Tombstone.of(erasableOf({ noted: null, devices: [], former }), ERASED_AT + 1));
    expect(() => second.checkStateVector(new Map([[doc.clientID, 1]]))).toThrow(ERASED);
    expect([second.covers(4), second.covers(5)]).toEqual([true, false]);
    expect(second.id).not.toBe(first.id);
  });

  test('[P7] of a damaged document of which nothing was noted it knows the time only', () => {
    const former = { tombstone: null, epoch: null };
    const tomb = stored(Tombstone.of(erasableOf({ noted: null, devices: [], former }), ERASED_AT));
    const device = new DeviceState(PHONE, ANNA);
    expect(() => tomb.checkWrite({ device, madeAt: ERASED_AT - 1, replay: true })).toThrow(ERASED);
    tomb.checkWrite({ device, madeAt: ERASED_AT, replay: true });
    expect(tomb.covers(0)).toBe(false);
    const again = Tombstone.of(erasableOf({ noted: null, devices: [], former }), ERASED_AT);
    expect([again.id === tomb.id, stored(again).id === again.id]).toEqual([false, true]);
  });
});
