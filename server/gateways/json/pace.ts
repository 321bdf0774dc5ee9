/**
 * When messages with records leave for a JSON device (L4). Some apps read the stored list of a collection, wait for
 * their storage, and write it back; of two messages in quick succession only one stays. So the next message of a
 * collection goes out after the pong of the one before, and a little later; what comes meanwhile is combined by record.
 * What came close to another one all the same is in doubt, and is sent once more when it is quiet; where that is in
 * doubt again, since the app has written something on it, not before a pause.
 */
import type { CollectionName } from '../../../shared/names.js';
import { BURST } from '../../documents/json-devices/sent-messages.js';
import { keyOf, type RecordKey } from '../../documents/records/record-key.js';
import { type Due, pauseBefore } from './again.js';
import { Lane } from './lane.js';

/** What is sent once more, in bytes; of the rest, the doubt stays. */
const MOST_AGAIN = 2 ** 20;

/** So long after an answer over HTTP goes what that lacks, in ms: it has a way of its own. */
const BEHIND_ANSWER = BURST;

/** How long waits what was sent once more so often, in ms, and what was not yet. */
const pauseAfter = (repeats: number, first: number): number =>
  repeats === 0 ? first : pauseBefore(repeats - 1);

/** A message with a record. */
export interface Outgoing extends RecordKey {
  /** The oldest revision that it is about. */
  readonly since: number;
  readonly text: Buffer;
}

export interface PaceOptions<Message> {
  /**
   * So many ms lie between a pong and the next message; 0: messages don't wait for each other, and none is in doubt
   * for how near it came to another one.
   */
  readonly gap: number;
  readonly now: () => number;
  /** Runs `task` later, unless the function that it returns is called. */
  readonly after: (ms: number, task: () => void) => () => void;
  /** Sends a message now, which was sent once more so often; returns its number. */
  readonly send: (message: Message, repeats: number) => number;
  /** The app may have lost the last message with this record, or with all. */
  readonly doubt: (what: RecordKey | 'everything') => void;
}

export class Pace<Message extends Outgoing> {
  readonly #options: PaceOptions<Message>;
  readonly #lanes = new Map<CollectionName, Lane<Message>>();
  /** A full sync is about every collection. */
  readonly #all = new Lane<Message>();
  /** A full sync that waits for what is under way; nothing else leaves before it. */
  #fullSync: (() => void) | null = null;
  #isHeld = false;
  #timer: { readonly at: number; readonly cancel: () => void } | null = null;
  #bytes = 0;
  #bytesAgain = 0;
  /** Number of the last message whose pong has come. */
  #arrived = 0;

  constructor(options: PaceOptions<Message>) {
    this.#options = options;
  }

  /** What waits, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** No full sync is under way, and nothing waits that was not sent. */
  get isQuiet(): boolean {
    return !this.#isHeld && this.#bytes === 0;
  }

