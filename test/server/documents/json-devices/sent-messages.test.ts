import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DeviceState } from '../../../../server/documents/json-devices/device.js';
import { APP_LAG } from '../../../../server/documents/json-devices/seen-ranges.js';
import { BURST, SentMessages } from '../../../../server/documents/json-devices/sent-messages.js';
import { LATEST } from '../../../../server/documents/json-devices/write-context.js';
import type { RecordKey } from '../../../../server/documents/records/record-key.js';
import type { CollectionName, DeviceKey, RecordId, UserId } from '../../../../shared/names.js';
import { runs } from '../../../support/runs.js';

/** As long as this, what was read when has to stay known. */
const KEPT = 30_000;

const recordOf = (id: number): RecordKey => ({
  collection: 'patients' as CollectionName,
  id: `r${id}` as RecordId,
});

interface Sent {
  readonly what: RecordKey | 'everything';
  readonly revision: number;
  readonly sentAt: number;
  arrivedAt: number | null;
}

/** All that was ever sent, looked through from the beginning each time. */
class Everything {
  readonly sent: Sent[] = [];
  readonly read: { readonly at: number; readonly number: number }[] = [];

  acknowledged(upTo: number, at: number): void {
    this.read.push({ at, number: upTo });
    for (const each of this.sent.slice(0, upTo)) each.arrivedAt ??= at;
  }

  readAt = (at: number): number => this.read.findLast((each) => each.at <= at - APP_LAG)?.number ?? 0;
  unread = (at: number): Sent[] => this.sent.slice(this.readAt(at));
  near = (id: string, at: number) =>
    this.sent.filter(({ what, sentAt, arrivedAt }) => {
      const isOther = what === 'everything' || what.id !== id;
      return isOther && sentAt < at + BURST && (arrivedAt ?? at) > at - BURST;
    });
}

const step = fc.record({
  /** Mostly as quick as messages are paced; now and then a rest, or a clock that is set back. */
  pause: fc.oneof(
    { weight: 20, arbitrary: fc.integer({ min: 0, max: 300 }) },
    { weight: 1, arbitrary: fc.integer({ min: -5_000, max: 60_000 }) },
  ),
  record: fc.nat(9),
  confirms: fc.nat(3),
  look: fc.nat(KEPT),
});

test('[L4] what a device had read by any time of the last 30 s is known, however much was sent to it', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 100, maxLength: 900, size: 'max' }), (steps) => {
      const sent = new SentMessages(new DeviceState('phone' as DeviceKey, 'anna' as UserId));
      const all = new Everything();
      let [now, confirmed, wasSetBack] = [1e12, 0, false];
      for (const [index, { pause, record, confirms, look }] of steps.entries()) {
        now += pause;
        wasSetBack ||= pause < 0;
        const what = record === 0 ? 'everything' : recordOf(record);
        sent.add(what, index, now);
        all.sent.push({ what, revision: index, sentAt: now, arrivedAt: null });
        confirmed = Math.min(all.sent.length, confirmed + confirms);
        sent.acknowledged(confirmed, index, now);
        all.acknowledged(confirmed, now);
        const [at, key] = [now - look, recordOf(1)];
        const unread = all.unread(at);
        // Then those 30 s are not the last ones any more: it may know less, and never more.
        if (wasSetBack) {
          expect(sent.read(at)?.number ?? 0).toBeLessThanOrEqual(all.readAt(at));
          continue;
        }
        expect(sent.read(at)?.number ?? 0).toBe(all.readAt(at));
        expect(sent.unreadFrom(at)).toBe(Math.min(LATEST, ...unread.map(({ revision }) => revision)));
        expect(sent.lastUnread(key, at) !== null).toBe(
          unread.some((each) => each.what === 'everything' || each.what.id === key.id),
        );
        expect(sent.near(key, at).map((each) => each.what)).toEqual(
          all.near(key.id, at).map((each) => each.what),
        );
      }
    }),
    { numRuns: runs(100), endOnFailure: true },
  );
});
