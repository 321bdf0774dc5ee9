import * as decoding from 'lib0/decoding';
import * as Y from 'yjs';
import type { DocumentOptions } from '../../server/documents/document-options.js';
import { Replica } from '../../server/documents/replica.js';
import { FollowedDocument } from '../../server/documents/sleep/followed-document.js';
import type { Hold } from '../../server/documents/sleep/follower.js';
import { UserDocument } from '../../server/documents/user-document.js';
import type { SyncError } from '../../server/errors.js';
import { messages } from '../../server/protocol/yjs.js';
import type { JsonRecord } from '../../shared/json.js';
import type { DeviceId, UserId } from '../../shared/names.js';
import type { ById } from './clinic.js';
import { JsonLine } from './devices/json-line.js';
import { apply, type Change, messageOf, type ServerMessage, taken } from './devices/json-words.js';
import { answerTo, NativeLine } from './devices/native-line.js';
import { followedOptions } from './document.js';
import { type ModelStore, openModelStore } from './either-store.js';
import { user } from './notes.js';
import { unnamedDoc, viewOf } from './replicas.js';

/**
 * Devices joined to real sessions by queues that a test flushes by hand, one message at a time, so that it decides
 * what crosses, what is lost with a connection, and what is durable when the server stops.
 */
const ANNA = user('anna');

export interface Setup {
  /** Yjs client ids of the native devices. */
  readonly natives: readonly number[];
  readonly jsons: number;
  /** Client ids that the server draws, one after the other. */
  readonly serverIds: () => number;
  readonly compactUpdates?: number;
}

/** What devices with queues are joined to. */
export interface Joined {
  readonly followed: FollowedDocument;
  readonly now: () => number;
  readonly faults: unknown[];
  /** How many of a client's changes are on disk. */
  durableClock(client: number): number;
  /** The server has ended the connection of a device. */
  ended(error: SyncError, device: QueuedNative | QueuedJson): void;
}

export class HandFlushed implements Joined {
  readonly natives: QueuedNative[];
  readonly jsons: QueuedJson[];
  /** What must not happen in a run without hostile messages: refusals, rebuilds, faults. */
  readonly faults: unknown[] = [];
  store!: ModelStore; // set by open() before anybody gets hold of it
  /** As it is in memory, or was when it fell asleep. */
  document!: UserDocument; // the same
  followed!: FollowedDocument; // the same
  /** How often the document fell asleep. */
  sleeps = 0;
  readonly #setup: Setup;
  #now = 1_000;

  private constructor(setup: Setup) {
    this.#setup = setup;
    this.natives = setup.natives.map((id, index) => new QueuedNative(this, `native-${index}`, id));
    this.jsons = Array.from({ length: setup.jsons }, (_, index) => new QueuedJson(this, `json-${index}`));
  }

  static async open(setup: Setup): Promise<HandFlushed> {
    const world = new HandFlushed(setup);
    world.store = await openModelStore();
    await world.#load();
    return world;
  }

  get devices(): (QueuedNative | QueuedJson)[] {
    return [...this.natives, ...this.jsons];
  }

  readonly now = (): number => this.#now++;

  /** Lets everything happen that waits for nothing but its turn. */
  settle(): Promise<void> {
    return this.store.quiet();
  }

  /** The process ends here and now: what is not durable is gone, and so is what was under way. */
  async restart(): Promise<void> {
    for (const device of this.devices) device.disconnect();
    this.store = await this.store.restarted();
    await this.#load();
  }

  /** Lets the document sleep where it may. */
  sleep(): void {
    const { isAwake } = this.followed;
    this.followed.sleepAfter(0, 0);
    if (isAwake && !this.followed.isAwake) this.sleeps++;
  }

  /** Everybody comes online, and everything arrives. */
  async quiesce(): Promise<void> {
    this.store.release();
    for (const device of this.devices) device.connect();
    for (const native of this.natives) native.askCheckpoint();
    do {
      await this.settle();
      for (const device of this.devices) device.flush();
      await this.settle();
    } while (this.devices.some(({ isQuiet }) => !isQuiet));
  }

