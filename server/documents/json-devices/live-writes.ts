/** The device's own last writes, as one of its connections knows them: what else reaches the device bears on them (L4). */
import { keyOf, type RecordKey, recordOf } from '../records/record-key.js';
import type { DeviceState } from './device.js';
import { afterPost, type LiveWrite, type PostedWrite, withoutLive } from './live-write.js';
import { besides, withoutShown } from './own-write.js';
import { WritesOfConnection } from './recent-writes.js';
import { APP_LAG } from './seen-ranges.js';
import { LATEST } from './write-context.js';

export class LiveWrites {
  readonly #writes = new WritesOfConnection<LiveWrite>();

  get(key: RecordKey): LiveWrite | undefined {
    return this.#writes.get(keyOf(key));
  }

  add(key: RecordKey, write: LiveWrite): void {
    this.#writes.add(keyOf(key), write);
  }

  delete(key: RecordKey): void {
    this.#writes.delete(keyOf(key));
  }

  /**
   * A message goes out that shows this record, or all, as of `revision`: the write is older, or meets it on the way.
   *
   * @param number of the message
   */
  shown(what: RecordKey | 'everything', revision: number, number: number): void {
    const names = what === 'everything' ? this.#writes.records : [keyOf(what)];
    for (const name of names) {
      const own = this.#writes.get(name);
      if (own === undefined) continue;
      if (own.revision > revision) this.#writes.set(name, besides(own, revision));
      else if (own.shownBy === null) this.#writes.set(name, { ...own, shownBy: number });
    }
  }

  /** The message was a full sync. */
  shownAll(revision: number): void {
    for (const [name, own] of this.#writes) {
      if (revision < own.revision) continue;
      this.#writes.set(name, { ...own, replaced: withoutShown(own, revision), isShown: true });
    }
  }

  /** What was sent is the record as it is after the device's own write. */
  sentBack(key: RecordKey, written: number | null): void {
    const own = this.get(key);
    if (own === undefined) return;
    const replaced = own.replaced.filter((each) => each !== written);
    this.#writes.set(keyOf(key), { ...own, replaced, isShown: true });
  }

  /** These changes, before the device's own write, will not be sent to it. */
  neverSent(key: RecordKey, changesUpTo: (revision: number) => readonly number[]): void {
    const own = this.get(key);
    if (own === undefined) return;
    const replaced = [...new Set([...own.replaced, ...changesUpTo(own.revision)])];
    this.#writes.set(keyOf(key), { ...own, replaced });
  }

  /** The device wrote over HTTP; the rest as for `afterPost`. */
  posted(key: RecordKey, own: PostedWrite, corrected: boolean, unread: number | null): void {
    this.add(key, afterPost(this.get(key), own, corrected, unread));
  }

  /**
   * The device's copy may have been made anew of the state at this revision: returns those that this lacks, with the
   * keys of their records.
   */
  replacedBy(revision: number): (readonly [string, LiveWrite])[] {
    const lacking = [...this.#writes]
      .filter(([, own]) => own.revision > revision)
      .map(([name, own]) => [name, besides(own, revision)] as const);
    for (const [name, own] of lacking) this.#writes.set(name, own);
    return lacking;
  }

  /** The connection ends, or may have ended: what the device may be left with is kept. */
  settle(device: DeviceState, until: LastKnown): void {
    const { read, now } = until;
    for (const [name, own] of this.#writes) {
      const { shownBy, isLate, isOverHttp, withBase } = own;
      if (isLate) continue; // noted as it came: the device may have written the record by another way since
      const key = recordOf(name);
      if (isOutdated(device, key, own, until)) continue;
      const isUnsure = device.unsureSince(key, now) < LATEST;
      // What corrects it may still wait to be sent.
      const isUnread = shownBy === null ? own.isShown || withBase : shownBy > read || isUnsure;
      const isOpen = own.at > now - APP_LAG || isUnread;
      if (!isOpen) device.settle(key);
      // Of a request that crossed nothing, there is no more to keep than was noted as it came.
      else if (!isOverHttp || withBase) device.keepUnsettled(key, withoutLive(own));
    }
  }
}

/** Of a connection. */
interface LastKnown {
  /** Number of the last message that the device had read. */
  readonly read: number;
  /** When a newer connection of it began. */
  readonly supersededAt: number | null;
  readonly now: number;
}

/** Whether another way of the device has noted since what it is left with of this record. */
function isOutdated(
  device: DeviceState,
  key: RecordKey,
  { at, revision }: LiveWrite,
  { supersededAt }: LastKnown,
): boolean {
  if (device.hasConfirmed(revision, at)) return true;
  const kept = device.unsettled(key);
  if (kept !== null) return kept.revision > revision;
  return supersededAt !== null && at <= supersededAt;
}
