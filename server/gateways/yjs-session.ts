/** One native connection, without its socket: messages in, messages out (N1–N6). */
import { ERRORS, SyncError } from '../../shared/errors.js';
import type { DeviceId } from '../../shared/names.js';
import type { Dependency } from '../../shared/protocol/scan.js';
import { decodeMessage, decodeStateVector, messages, type YjsMessage } from '../../shared/protocol/yjs.js';
import type { DurableChange, Member, Origin } from '../documents/changes.js';
import type { UserDocument } from '../documents/user-document.js';
import { answerFrames, awarenessFrames, Line, updateFrames } from './yjs-line.js';

/** What a session can do to its connection. */
export interface YjsOutbox {
  /** Sends messages that belong together. */
  send(messages: readonly Uint8Array[]): void;
  /** Sends what the client asked for, in one or more messages; `sent` is called when all have left. */
  answer(messages: readonly Uint8Array[], sent: () => void): void;
  /** Ends the connection with the error's close code. */
  close(error: SyncError): void;
}

export interface YjsSessionOptions {
  readonly document: UserDocument;
  readonly device: DeviceId;
  /** Who the device acts for; left out where nobody is known. */
  readonly actor?: string | null;
  /** The client may look, not change (N7). */
  readonly readOnly?: boolean;
  readonly outbox: YjsOutbox;
  readonly now: () => number;
  readonly maxPending: number;
  readonly pendingTimeout: number;
}

/** An update that builds on a change which is still missing. */
interface Waiting {
  readonly update: Uint8Array;
  readonly missing: Dependency;
  readonly since: number;
}

/** Updates that may wait on one connection; y-websocket has one or two before it answers our SyncStep1. */
const MAX_WAITING = 1_000;

/** The longest silence towards a client, in ms: y-websocket reconnects after 30 s of it. */
export const KEEP_ALIVE = 12_000;

export class YjsSession implements Member {
  readonly #options: YjsSessionOptions;
  readonly #origin: Origin;
  readonly #line = new Line();
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
  /** Updates that build on changes which are still missing, and the checkpoints that came after them. */
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #heldCheckpoints: number[] = [];
  /** A change was refused: no checkpoint may say that everything was saved (N4). */
  #refused = false;

  constructor(options: YjsSessionOptions) {
    this.#options = options;
    this.#origin = { via: 'yjs', device: options.device, actor: options.actor ?? null, member: this };
    this.#lastSent = options.now();
  }

  get device(): DeviceId {
    return this.#options.device;
  }

  get actor(): string | null {
    return this.#origin.actor;
  }

  /** Asks for what the client has, claiming only what is durable (N2), and follows the document from here. */
  start(): void {
    this.#enter(() => this.#greet());
  }