  /** What a server that started now would know; nothing of it is running. */
  reloaded(): Replica {
    const stored = this.store.contents.get(ANNA) ?? { updates: [], memory: null };
    return new Replica(stored, this.#options());
  }

  ended(error: SyncError): void {
    this.faults.push(error);
  }

  durableClock(client: number): number {
    return durableClockOf(this.store, ANNA, client);
  }

  async #load(): Promise<void> {
    const { store } = this;
    this.document = new UserDocument(ANNA, await store.load(ANNA), this.#options());
    const rest = await store.rest(ANNA);
    if (rest !== null) store.forget(ANNA);
    this.followed = new FollowedDocument(ANNA, rest ?? this.#hold(this.document), {
      ...followedOptions(store),
      open: () => this.#wake(store),
    });
    this.followed.use();
  }

  async #wake(store: ModelStore): Promise<Hold> {
    const { followed } = this;
    const stored = await store.load(ANNA);
    if (followed.isAwake || store !== this.store) return this.#hold(this.document);
    const devices = followed.devicesAtRest().states;
    this.document = new UserDocument(ANNA, stored, { ...this.#options(), devices });
    followed.wake(this.#hold(this.document));
    return this.#hold(this.document);
  }

  #hold(document: UserDocument): Hold {
    const { store } = this;
    return {
      document,
      isSole: true,
      release: () => {},
      letGo: () => store.forget(ANNA),
    };
  }

  #options(): DocumentOptions {
    const ids = { writes: this.#setup.serverIds(), unions: this.#setup.serverIds() };
    return {
      store: this.store,
      ids: () => ids,
      now: this.now,
      maxDepth: 64,
      keepFor: 90 * 86_400_000,
      historyDays: 90,
      onHistoryDamaged: () => {},
      compactUpdates: this.#setup.compactUpdates ?? 1_000,
      compactBytes: 1_000_000,
      onFailed: (_, error) => this.faults.push(error),
      onRebuilt: (_, cause) => this.faults.push(cause),
      onCompacted: () => {},
      onUnexpected: (error) => this.faults.push(error),
    };
  }
}

export function durableClockOf(store: Pick<ModelStore, 'contents'>, user: UserId, client: number): number {
  const doc = unnamedDoc({ gc: false });
  for (const update of store.contents.get(user)?.updates ?? []) Y.applyUpdate(doc, update);
  return Y.getState(doc.store, client);
}

/** A plain Y.Doc with what y-websocket does around it. */
export class QueuedNative {
  readonly doc = unnamedDoc();
  readonly name: DeviceId;
  readonly #world: Joined;
  #link: { readonly line: NativeLine; readonly up: Uint8Array[] } | null = null;
  #checkpoints = { asked: 0, confirmed: 0 };
  /** The device's clock when it last merged something: what lies before can't be sent again as it was. */
  #merged = 0;
  #sawFirst = false;

  constructor(world: Joined, name: string, clientId: number) {
    this.#world = world;
    this.name = name as DeviceId;
    this.doc.clientID = clientId;
    this.doc.on('update', (update: Uint8Array, origin: unknown) => {
      if (origin === this) this.#merged = Y.getState(this.doc.store, this.doc.clientID);
      else this.#link?.up.push(messages.update(update));
    });
  }

  get isOnline(): boolean {
    return this.#link !== null;
  }

  get isQuiet(): boolean {
    const { asked, confirmed } = this.#checkpoints;
    return this.#link !== null && this.#underWay === 0 && asked === confirmed;
  }

  get #underWay(): number {
    return (this.#link?.up.length ?? 0) + (this.#link?.line.frames.length ?? 0);
  }

  /** Whether everything is on disk that it had made when it last merged something. */
  get isSafe(): boolean {
    return this.#world.durableClock(this.doc.clientID) >= this.#merged;
  }