  /** The oldest revision that was not sent yet. */
  get oldest(): number {
    if (this.#bytes === 0) return Number.POSITIVE_INFINITY;
    return Math.min(...[...this.#lanes.values()].map((lane) => lane.oldest));
  }

  /**
   * At once where nothing of its collection is under way; the last state of a record takes the place of earlier ones.
   */
  send(message: Message): void {
    const lane = this.#laneOf(message.collection);
    if (lane.waiting.size === 0 && this.#freeAt(lane) <= this.#options.now()) {
      this.#leave(lane, message);
      this.#schedule();
      return;
    }
    const earlier = lane.waiting.get(keyOf(message));
    lane.waiting.set(keyOf(message), { message, since: earlier?.since ?? message.since });
    this.#bytes += message.text.length - (earlier?.message.text.length ?? 0);
    this.#schedule();
  }

  /**
   * The device has this record as it is: what waits of it is of no use any more. Returns the oldest revision that
   * will not be sent; `null`: nothing waited.
   */
  drop(key: RecordKey): number | null {
    const lane = this.#lanes.get(key.collection);
    if (lane === undefined) return null;
    const since = lane.waiting.get(keyOf(key))?.since ?? null;
    this.#take(lane, keyOf(key));
    if (lane.last !== null && keyOf(lane.last) === keyOf(key)) lane.last = null;
    return since;
  }

  /**
   * What shows this record may not have been read when the device wrote over it: it is sent when it is quiet. Returns
   * whether it will be.
   *
   * @param repeats how often that had been sent once more
   */
  repeat(message: Message, repeats: number): boolean {
    const { gap, now } = this.#options;
    if (gap === 0) {
      this.renew(message, () => message);
      return false;
    }
    return this.#repeatAt(message, { repeats, at: now() + pauseAfter(repeats, 0) });
  }

  /**
   * An answer over HTTP has taken this record, as it is, out of the app's copy: it is sent behind that, also where
   * nothing else waits. What waits for its pause already does so on. Returns whether there is room for it.
   *
   * @param repeats how often it had been sent once more
   */
  behindAnswer(message: Message, repeats: number): boolean {
    const due = this.#laneOf(message.collection).again.get(keyOf(message));
    const often = Math.max(repeats, due?.repeats ?? 0);
    const at = this.#options.now() + pauseAfter(often, BEHIND_ANSWER);
    return this.#repeatAt(message, { repeats: often, at: Math.max(at, due?.at ?? at) });
  }

  #repeatAt(message: Message, again: Pick<Due<Message>, 'repeats' | 'at'>): boolean {
    const lane = this.#laneOf(message.collection);
    const isWaiting = lane.waiting.has(keyOf(message));
    if (isWaiting) this.send(message);
    const willBe = isWaiting || this.#sendAgain(lane, message, again);
    this.#schedule();
    return willBe;
  }

  /** What of this record is to be sent once more is that, from now on. */
  renew(key: RecordKey, make: () => Message): void {
    const lane = this.#lanes.get(key.collection);
    const due = lane?.again.get(keyOf(key));
    if (lane === undefined || due === undefined) return;
    this.#sendAgain(lane, make(), due);
    this.#schedule();
  }

  /** Calls `make` when nothing is under way; nothing else leaves before `fullSyncLeaves`. */
  fullSync(make: () => void): void {
    this.#fullSync = make;
    this.#isHeld = true;
    this.proceed();
  }

  /**
   * It leaves now, and shows all that waits.
   *
   * @param send returns its number
   */
  fullSyncLeaves(send: () => number): void {
    const { gap, now, doubt } = this.#options;
    this.#isHeld = false;
    const isNear = [...this.#lanes.values()].some((lane) => lane.isNear(now() - BURST));
    for (const lane of this.#lanes.values()) lane.clear();
    this.#bytes = 0;
    this.#bytesAgain = 0;
    const number = send();
    if (gap === 0) return;
    this.#all.left(number, now(), null);
    this.#all.arrived(this.#arrived, now(), BURST);
    if (isNear) doubt('everything');
  }

  /** A pong says that so many messages have arrived. */
  arrived(number: number): void {
    const { now, gap } = this.#options;
    this.#arrived = number;
    this.#all.arrived(number, now(), BURST);
    for (const lane of this.#lanes.values()) lane.arrived(number, now(), gap);
    this.proceed();
  }

  /** Sends what may go by now. */
  proceed(): void {
    if (this.#fullSync !== null && this.#quietAt <= this.#options.now()) {
      const make = this.#fullSync;
      this.#fullSync = null;
      make();
    }
    for (const lane of this.#lanes.values()) this.#proceedWith(lane);
    this.#schedule();
  }

  /** The connection is gone. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#fullSync = null;
    this.#lanes.clear();
    this.#bytes = 0;
  }

  #proceedWith(lane: Lane<Message>): void {
    const { now } = this.#options;
    while (lane.waiting.size > 0 && this.#freeAt(lane) <= now()) {
      const [key = ''] = lane.waiting.keys();
      const message = this.#take(lane, key);
      if (message !== undefined) this.#leave(lane, message);
    }
    const due = lane.again.first;
    if (due === null || lane.waiting.size > 0 || this.#againAt(lane) > now()) return;
    this.#leave(lane, due.message, due.repeats + 1);
  }

  #leave(lane: Lane<Message>, message: Message, repeats = 0): void {
    const { gap, now, send, doubt } = this.#options;
    const { last } = lane;
    const time = now();
    this.#forgetAgain(lane, keyOf(message));
    const number = send(message, repeats);
    if (gap === 0) return;
    const [isNear, isNearAll] = [lane.isNear(time - BURST), this.#all.isNear(time - BURST)];
    lane.left(number, time, message);
    lane.arrived(this.#arrived, time, gap); // where the pong came at once
    if (isNear && last !== null) this.#doubt(lane, last);
    if (isNear || isNearAll) this.#doubt(lane, message);
    if (isNearAll) doubt('everything');
  }

  #doubt(lane: Lane<Message>, message: Message): void {
    const { doubt, now } = this.#options;
    doubt(message);
    this.#sendAgain(lane, message, { repeats: 0, at: now() });
  }

  /** Returns whether there is room for it. */
  #sendAgain(
    lane: Lane<Message>,
    message: Message,
    { repeats, at }: Pick<Due<Message>, 'repeats' | 'at'>,
  ): boolean {
    this.#forgetAgain(lane, keyOf(message));
    if (this.#bytesAgain + message.text.length > MOST_AGAIN) return false;
    lane.again.set(keyOf(message), { message, repeats, at });
    this.#bytesAgain += message.text.length;
    return true;
  }

  #forgetAgain(lane: Lane<Message>, key: string): void {
    this.#bytesAgain -= lane.again.get(key)?.message.text.length ?? 0;
    lane.again.delete(key);
  }

  #take(lane: Lane<Message>, key: string): Message | undefined {
    const message = lane.waiting.get(key)?.message;
    if (lane.waiting.delete(key)) this.#bytes -= message?.text.length ?? 0;
    return message;
  }

  #freeAt(lane: Lane<Message>): number {
    return this.#isHeld ? Number.POSITIVE_INFINITY : Math.max(lane.freeAt, this.#all.freeAt);
  }

  #againAt(lane: Lane<Message>): number {
    const { first } = lane.again;
    if (first === null) return Number.POSITIVE_INFINITY;
    return Math.max(first.at, this.#freeAt(lane), lane.quietAt(BURST));
  }

  /** When a full sync may go: another one before it does no harm. */
  get #quietAt(): number {
    return Math.max(...[...this.#lanes.values()].map((lane) => lane.quietAt(BURST)));
  }

  /**
   * A timer is there only while something waits. One that comes too early looks when it is time: each message that
   * leaves, and each pong, puts off what waits for quiet.
   */
  #schedule(): void {
    const at = this.#nextAt();
    if (this.#timer !== null && this.#timer.at <= at && at < Number.POSITIVE_INFINITY) return;
    this.#timer?.cancel();
    this.#timer = null;
    if (at === Number.POSITIVE_INFINITY) return;
    const proceed = () => {
      this.#timer = null;
      this.proceed();
    };
    this.#timer = { at, cancel: this.#options.after(Math.max(0, at - this.#options.now()), proceed) };
  }

  #nextAt(): number {
    if (this.#fullSync !== null) return this.#quietAt;
    if (this.#bytes + this.#bytesAgain === 0) return Number.POSITIVE_INFINITY;
    let next = Number.POSITIVE_INFINITY;
    for (const lane of this.#lanes.values()) next = Math.min(next, this.#nextOf(lane));
    return next;
  }

  #nextOf(lane: Lane<Message>): number {
    return lane.waiting.size > 0 ? this.#freeAt(lane) : this.#againAt(lane);
  }

  #laneOf(collection: CollectionName): Lane<Message> {
    const known = this.#lanes.get(collection);
    if (known !== undefined) return known;
    const lane = new Lane<Message>();
    this.#lanes.set(collection, lane);
    return lane;
  }
}
