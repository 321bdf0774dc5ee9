/** One native connection, without its socket: messages in, messages out (N1–N6). */

import type { DeviceId } from '../../../shared/names.js';
import type { DurableChange, Origin } from '../../documents/changes.js';
import { type MadeAt, ON_ARRIVAL, SenderClock } from '../../documents/later-wins/made-at.js';
import type { Follower } from '../../documents/sleep/follower.js';
import { ERRORS, SyncError } from '../../errors.js';
import type { Dependency } from '../../protocol/missing.js';
import {
  decodeMessage,
  decodeStateVector,
  messages,
  type TimedChanges,
  type YjsMessage,
} from '../../protocol/yjs.js';
import { announced, answerFrames, awarenessFrames, Line, SharedFrames } from './line.js';
import type { YjsSessionOptions } from './options.js';
import { type Checkpoint, WaitingUpdates } from './waiting-updates.js';

export type { YjsOutbox, YjsSessionOptions } from './options.js';

/** The longest silence towards a client, in ms: y-websocket reconnects after 30 s of it. */
export const KEEP_ALIVE = 12_000;

/** Thousands of them are quiet: what only those need that send or wait for something is made when they do. */
export class YjsSession implements Follower {
  readonly #options: YjsSessionOptions;
  readonly #frames: SharedFrames;
  #line: Line | null = null;
  #ended = false;
  /** The first message, SyncStep1, was sent (N2); it may have to wait for a commit. */
  #begun = false;
  #lastSent: number;
  /** The client's state vector at the start, until its answer to our SyncStep1 has come. */
  #saw: Map<number, number> | null = null;
  #answered = false;
  /** Something that was asked for is on its way; what was asked for since, the last of each kind. */
  #isAnswering = false;
  #stateVector: Uint8Array | null = null;
  #asksForAwareness = false;
  #waiting: WaitingUpdates | null = null;
  #newestCheckpoint: Checkpoint | null = null;
  /** Up to which revision the document was sent, once the first answer has left. */
  #sentUpTo = 0;
  #hasAnswered = false;
  #clock: SenderClock | null = null;
  /** A change was refused: no checkpoint may say that everything was saved (N4). */
  #refused = false;

  constructor(options: YjsSessionOptions) {
    this.#options = options;
    this.#frames = options.frames ?? new SharedFrames();
    this.#lastSent = this.#uptime();
  }

  get device(): DeviceId {
    return this.#options.device;
  }

  get actor(): string | null {
    return this.#options.actor ?? null;
  }

