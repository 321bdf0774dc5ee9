/** What a device that comes over HTTP may be looking at: it confirms by the ETag that it has (H1, H2). */

import type { ChangeMessage } from '../../protocol/json.js';
import { keyOf, type RecordKey, recordOf } from '../records/record-key.js';
import type { Arrival, DeviceState } from './device.js';
import { isMadeLater, type LiveWrite, type PostedWrite } from './live-write.js';
import { besides, type OwnWrite } from './own-write.js';
import { recentWrites } from './recent-writes.js';
import type { SocketView } from './socket-view.js';
import { NOTHING_LATER, ownBounds, type WriteContext, type WrittenMessage } from './write-context.js';

/** So many connections that ended while an answer goes out are kept, each with what it brought: it may never go out. */
const MAX_ENDED = 4;

export class RequestView {
  readonly device: DeviceState;
  readonly #own = recentWrites<PostedWrite>();
  readonly #connections: () => readonly SocketView[];
  /** Answers that are being made, wait for the disk, or go out. */
  #answers = 0;
  /** Connections that have ended meanwhile: what they brought may be taken out of the copy all the same. */
  readonly #ended = new Set<SocketView>();

  /** @param connections those of the device that are not known to be gone */
  constructor(device: DeviceState, connections: () => readonly SocketView[] = () => []) {
    this.device = device;
    this.#connections = connections;
  }

  /** Changes came in. They may be made on what a connection brought that is not known to be gone. */
  begin(now: number): void {
    for (const each of this.#connections()) each.meanwhile(now);
  }

  get isAnswered(): boolean {
    return this.#answers > 0;
  }

  /** An answer is being made, or waits for the disk, until `endAnswer`. */
  beginAnswer(): void {
    this.device.http.begin();
    this.goesOut();
  }

  endAnswer(): void {
    this.device.http.end();
    this.hasGone();
  }

  /** An answer goes out, until `hasGone`. */
  goesOut(): void {
    this.#answers++;
  }

  hasGone(): void {
    this.#answers--;
    if (!this.isAnswered) this.#ended.clear();
  }

  /** A connection of the device has ended; of those, the oldest goes that is too many. */
  ended(connection: SocketView): void {
    if (!this.isAnswered) return;
    this.#ended.add(connection);
    const [oldest] = this.#ended;
    if (this.#ended.size > MAX_ENDED && oldest !== undefined) this.#ended.delete(oldest);
  }

  /**
   * An answer with the state at `revision` leaves now, however long it was made, or waited for the disk.
   *
   * @param isWhole it has the records
   */
  sent(revision: number, now: number, isWhole = true): void {
    this.device.answered(revision, now, isWhole);
  }

  /**
   * An answer with the records as of `revision` has gone out: the device makes its copy anew of that. What had come in
   * by then was made on the copy before.
   *
   * @param behind runs a task behind what has come in
   */
  shown(revision: number, now: () => number, behind: (task: () => void) => void): void {
    for (const each of this.#connections()) each.served.answeredOverHttp(revision);
    const ended = [...this.#ended];
    behind(() => {
      for (const each of ended) each.replacedBy(revision, now());
      this.#lacks(revision);
    });
  }

  /** The device's copy may be without what it posted after this revision. */
  #lacks(revision: number): void {
    for (const [name, own] of this.#own) {
      if (own.revision <= revision) continue;
      const crossed = besides(own, revision);
      this.#own.set(name, crossed);
      this.device.keepUnsettled(recordOf(name), crossed);
    }
  }

  /** The device wrote over a connection: what it had posted of the record is not its last write any more. */
  wroteLive(key: RecordKey, live: LiveWrite): void {
    const posted = this.#own.get(keyOf(key));
    if (posted !== undefined && isMadeLater(posted, live)) this.#own.delete(keyOf(key));
  }

  /** The device named what it has: from an answer that it got, at the latest, when the last with that was sent. */
  confirmed(revision: number, now: number): void {
    const { http } = this.device;
    this.device.confirm(revision, http.sentAt(revision) ?? now, now);
    // One of which that is not known may be from before a doubt arose; and one without records makes no copy anew.
    const renewedAt = http.wholeSentAt(revision);
    if (renewedAt !== undefined) this.device.noteSure('everything', renewedAt, renewedAt);
    for (const [name, own] of this.#own) if (own.revision <= revision) this.#own.delete(name);
  }

  /**
   * Nothing tells whether a request waited in a queue, so each counts as a replay.
   *
   * @param before by their records, what stands before it in its batch
   */
  contextOf(
    message: ChangeMessage,
    arrival: Arrival,
    before: ReadonlyMap<string, OwnWrite> = new Map(),
  ): WriteContext {
    const { device } = this;
    const time = device.hear(message, false, arrival);
    const { madeAt } = time;
    const range = device.seenBefore(time, message, arrival.now);
    const key = keyOf(message);
    const last = device.byNow(before.get(key) ?? this.#own.get(key) ?? null);
    // A request that is sent again after the answer was lost may bring an older write.
    const isOlder = madeAt !== null && (last?.madeAt ?? madeAt) > madeAt;
    const own = isOlder ? null : last;
    const at = arrival.now;
    const kind = { replay: true, elsewhere: null };
    return { device, at, ...kind, ...time, range, own, shown: null, ...ownBounds(range, madeAt) };
  }

  /**
   * The device has now what it sent, or the answer, which shows the state at `revision`.
   *
   * @param before the revision before its batch
   */
  wrote({ message, context, outcome }: WrittenMessage, revision: number, before: number): void {
    const { range, madeAt, isCertain, at } = context;
    const since = outcome.revision === null ? (range?.to ?? revision) : outcome.revision - 1;
    const own = {
      sent: sentBy(message),
      madeAt,
      isCertain,
      at,
      revision,
      since,
      withBase: false,
      replaced: [],
      isShown: true,
      isRepeat: false,
    };
    this.#own.add(keyOf(message), own);
    this.device.noteWrite(message, own, outcome);
    for (const each of this.#connections()) each.wroteOverHttp(message, own, outcome, before);
  }
}

/** A change of a batch, as the next one is compared with it. */
export const sentBefore = (
  message: ChangeMessage,
  { madeAt, isCertain, at }: WriteContext,
  revision: number,
): OwnWrite => ({
  sent: sentBy(message),
  madeAt,
  isCertain,
  at,
  revision,
  since: NOTHING_LATER,
  withBase: false,
  replaced: [],
  isShown: false,
  isRepeat: false,
});

const sentBy = (message: ChangeMessage) => (message.type === 'DATA_UPDATE' ? message.document : null);
