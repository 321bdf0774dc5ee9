/**
 * A user's document as connections follow it: awake, or asleep, when it is in the store alone. All of them
 * follow the same one, so that they are awake or asleep together.
 */
import { SHARED_DOCUMENT, type UserId } from '../../../shared/names.js';
import { notSaved, SyncError } from '../../errors.js';
import type { Dependency } from '../../protocol/missing.js';
import type { YjsMessage } from '../../protocol/yjs.js';
import type { RestRow, Store } from '../../store/store.js';
import { AwarenessStates } from '../awareness.js';
import type { Origin } from '../changes.js';
import type { Saw } from '../document-options.js';
import type { Epoch } from '../epochs/epoch.js';
import type { ReceiveResult } from '../intake/intake.js';
import type { DeviceStates } from '../json-devices/devices.js';
import type { SocketView } from '../json-devices/socket-view.js';
import type { MadeAt } from '../later-wins/made-at.js';
import { RecordsView } from '../records/records-view.js';
import type { Safely } from '../safely.js';
import type { Tombstone } from '../tombstone.js';
import type { Turns } from '../turns/turns.js';
import { UserTurns } from '../turns/user-turns.js';
import type { UserDocument } from '../user-document.js';
import { DevicesAtRest, type RestingDevicesOptions } from './devices-at-rest.js';
import { DocumentSleep } from './document-sleep.js';
import type { Follower, Hold } from './follower.js';
import { answerFor, needsDocument } from './needs-document.js';

/** What one is made with, the same for all. */
export interface FollowedOptions {
  readonly turns?: Turns | undefined;
  readonly safely: Safely;
  /** Loads the document, and wakes who follows it. */
  readonly open: (user: UserId) => Promise<Hold>;
  readonly store: Pick<Store, 'whole' | 'view' | 'confirm'>;
  readonly devices: RestingDevicesOptions;
  /** Whether it is in memory, or is being loaded, for whomever. */
  readonly isInUse: (user: UserId) => boolean;
  /** What was noted of its records can't be read, and is made anew. */
  readonly onViewDamaged: (user: UserId) => void;
  /** Nobody follows it any more, or it has failed. */
  readonly onEnd: (followed: FollowedDocument) => void;
}

const NOTHING_NEW: ReceiveResult = { missing: null };

/** Of one who uses a document; ends once. */
export class Use {
  readonly document: FollowedDocument;
  #isReleased = false;

  constructor(document: FollowedDocument) {
    this.document = document;
  }

  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.document.endUse();
  }
}

export class FollowedDocument {
  readonly user: UserId;
  readonly awareness: AwarenessStates;
  readonly #options: FollowedOptions;
  readonly #followers = new Set<Follower>();
  readonly turns: UserTurns;
  readonly #sleep: DocumentSleep;
  /** While it sleeps, of JSON devices that are there. */
  #devices: DevicesAtRest | null = null;
  #isViewLost = false;
  #failure: SyncError | null = null;
  #uses = 0;

  /** @param state awake, or what is noted of it */
  constructor(user: UserId, state: Hold | RestRow, options: FollowedOptions) {
    this.user = user;
    this.awareness = new AwarenessStates(user !== SHARED_DOCUMENT);
    this.#options = options;
    this.turns = new UserTurns(user, options.turns);
    const { safely, open } = options;
    this.#sleep = new DocumentSleep(this, state, { turns: this.turns, safely, open });
  }

  get isAwake(): boolean {
    return this.#document !== null;
  }

  /** What is known of it while it sleeps. */
  get noted(): RestRow | null {
    return this.#sleep.noted;
  }

  /** Whether what comes in has to wait. */
  get isPaused(): boolean {
    return this.#sleep.isPaused;
  }

  get failure(): SyncError | null {
    return this.#failure ?? this.#document?.failure ?? null;
  }

  get followers(): ReadonlySet<Follower> {
    return this.#followers;
  }

  /** Whether all who follow it wait for nothing of it. */
  get areQuiet(): boolean {
    for (const { isQuiet } of this.#followers) if (!isQuiet) return false;
    return true;
  }

  /** Refuses a device that has something of what is gone; one that sleeps was woken where that may be. */
  checkStateVector(stateVector: ReadonlyMap<number, number>): void {
    this.#document?.checkStateVector(stateVector);
  }

  /** Who has something of what was erased does not sleep; what was before a rewrite, a document tells that is awake. */
  get erased(): Tombstone | null {
    return this.#document?.erased ?? null;
  }

  get epoch(): Epoch | null {
    return this.#document?.epoch ?? null;
  }

  get #document(): UserDocument | null {
    return this.#sleep.document;
  }

  /** In memory, or why it can't be asked. */
  get orFailure(): UserDocument | SyncError {
    return this.failure ?? this.#document ?? this.#notAwake();
  }