  connect(): void {
    if (this.#link !== null) return;
    const { followed, now } = this.#world;
    const closed = (error: SyncError) => this.#world.ended(error, this);
    this.#sawFirst = false;
    const line = new NativeLine({ document: followed, device: this.name, now, closed });
    this.#link = { line, up: [messages.syncStep1(Y.encodeStateVector(this.doc))] };
  }

  /** What is still in the queues is lost. */
  disconnect(): void {
    this.#link?.line.leave();
    this.#link = null;
    this.#checkpoints = { asked: 0, confirmed: 0 };
  }

  askCheckpoint(): void {
    this.#link?.up.push(messages.checkpoint(++this.#checkpoints.asked));
  }

  /** Queues bytes that no client sends by itself. */
  say(message: Uint8Array): void {
    this.#link?.up.push(message);
  }

  /** The server receives the next message of this device. */
  sendOne(): void {
    const message = this.#link?.up.shift();
    if (message !== undefined) this.#link?.line.say(message);
  }

  receiveOne(): void {
    const message = this.#link?.line.frames.shift();
    if (message === undefined) return;
    if (!this.#sawFirst && !(message[0] === 0 && message[1] === 0)) {
      this.#world.faults.push(new Error(`[N2] ${this.name} got ${message[0]}.${message[1]} first`));
    }
    this.#sawFirst = true;
    const decoder = decoding.createDecoder(message);
    if (decoding.readVarUint(decoder) === 100) this.#checkpoints.confirmed = decoding.readVarUint(decoder);
    const answer = answerTo(message, this.doc, this);
    if (answer !== null) this.#link?.up.push(answer);
  }

  /** Everything that is under way arrives, in both directions, without waiting for what is not durable. */
  flush(): void {
    while (this.#underWay > 0) {
      this.sendOne();
      this.receiveOne();
    }
  }

  view(): ById {
    return viewOf(this.doc);
  }
}

/** What a JSON device sends. */
type Sent = { readonly ping: string } | { readonly message: object };
interface Write {
  readonly change: Change;
  readonly ack: string;
}

/** A JSON device: its own records, and the writes that were not acknowledged, which it sends again. */
export class QueuedJson {
  readonly name: DeviceId;
  readonly #world: Joined;
  #records: ById = {};
  #link: { readonly line: JsonLine; readonly up: Sent[] } | null = null;
  #unacknowledged: Write[] = [];
  #confirmed = false;
  #writes = 0;

  constructor(world: Joined, name: string) {
    this.#world = world;
    this.name = name as DeviceId;
  }

  get isOnline(): boolean {
    return this.#link !== null;
  }

  get isQuiet(): boolean {
    return (
      this.#link !== null && this.#underWay === 0 && this.#confirmed && this.#unacknowledged.length === 0
    );
  }

  get #underWay(): number {
    return (this.#link?.up.length ?? 0) + (this.#link?.line.frames.length ?? 0);
  }

  connect(): void {
    if (this.#link !== null) return;
    const { followed: document, now } = this.#world;
    const closed = (error: SyncError) => this.#world.ended(error, this);
    this.#confirmed = false;
    this.#link = { line: new JsonLine({ document, device: this.name, now, closed }), up: [] };
  }

  disconnect(): void {
    this.#link?.line.leave();
    this.#link = null;
    this.#confirmed = false;
  }

  record(collection: string, id: string): JsonRecord | undefined {
    return this.#records[collection]?.[id];
  }

  update(collection: string, document: JsonRecord): void {
    this.#write({ collection, document, madeAt: this.#world.now() });
  }

  delete(collection: string, documentId: string): void {
    this.#write({ collection, documentId, madeAt: this.#world.now() });
  }

  sendOne(): void {
    const sent = this.#link?.up.shift();
    if (sent === undefined) return;
    if ('ping' in sent) this.#link?.line.pong(sent.ping);
    else this.#link?.line.say(sent.message);
  }

  receiveOne(): void {
    const frame = this.#link?.line.frames.shift();
    if (frame === undefined) return;
    if ('ping' in frame) this.#link?.up.push(frame);
    else this.#receive(frame.message);
  }

  flush(): void {
    while (this.#underWay > 0) {
      this.sendOne();
      this.receiveOne();
    }
  }

  view(): ById {
    const isFull = ([, records]: [string, object]) => Object.keys(records).length > 0;
    return Object.fromEntries(Object.entries(this.#records).filter(isFull));
  }

  #write(change: Change): void {
    const write = { change, ack: `${++this.#writes}` };
    this.#unacknowledged.push(write);
    apply(this.#records, change);
    if (this.#confirmed) this.#send(write);
  }

  #send({ change, ack }: Write): void {
    this.#link?.up.push({ message: { ...messageOf(change, 'both', this.#world.now()), ack } });
  }

  #receive(message: ServerMessage): void {
    const { type } = message;
    this.#records = taken(this.#records, message);
    if (type === 'ACK') this.#unacknowledged = this.#unacknowledged.filter(({ ack }) => ack !== message.ack);
    else if (type === 'ERROR') this.#world.faults.push(new Error(`${this.name}: ${message.code}`));
    else if (type === 'CONNECTION_CONFIRMED') this.#resend();
    if (!this.#confirmed && type !== 'FULL_SYNC') {
      this.#world.faults.push(new Error(`[L1] ${this.name} got ${type} first`));
    }
  }

  #resend(): void {
    this.#confirmed = true;
    for (const write of this.#unacknowledged) {
      apply(this.#records, write.change);
      this.#send(write);
    }
  }
}