  #uptime(): number {
    const { uptime, now } = this.#options;
    return (uptime ?? now)();
  }

  /** Asks for what the client has, claiming only what is durable (N2), and follows the document from here. */
  start(): void {
    this.#enter(() => this.#greet());
  }

  #greet(): void {
    const { document } = this.#options;
    document.join(this);
    if (this.#options.asksForTimes) document.afterDurable(() => this.#send(messages.takesTimes));
    this.#askForMissing();
    document.afterDurable(() => {
      this.#begun = true;
      const present = document.awareness.entries();
      if (present.length > 0) this.#sendAll(awarenessFrames(present));
    });
  }

  /** Takes a message, `null` for a text message. */
  receive(bytes: Uint8Array | null): void {
    const arrivedAt = this.#options.now();
    this.#enter(() => {
      if (bytes === null) throw new SyncError('MALFORMED_UPDATE', 'A text message where bytes are expected.');
      const message = decodeMessage(bytes);
      this.#options.document.prepareFor(message);
      if (this.#options.asksForEpoch) this.#options.document.needs();
      this.#enter(() => this.#handle(message, arrivedAt));
    });
  }

  deliver({ origin, revision, update, made }: DurableChange): void {
    const news = origin.subscriber === this ? made : update;
    this.#inLine(news === null ? [] : this.#frames.of(this.#options.document.user, news), (frames) => {
      if (frames.length > 0) this.#sendAll(frames);
      this.#sentUpTo = revision;
    });
    if (this.#isWaiting) this.#enter(() => this.#retryWaiting());
  }

  fail(error: SyncError): void {
    this.#end(error);
  }

  rewritten(error: SyncError): void {
    this.#end(error);
  }

  /** Another connection changed who is there. */
  tell(frames: readonly Uint8Array[]): void {
    if (this.#begun) this.#sendAll(frames);
  }

  /** Up to which revision the client was sent the document; `null` where the first answer has not left yet. */
  get sentRevision(): number | null {
    return this.#hasAnswered ? this.#sentUpTo : null;
  }

  get takesRewrites(): boolean {
    return this.#options.takesRewrites ?? false;
  }

  /** No answer is under way, and nothing waits for what the document lacks. */
  get isQuiet(): boolean {
    return this.#ended || (this.#begun && !this.#isAnswering && !this.#isWaiting);
  }

  get #isWaiting(): boolean {
    return this.#waiting !== null && !this.#waiting.isEmpty;
  }

  /** The connection is gone. */
  leave(): void {
    this.#ended = true;
    const { document } = this.#options;
    document.leave(this);
    this.#tellOthers(document.awareness.leave(this));
  }

  /** To be called every few seconds: keeps the connection alive, ends one that waits for too long. */
  tick(): void {
    if (this.#ended) return;
    const now = this.#uptime();
    if (now - this.#lastSent >= KEEP_ALIVE) this.#send(messages.keepAlive);
    if (this.#waiting !== null && now - this.#waiting.since > this.#options.pendingTimeout) {
      this.#end(new SyncError('MISSING_DEPENDENCIES'));
    }
  }

  /** What the client is to blame for ends its connection. */
  #enter(task: () => void): void {
    this.#options.document.whenReady(() => {
      if (this.#ended) return;
      try {
        task();
      } catch (error) {
        this.#end(error instanceof SyncError ? error : new SyncError('INTERNAL'));
        if (!(error instanceof SyncError)) throw error;
      }
    });
  }

  #handle(message: YjsMessage, arrivedAt: number): void {
    const { document } = this.#options;
    switch (message.type) {
      case 'syncStep1': {
        const saw = decodeStateVector(message.stateVector);
        document.checkStateVector(saw);
        if (!this.#answered) this.#saw ??= saw;
        this.#stateVector = message.stateVector;
        this.#tellEpoch();
        this.#answerNext();
        return;
      }
      case 'syncStep2': {
        const saw = this.#answered ? null : this.#saw;
        this.#answered = true;
        this.#saw = null;
        this.#apply(message.update, saw, null);
        return;
      }
      case 'update':
        // Before the answer it may come from a queue.
        this.#apply(message.update, null, this.#answered ? ON_ARRIVAL : null);
        return;
      case 'timed':
        this.#applyTimed(message, arrivedAt);
        return;
      case 'awareness':
        this.#tellOthers(document.awareness.update(this, message.entries));
        return;
      case 'queryAwareness':
        this.#asksForAwareness = true;
        this.#answerNext();
        return;
      case 'checkpoint':
        this.#checkpoint({ message, arrivedAt });
        return;
      case 'auth':
        return;
    }
  }

  #checkpoint(checkpoint: Checkpoint): void {
    this.#newestCheckpoint = checkpoint;
    this.#hear(checkpoint, 'now');
    if (this.#refused) return;
    if (this.#isWaiting) this.#waiting?.checkpoints.push(checkpoint);
    else this.#confirm(checkpoint);
  }

  /** Before the document: it is the epoch of that one. */
  #tellEpoch(): void {
    const { document, asksForEpoch } = this.#options;
    const epoch = asksForEpoch ? document.epoch : null;
    if (epoch !== null) this.#sendDurable(messages.epoch(epoch.encode()));
  }

  /** One answer at a time: each may cost an encoding of the whole document, and wait for a slow reader. */
  #answerNext(): void {
    if (this.#isAnswering || this.#ended) return;
    const { document } = this.#options;
    const stateVector = this.#stateVector;
    if (stateVector !== null) {
      this.#stateVector = null;
      const { revision } = document;
      const diff = document.diff(stateVector, () => !this.#ended);
      const frames = diff instanceof Promise ? this.#framesOnceRead(diff) : this.#framesOf(diff);
      this.#answer(frames, () => {
        this.#hasAnswered = true;
        this.#sentUpTo = Math.max(this.#sentUpTo, revision);
      });
    } else if (this.#asksForAwareness) {
      this.#asksForAwareness = false;
      this.#answer(awarenessFrames(document.awareness.entries()));
    }
  }

  #framesOf(diff: Uint8Array): ReturnType<typeof answerFrames> {
    return answerFrames(this.#options.document.user, diff, () => !this.#ended);
  }

  async #framesOnceRead(diff: Promise<Uint8Array>): Promise<readonly Uint8Array[]> {
    try {
      return await this.#framesOf(await diff);
    } catch (error) {
      this.#end(error instanceof SyncError ? error : new SyncError('INTERNAL'));
      return [];
    }
  }

  #answer(frames: Parameters<Line['put']>[0], left?: () => void): void {
    this.#isAnswering = true;
    const answer = (ready: readonly Uint8Array[]) => {
      if (this.#ended) return;
      this.#lastSent = this.#uptime();
      this.#options.outbox.answer(this.#announced(ready), () => {
        left?.();
        this.#isAnswering = false;
        this.#enter(() => this.#answerNext());
      });
    };
    this.#options.document.afterConfirmed(() => this.#inLine(frames, answer));
  }

  /** Sends these at once, unless something is to be cut before. */
  #inLine(frames: Parameters<Line['put']>[0], send: Parameters<Line['put']>[1]): void {
    if (this.#line === null && !(frames instanceof Promise)) {
      send(frames);
      return;
    }
    this.#line ??= new Line();
    this.#line.put(frames, send);
  }

  /** One after the other, each with its own time; what is tried first lets the rest wait. */
  #applyTimed({ sentAt, changes }: TimedChanges, arrivedAt: number): void {
    this.#clock ??= new SenderClock();
    const clock = this.#clock;
    clock.hear(sentAt, arrivedAt);
    for (const { madeAt, update } of changes) {
      const at = madeAt === null ? null : clock.correct(madeAt, arrivedAt);
      this.#enter(() => this.#apply(update, null, at));
    }
  }

  #apply(update: Uint8Array, saw: ReadonlyMap<number, number> | null, madeAt: MadeAt): void {
    const { document, readOnly } = this.#options;
    if (readOnly) {
      if (document.wouldChange(update)) this.#deny();
      return;
    }
    const { missing, tried } = document.receive(this.#from(), update, saw, madeAt);
    tried?.catch((error) => this.#end(error));
    if (missing !== null) this.#wait(update, missing, madeAt);
    else if (this.#isWaiting) this.#enter(() => this.#retryWaiting());
  }

  #from(): Origin {
    return { via: 'yjs', device: this.device, actor: this.actor, subscriber: this };
  }

  #deny(): void {
    this.#refused = true;
    this.#send(messages.permissionDenied(ERRORS.READ_ONLY.message));
  }

  /** Normal while a client still answers our SyncStep1; later, the client is asked for what is missing. */
  #wait(update: Uint8Array, missing: Dependency, madeAt: MadeAt): void {
    const isFirst = !this.#isWaiting;
    this.#waiting ??= new WaitingUpdates(this.#options.maxPending);
    this.#waiting.add({ update, missing, since: this.#uptime(), madeAt });
    if (this.#answered && isFirst) this.#askForMissing();
  }

  /** Tries again what has got the change that it waited for, until nothing moves any more. */
  #retryWaiting(): void {
    const { document } = this.#options;
    const waiting = this.#waiting;
    if (waiting === null) return;
    const has = (missing: Dependency) => document.has(missing);
    for (let next = waiting.takeReady(has); next !== null && !this.#ended; next = waiting.takeReady(has)) {
      const { missing, tried } = document.receive(this.#from(), next.update, null, next.madeAt);
      if (missing !== null) waiting.add({ ...next, missing });
      if (tried === undefined) continue;
      tried.catch((error) => this.#end(error));
      this.#enter(() => this.#retryWaiting());
      return;
    }
    if (!waiting.isEmpty) return;
    this.#waiting = null;
    for (const checkpoint of waiting.checkpoints) this.#confirm(checkpoint);
  }

  #askForMissing(): void {
    this.#sendDurable(messages.syncStep1(this.#options.document.stateVector()));
  }

  #confirm(checkpoint: Checkpoint): void {
    this.#options.document.afterDurable(() => {
      this.#send(messages.checkpoint(checkpoint.message.n));
      // Of what came behind an earlier one, that one knew nothing.
      if (checkpoint === this.#newestCheckpoint && !this.#refused) this.#hear(checkpoint, 'later');
    });
  }

  /**
   * What it says that it has not sent, as it says so, and once this is answered. That this is nothing holds only then.
   * A client that fetches the document anew tells nothing of what waits for that.
   */
  #hear({ message: { waiting }, arrivedAt: toldAt }: Checkpoint, when: 'now' | 'later'): void {
    if (waiting === undefined || this.#options.asksForEpoch) return;
    const count = waiting[when];
    if (when === 'now' && count === 0) return;
    const since = count > 0 ? toldAt - waiting.age : null;
    this.#options.onUnsent?.({ count, since, toldAt }, this.#uptime());
  }

  #tellOthers(entries: Parameters<typeof messages.awareness>[0]): void {
    if (entries.length === 0) return;
    const frames = awarenessFrames(entries);
    for (const follower of this.#options.document.followers) {
      if (follower !== this) follower.tell(frames);
    }
  }

  #sendDurable(message: Uint8Array): void {
    this.#options.document.afterDurable(() => this.#send(message));
  }

  #send(message: Uint8Array): void {
    this.#sendAll([message]);
  }

  #sendAll(frames: readonly Uint8Array[]): void {
    if (this.#ended) return;
    this.#lastSent = this.#uptime();
    this.#options.outbox.send(this.#announced(frames));
  }

  /** To our own client, which knows the message. */
  #announced(frames: readonly Uint8Array[]): readonly Uint8Array[] {
    return this.#options.asksForTimes ? announced(frames) : frames;
  }

  #end(error: SyncError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#options.outbox.close(error);
  }
}