  #greet(): void {
    const { document } = this.#options;
    document.join(this);
    this.#askForMissing();
    document.afterDurable(() => {
      this.#begun = true;
      const present = document.awareness.entries();
      if (present.length > 0) this.#sendAll(awarenessFrames(present));
    });
  }

  /** Takes a message, `null` for a text message. */
  receive(bytes: Uint8Array | null): void {
    this.#enter(() => {
      if (bytes === null) throw new SyncError('MALFORMED_UPDATE', 'A text message where bytes are expected.');
      this.#handle(decodeMessage(bytes));
    });
  }

  deliver({ origin, update, made }: DurableChange): void {
    const news = origin.member === this ? made : update;
    if (news !== null) this.#line.put(updateFrames(news), (frames) => this.#sendAll(frames));
    if (this.#waiting.length > 0) this.#enter(() => this.#retryWaiting());
  }

  fail(error: SyncError): void {
    this.#end(error);
  }

  /** Tells others of an awareness change. */
  tell(frames: readonly Uint8Array[]): void {
    if (this.#begun) this.#sendAll(frames);
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
    const now = this.#options.now();
    if (now - this.#lastSent >= KEEP_ALIVE) this.#send(messages.keepAlive);
    const oldest = this.#waiting[0];
    if (oldest !== undefined && now - oldest.since > this.#options.pendingTimeout) {
      this.#end(new SyncError('MISSING_DEPENDENCIES'));
    }
  }

  /** What the client is to blame for ends its connection. */
  #enter(task: () => void): void {
    this.#options.document.enter(() => {
      if (this.#ended) return;
      try {
        task();
      } catch (error) {
        this.#end(error instanceof SyncError ? error : new SyncError('INTERNAL'));
        if (!(error instanceof SyncError)) throw error;
      }
    });
  }

  #handle(message: YjsMessage): void {
    const { document } = this.#options;
    switch (message.type) {
      case 'syncStep1':
        document.erased?.checkStateVector(decodeStateVector(message.stateVector));
        if (!this.#answered) this.#saw ??= decodeStateVector(message.stateVector);
        this.#stateVector = message.stateVector;
        this.#answerNext();
        return;
      case 'syncStep2': {
        const saw = this.#answered ? null : this.#saw;
        this.#answered = true;
        this.#saw = null;
        this.#apply(message.update, saw);
        return;
      }
      case 'update':
        this.#apply(message.update, null);
        return;
      case 'awareness':
        this.#tellOthers(document.awareness.update(this, message.entries));
        return;
      case 'queryAwareness':
        this.#asksForAwareness = true;
        this.#answerNext();
        return;
      case 'checkpoint':
        if (this.#refused) return;
        if (this.#waiting.length > 0) this.#heldCheckpoints.push(message.n);
        else this.#sendDurable(messages.checkpoint(message.n));
        return;
      case 'auth':
        return;
    }
  }

  /** One answer at a time: each may cost an encoding of the whole document, and wait for a slow reader. */
  #answerNext(): void {
    if (this.#isAnswering || this.#ended) return;
    const { document } = this.#options;
    const stateVector = this.#stateVector;
    if (stateVector !== null) {
      this.#stateVector = null;
      this.#answer(answerFrames(document.diff(stateVector)));
    } else if (this.#asksForAwareness) {
      this.#asksForAwareness = false;
      this.#answer(awarenessFrames(document.awareness.entries()));
    }
  }

  #answer(frames: Parameters<Line['put']>[0]): void {
    this.#isAnswering = true;
    const answer = (ready: readonly Uint8Array[]) => {
      if (this.#ended) return;
      this.#lastSent = this.#options.now();
      this.#options.outbox.answer(ready, () => {
        this.#isAnswering = false;
        this.#enter(() => this.#answerNext());
      });
    };
    this.#options.document.afterDurable(() => this.#line.put(frames, answer));
  }

  #apply(update: Uint8Array, saw: ReadonlyMap<number, number> | null): void {
    const { document, readOnly } = this.#options;
    if (readOnly) {
      if (document.wouldChange(update)) this.#deny();
      return;
    }
    const { missing, tried } = document.receive(this.#origin, update, saw);
    tried?.catch((error) => this.#end(error));
    if (missing !== null) this.#wait(update, missing);
    else if (this.#waiting.length > 0) this.#enter(() => this.#retryWaiting());
  }

  #deny(): void {
    this.#refused = true;
    this.#send(messages.permissionDenied(ERRORS.READ_ONLY.message));
  }

  /** Normal while a client still answers our SyncStep1; later, the client is asked for what is missing. */
  #wait(update: Uint8Array, missing: Dependency): void {
    this.#waitingBytes += update.length;
    const tooMany = this.#waiting.length >= MAX_WAITING || this.#waitingBytes > this.#options.maxPending;
    if (tooMany) throw new SyncError('MISSING_DEPENDENCIES');
    if (this.#answered && this.#waiting.length === 0) this.#askForMissing();
    this.#waiting.push({ update, missing, since: this.#options.now() });
  }

  /** Tries again what has got the change that it waited for, until nothing moves any more. */
  #retryWaiting(): void {
    const { document } = this.#options;
    for (let next = this.#takeReady(); next !== null && !this.#ended; next = this.#takeReady()) {
      const { missing, tried } = document.receive(this.#origin, next.update, null);
      if (missing !== null) this.#waiting.push({ ...next, missing });
      else this.#waitingBytes -= next.update.length;
      if (tried === undefined) continue;
      tried.catch((error) => this.#end(error));
      this.#enter(() => this.#retryWaiting());
      return;
    }
    if (this.#waiting.length > 0) return;
    for (const n of this.#heldCheckpoints.splice(0)) this.#sendDurable(messages.checkpoint(n));
  }

  #takeReady(): Waiting | null {
    const index = this.#waiting.findIndex(({ missing }) => this.#options.document.has(missing));
    return index < 0 ? null : (this.#waiting.splice(index, 1)[0] ?? null);
  }

  #askForMissing(): void {
    this.#sendDurable(messages.syncStep1(this.#options.document.stateVector()));
  }

  #tellOthers(entries: Parameters<typeof messages.awareness>[0]): void {
    if (entries.length === 0) return;
    const frames = awarenessFrames(entries);
    for (const member of this.#options.document.members) {
      if (member !== this && member instanceof YjsSession) member.tell(frames);
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
    this.#lastSent = this.#options.now();
    this.#options.outbox.send(frames);
  }

  #end(error: SyncError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#options.outbox.close(error);
  }
}