  get revision(): number {
    const { state } = this.#sleep;
    return 'document' in state ? state.document.revision : state.revision;
  }

  /** Those that have to be known first: see `whenKnown`. */
  get devices(): DeviceStates {
    return this.#document?.devices ?? this.devicesAtRest().states;
  }

  /** What a document takes over that is loaded while this one sleeps. */
  devicesAtRest(connected: DeviceStates | null = null): DevicesAtRest {
    const failed = (error: SyncError) => this.fail(error);
    const parts = { turns: this.turns, failed };
    this.#devices ??= new DevicesAtRest(this.user, connected, this.#options.devices, parts);
    return this.#devices;
  }

  /** Somebody uses it, until he releases what this returns. */
  use(): Use {
    this.#uses++;
    return new Use(this);
  }

  /** For `Use`, once for each. */
  endUse(): void {
    this.#uses--;
    this.endUnused();
  }

  /** Ends where nobody uses it; who loads its document takes over what is known of its devices. */
  endUnused(): void {
    if (this.#uses > 0 || this.#sleep.isWaking) return;
    if (this.#devices !== null && this.#options.isInUse(this.user)) return;
    this.#options.onEnd(this);
    if (!this.#sleep.release()) this.saveDevices('due');
  }

  join(follower: Follower): void {
    if (this.#failure !== null) {
      follower.fail(this.#failure);
      return;
    }
    this.#followers.add(follower);
    this.#document?.join(follower);
  }

  leave(follower: Follower): void {
    this.#followers.delete(follower);
    this.#document?.leave(follower);
  }

  /** Runs `task` when the document, or what is noted of it, is in order: at once, or when it is awake. */
  whenReady(task: () => void): void {
    this.#sleep.whenReady(task);
  }

  /** Runs `task` when it is the user's turn. */
  enter(task: () => void): void {
    this.turns.enter(() => this.whenReady(task));
  }

  /** The same for an answer that has taken its time: it goes before what has come in. */
  answer(task: () => void): void {
    this.turns.first(() => this.whenReady(() => this.#options.safely(task)));
  }

  /** The records as they were noted; `null` where the document has to be asked. */
  async readView(revision: number): Promise<RecordsView | null> {
    try {
      const bytes = await this.#options.store.view(this.user, revision);
      if (bytes !== null) return RecordsView.decode(bytes);
    } catch (error) {
      if (error instanceof SyncError && error.code !== 'DOCUMENT_CORRUPT') throw error;
      this.#options.onViewDamaged(this.user);
    }
    this.#isViewLost = true;
    return null;
  }

  /** Lets what comes in wait for the store; then runs `task` before all of that, with `null` where it did not answer. */
  readFirst<T>(reading: Promise<T>, task: (found: T | null) => void): void {
    this.#sleep.readFirst(reading, task);
  }

  /** Makes durable what must not wait, what has waited for long enough, or all that is not durable yet, of the devices. */
  saveDevices(which: 'urgent' | 'due' | 'all'): void {
    if (this.#document !== null) this.#document.saveDevices(which === 'due' ? 'urgent' : which);
    // An empty document shows a device nothing that would have to be remembered.
    else if (this.#failure === null && this.revision > 0) this.#devices?.save(which);
  }

  /** The connection of a JSON device is gone. */
  disconnect(view: SocketView, now: number): void {
    this.devices.disconnect(view, now);
    if (!this.isAwake) this.saveDevices('all');
  }

  /** Wakes the document where this message needs it. */
  prepareFor(message: YjsMessage): void {
    if (this.noted !== null && needsDocument(message, this.noted)) this.needs();
  }

  /** Calls `done` once everything that the document has now is durable; in the order of the calls. */
  afterDurable(done: () => void, failed?: (error: SyncError) => void): void {
    if (this.#failure !== null) failed?.(this.#failure);
    else if (this.#sleep.isWaking) this.whenReady(() => this.afterDurable(done, failed));
    else if (this.#document !== null) this.#document.afterDurable(done, failed);
    else if (this.#devices !== null) this.#devices.afterDurable(done, failed);
    else done();
  }

  /** The same, where what the document has is shown: where several servers share the store, they are asked first (N2). */
  afterConfirmed(done: () => void, failed?: (error: SyncError) => void): void {
    const { confirm } = this.#options.store;
    if (confirm === undefined || this.#failure !== null) this.afterDurable(done, failed);
    else if (this.#sleep.isWaking) this.whenReady(() => this.afterConfirmed(done, failed));
    else if (this.#document !== null) this.#document.afterConfirmed(done, failed);
    else this.#confirmAsleep(confirm.call(this.#options.store, this.user), done, failed);
  }

  #confirmAsleep(confirmed: Promise<void>, done: () => void, failed?: (error: SyncError) => void): void {
    if (this.#devices === null) {
      confirmed.then(done, (cause) => {
        this.fail(notSaved(cause));
        failed?.(notSaved(cause));
      });
      return;
    }
    this.#devices.follow(confirmed);
    this.#devices.afterDurable(done, failed);
  }

  /** The same as a promise, for a request that has to wait. */
  durable(): Promise<void> {
    return new Promise((resolve, reject) => this.afterConfirmed(resolve, reject));
  }

  stateVector(): Uint8Array {
    const { state } = this.#sleep;
    return 'document' in state ? state.document.stateVector() : state.stateVector;
  }

  /**
   * What a client with this state vector lacks; it may take a look into the store, or some turns.
   *
   * @param isWanted whether somebody still waits for it
   */
  diff(stateVector: Uint8Array, isWanted?: () => boolean): Uint8Array | Promise<Uint8Array> {
    const { state } = this.#sleep;
    if ('document' in state) return state.document.diffInSteps(stateVector, isWanted);
    const answer = answerFor(stateVector, state);
    return answer === 'deletions' ? state.deletions : this.#whole(stateVector, state, isWanted);
  }

  /** Where that can't be told without the document, it is woken. */
  async #whole(
    stateVector: Uint8Array,
    { revision }: RestRow,
    isWanted?: () => boolean,
  ): Promise<Uint8Array> {
    const whole = await this.#options.store.whole(this.user, revision).catch(() => null);
    if (whole !== null) return whole;
    return await new Promise((resolve, reject) => {
      this.whenReady(() => this.needs());
      this.whenReady(() => {
        const document = this.#document;
        if (document === null) return reject(this.#notAwake());
        const diff = document.diffInSteps(stateVector, isWanted);
        if (diff instanceof Promise) diff.then(resolve, reject);
        else document.afterDurable(() => resolve(diff), reject);
      });
    });
  }

  /** Of a message that the document was woken for, if it needs it. */
  receive(origin: Origin, update: Uint8Array, saw: Saw, madeAt: MadeAt = null): ReceiveResult {
    const { state } = this.#sleep;
    if ('document' in state) return state.document.receive(origin, update, saw, madeAt);
    this.#mustBringNothing(update, state);
    return NOTHING_NEW;
  }

  wouldChange(update: Uint8Array): boolean {
    const { state } = this.#sleep;
    if ('document' in state) return state.document.wouldChange(update);
    this.#mustBringNothing(update, state);
    return false;
  }

  has(dependency: Dependency): boolean {
    return this.#document?.has(dependency) ?? false;
  }

  #mustBringNothing(update: Uint8Array, rest: RestRow): void {
    if (this.#failure !== null) throw this.#failure;
    if (needsDocument({ type: 'update', update }, rest)) throw this.#notAwake();
  }

  /** What becomes of a message that needs the document while it sleeps on. */
  #notAwake(): SyncError {
    const error = this.#failure ?? this.#sleep.unavailable;
    return error ?? new SyncError('INTERNAL', 'A message came while the document that it needs slept.');
  }

  /** Wakes the document: what comes in from here on waits until it is there, or can't be. */
  needs(): void {
    this.#sleep.needs();
  }

  /** The document was loaded, by whomever: from here on it is followed there. Nobody changes it before. */
  wake(hold: Hold): void {
    this.#sleep.wake(hold);
  }

  /** For `DocumentSleep`: the document is there, and everybody joins it. */
  woken(document: UserDocument): void {
    const saving = this.#devices?.saving ?? null;
    if (saving !== null) document.follow(saving);
    if (document.devices.areConnected) document.rest.noteReader();
    if (this.#isViewLost) document.rest.loseView();
    this.#devices = null;
    for (const follower of this.#followers) document.join(follower);
  }

  /** For `DocumentSleep`: the document leaves the memory; what is known of who is connected stays. */
  fallenAsleep(document: UserDocument): void {
    for (const follower of this.#followers) document.leave(follower);
    this.#isViewLost = false;
    if (document.devices.keepConnected()) this.devicesAtRest(document.devices);
  }

  /** What its connections have is of a document that is gone; it goes on without them. */
  sendAway(error: SyncError): void {
    for (const follower of [...this.#followers]) this.#options.safely(() => follower.rewritten(error));
  }

  /** It can't be loaded: everybody has to start anew. */
  fail(error: SyncError): void {
    if (this.failure !== null) return;
    this.#failure = error;
    this.#options.onEnd(this);
    for (const follower of [...this.#followers]) this.#options.safely(() => follower.fail(error));
    this.#sleep.goOn();
  }

  /**
   * Lets go of the document where it has not changed for so long, and nobody needs it. To be called now and then.
   *
   * @param now in ms, from any moment on
   */
  sleepAfter(ms: number, now: number): void {
    this.#sleep.sleepAfter(ms, now);
  }

  /** Lets go of it now where nobody needs it; returns whether that was so. */
  sleepNow(): boolean {
    return this.#sleep.sleepNow();
  }
}
