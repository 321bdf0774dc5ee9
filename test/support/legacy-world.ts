import * as Y from 'yjs';
import { writeImage } from '../../server/documents/records/record-image.js';
import { DocumentRegistry } from '../../server/documents/registry.js';
import type { FollowedDocument } from '../../server/documents/sleep/followed-document.js';
import type { UserDocument } from '../../server/documents/user-document.js';
import { messages } from '../../server/protocol/yjs.js';
import type { Json, JsonObject, JsonRecord } from '../../shared/json.js';
import type { CollectionName, DeviceId, RecordId, UserId } from '../../shared/names.js';
import { readRecord, sharedValue } from '../../shared/records.js';
import { JsonLine } from './devices/json-line.js';
import { messageOf, type ServerMessage, type Stamps, taken } from './devices/json-words.js';
import { answerTo, NativeLine } from './devices/native-line.js';
import { type ModelStore, openModelStore } from './either-store.js';
import { type Edit, Ledger, type Mark } from './legacy-ledger.js';
import { unnamedDoc } from './replicas.js';

/**
 * JSON devices like the apps in the field, and a native one, joined to real sessions by queues that a test moves by
 * hand. The test turns the clock, cuts connections, and stops or kills the server.
 */
const ANNA = 'anna' as UserId;
export const VISITS = 'visits' as CollectionName;
const DAY = 86_400_000;
/** How long an app may leave unread what its socket has answered for (L4 allows for 2 s, transport included). */
const APP_LAG = 900;
/** How long an app that handles messages concurrently takes over one. */
const HANDLING = 20;

export interface AppSetup {
  /** So many ms is its clock ahead. */
  readonly skew: number;
  readonly stamps: Stamps;
  /** It keeps a change until that was acknowledged, and sends it again after a lost connection. */
  readonly acks: boolean;
  /** An older version: it knows no field `ext`, anywhere. */
  readonly old: boolean;
  /** Its socket answers pings before the app has read what came. */
  readonly lags: boolean;
  /**
   * It reads its stored list, waits for its storage, and writes the list back: of what comes while it does, or is
   * edited, only the last stays.
   */
  readonly concurrent: boolean;
}

interface Timer {
  readonly at: number;
  readonly task: () => void;
  /** Whether the connection that it belongs to is there for the device. */
  readonly isLive: () => boolean;
}

export interface WorldSetup {
  /** As the option `JSON_PACE`. */
  readonly pace?: number;
}

/** What an edit is about; what does not fit the record as it is becomes something that does. */
export interface Change {
  readonly kind: (typeof KINDS)[number];
  readonly record: number;
  readonly pick: number;
}
export const KINDS = [
  'a',
  'a',
  'b',
  'b',
  'ext',
  'nested/x',
  'nested/y',
  'nested/ext',
  'item p',
  'item q',
  'item ext',
  'add item',
  'add tag',
  'drop tag',
  'drop item',
  'drop field',
  'delete',
] as const;

export class World {
  readonly ledger = new Ledger();
  readonly faults: string[] = [];
  /** How much was done so far. */
  activity = 0;
  readonly apps: LegacyApp[];
  readonly native: NativeApp;
  now = Date.UTC(2026, 2, 2, 8);
  store!: ModelStore; // set by open() before anybody gets hold of it
  followed!: FollowedDocument; // the same
  /** How often the document fell asleep. */
  sleeps = 0;
  #uptime = 0;
  #registry!: DocumentRegistry;
  #isHeld = false;
  #random = 1;
  readonly #ghosts: { leave(): void }[] = [];
  readonly #timers = new Set<Timer>();
  readonly pace: number;

  private constructor(apps: readonly AppSetup[], { pace = 25 }: WorldSetup) {
    this.pace = pace;
    this.apps = apps.map((setup, index) => new LegacyApp(this, 'ABC'[index] ?? '', setup));
    this.native = new NativeApp(this, 'N');
  }

  static async open(apps: readonly AppSetup[], setup: WorldSetup = {}): Promise<World> {
    const world = new World(apps, setup);
    world.store = await openModelStore();
    await world.#load();
    return world;
  }

  get devices(): (LegacyApp | NativeApp)[] {
    return [...this.apps, this.native];
  }

  /** Lets everything happen that waits for nothing but its turn. */
  async settle(): Promise<void> {
    do await this.store.quiet();
    while (
      !this.#isHeld &&
      (this.followed.isPaused || this.#registry.documents.some(({ isBusy }) => isBusy))
    );
  }

  /** For what the server does later. */
  after(ms: number, task: () => void, isLive: () => boolean): () => void {
    const timer = { at: this.now + ms, task, isLive };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  /** It is this time now; what was to happen by then does. */
  async turnTo(time: number): Promise<void> {
    const next = () => this.#inOrder.find(({ at }) => at <= time);
    for (let timer = next(); timer !== undefined; timer = next()) {
      this.#timers.delete(timer);
      this.now = Math.max(this.now, timer.at);
      timer.task();
      await this.settle();
    }
    this.now = Math.max(this.now, time);
  }

  get #inOrder(): Timer[] {
    return [...this.#timers].sort((a, b) => a.at - b.at);
  }

  /** Time goes by. What is on its way arrives meanwhile, where it takes long. */
  async pass(ms: number): Promise<void> {
    if (ms > 2_000) {
      await this.drain();
      this.noticeGhosts();
    }
    for (const app of this.apps) await app.keepUp(this.now + ms - APP_LAG);
    await this.turnTo(this.now + ms);
  }

  /** It is loaded, where it sleeps. */
  async #document(): Promise<UserDocument> {
    const { document, release } = await this.#registry.open(ANNA);
    release();
    return document;
  }

  /** Lets the document sleep where it may. */
  async sleep(): Promise<void> {
    const { isAwake } = this.followed;
    for (let look = 0; look < 3; look++) {
      this.#registry.sleep();
      await this.settle();
      this.#uptime += DAY;
    }
    if (!isAwake || this.followed.isAwake) return;
    this.sleeps++;
    this.activity++;
  }

  hold(): void {
    if (!this.#isHeld) this.activity++;
    this.store.hold();
    this.#isHeld = true;
  }

  async release(): Promise<void> {
    if (this.#isHeld) this.activity++;
    this.store.release();
    this.#isHeld = false;
    await this.settle();
  }

  /** A connection that is gone for the device, and that the server has not noticed yet. */
  addGhost(session: { leave(): void }): void {
    this.#ghosts.push(session);
  }

  noticeGhosts(): void {
    for (const session of this.#ghosts.splice(0)) {
      this.activity++;
      session.leave();
    }
  }

  /** Everything that is under way on the connections that there are arrives. */
  async drain(): Promise<void> {
    await this.release();
    const next = () => this.#inOrder.find(({ isLive }) => isLive());
    for (let round = 0; this.devices.some(({ isQuiet }) => !isQuiet) || next() !== undefined; round++) {
      if (round > 400) throw new Error('The devices and the server never come to rest.');
      for (const device of this.devices) {
        device.flush();
        await this.settle();
      }
      const timer = next();
      if (timer !== undefined && this.devices.every(({ isQuiet }) => isQuiet)) await this.turnTo(timer.at);
    }
  }

  /** Everybody comes online, and everything arrives; then all must be as it may be. */
  async agree(): Promise<void> {
    await this.release();
    this.noticeGhosts();
    await this.pass(500);
    for (const device of this.devices) device.connect();
    await this.drain();
    // What such an app lost is on the server, and comes with the next full sync.
    for (const app of this.apps) if (app.setup.concurrent) app.requestSync();
    await this.drain();
    const records = await this.records();
    const problems = [...this.faults, ...this.ledger.problems(records), ...this.#differences(records)];
    if (problems.length > 0) throw new Error(problems.join('\n'));
    this.ledger.agree(records);
    await this.pass(65_000);
  }

  /** The server stops in good order, and another one starts. */
  async stop(): Promise<void> {
    await this.release();
    this.noticeGhosts();
    for (const device of this.devices) device.lose(true);
    await this.#registry.flush();
    await this.settle();
    await this.#load();
  }

  /** The server ends here and now: what is not durable is gone. */
  async kill(): Promise<void> {
    this.#ghosts.splice(0);
    this.#timers.clear();
    for (const device of this.devices) device.lose(false);
    this.ledger.killed();
    this.#isHeld = false;
    await this.#load();
  }

  /** The document is written anew (P10); the native device, which has to have sent everything, begins anew. */
  async rewrite(): Promise<void> {
    await this.release();
    if (!this.native.isOnline) return;
    for (let round = 0; round < 3; round++) {
      this.native.flush();
      await this.settle();
    }
    const client = 2_000_000 + this.#random++;
    const { rewriting } = await this.#document();
    const sizes = await rewriting.run(client, () => this.native.beginAnew());
    if (sizes === null) this.faults.push('The document was not written anew.');
    for (let round = 0; round < 3; round++) {
      this.native.flush();
      await this.settle();
    }
    this.activity++;
  }

  /** Somebody brings a record back as it was after some earlier change. */
  async restore(id: string, pick: number): Promise<void> {
    await this.release();
    const key = { collection: VISITS, id: id as RecordId };
    const document = await this.#document();
    const head = document.historyHead();
    const { entries } = await document.historyLog.page(head, { ...key, limit: 500, before: null });
    const there = entries.filter(({ after }) => after !== null);
    const image = there[pick % there.length]?.after;
    if (image === undefined || image === null) return;
    this.activity++;
    this.ledger.event('admin', id, 'restore').receivedAt = this.now;
    document.write({ via: 'restore', device: 'admin' as DeviceId, actor: null, subscriber: null }, (doc) =>
      writeImage(doc, VISITS, key.id, image),
    );
    await this.settle();
  }

  async records(): Promise<Map<string, JsonRecord>> {
    const document = await this.#document();
    return new Map(document.collections()[VISITS]?.map((record) => [`${record.id}`, record]));
  }

  /** The history leads from nothing to what there is, without a gap. */
  async historyProblems(): Promise<string[]> {
    const query = { collection: null, id: null, limit: 10_000, before: null };
    const document = await this.#document();
    const { entries } = await document.historyLog.page(document.historyHead(), query);
    const problems: string[] = [];
    const later = new Map<string, JsonObject | null>(await this.records());
    let { revision } = document;
    for (const entry of entries) {
      if (entry.revision !== revision--)
        problems.push(`revision ${entry.revision} stands where ${revision + 1} should`);
      const [after, expected] = [entry.after?.json ?? null, later.get(entry.id) ?? null];
      if (!isEqual(after, expected))
        problems.push(`revision ${entry.revision} does not lead to the next one`);
      later.set(entry.id, entry.before?.json ?? null);
    }
    if (revision !== 0) problems.push(`the history ends at ${revision}`);
    if ([...later.values()].some((record) => record !== null))
      problems.push('the history does not begin with nothing');
    return problems;
  }

  #differences(records: ReadonlyMap<string, JsonRecord>): string[] {
    return this.devices.flatMap((device) => {
      const wanted = Object.fromEntries([...records].map(([id, record]) => [id, device.known(record)]));
      const found = Object.fromEntries(device.records());
      return isEqual(found, wanted)
        ? []
        : [`${device.name} has ${JSON.stringify(found)}, the server ${JSON.stringify(wanted)}`];
    });
  }

  async #load(): Promise<void> {
    this.#registry?.close();
    this.store = await this.store.restarted();
    const fault = (...what: unknown[]): void => {
      const cause = what.at(-1);
      this.faults.push(cause instanceof Error ? (cause.stack ?? cause.message) : `${cause}`);
    };
    this.#registry = new DocumentRegistry({
      store: this.store,
      idleTimeout: DAY,
      restAfter: DAY,
      uptime: () => this.#uptime,
      maxDepth: 64,
      compactUpdates: 1_000,
      compactBytes: 1e6,
      keepFor: 90 * DAY,
      historyDays: 90,
      now: () => this.now,
      randomId: () => 1_000_000 + this.#random++,
      onHistoryDamaged: fault,
      onFailed: fault,
      onRebuilt: fault,
      onCompacted: () => {},
      onUnexpected: fault,
    });
    this.followed = (await this.#registry.follow(ANNA)).document;
  }
}

/** Equal but for the order of keys. */
export function isEqual(a: unknown, b: unknown): boolean {
  return canonical(a) === canonical(b);
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_, part) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([x], [y]) => (x < y ? -1 : 1)))
      : part,
  );
}

/** A record as an app has it, with what the app itself did to it since the server last sent it. */
interface Copy {
  readonly json: JsonRecord | null;
  readonly marks: readonly Mark[];
  /** Whether the app had deleted it, and a full sync without the deletion showed it again. */
  readonly isShownAgain?: boolean;
}

/** A change as an app keeps it. */
interface Queued extends Copy {
  readonly id: string;
  /** By the clock of the device. */
  readonly madeAt: number;
  readonly ack: string;
}

type UpFrame = { readonly at: number } & (
  | { readonly pong: string }
  | { readonly message: Said; readonly marks: readonly Mark[] }
);

/** A message that an app sends. */
interface Said {
  readonly type?: string;
  readonly data?: { readonly document?: JsonRecord };
}

const isFullSync = ({ type }: ServerMessage): boolean => type === 'FULL_SYNC';

/** A JSON device: whole documents in, whole documents out. */
export class LegacyApp {
  readonly name: string;
  readonly setup: AppSetup;
  readonly #world: World;
  readonly #copies = new Map<string, Copy>();
  /** Its own last deletion of each record. */
  readonly #deletions = new Map<string, Mark>();
  #queue: Queued[] = [];
  #link: { readonly line: JsonLine; readonly up: UpFrame[] } | null = null;
  /** What the socket has received and the app has not read. */
  #inbox: { readonly at: number; readonly message: ServerMessage }[] = [];
  #isConfirmed = false;
  #acks = 0;
  #lastTime = 0;
  #syncReadAt = Number.NEGATIVE_INFINITY;
  /** What its storage had before the last message, and when that came. */
  #before: { readonly at: number; readonly copies: ReadonlyMap<string, Copy> } | null = null;
  /** The fields that the server has seen from it: what it leaves out of them counts as removed (L6). */
  readonly #sent = new Set<string>();

  constructor(world: World, name: string, setup: AppSetup) {
    this.#world = world;
    this.name = name;
    this.setup = setup;
  }

  get isOnline(): boolean {
    return this.#link !== null;
  }

  get isQuiet(): boolean {
    if (this.#link === null) return true;
    return this.#underWay === 0 && this.#isConfirmed && this.#queue.length === 0;
  }

  get #underWay(): number {
    return (this.#link?.up.length ?? 0) + (this.#link?.line.frames.length ?? 0) + this.#inbox.length;
  }

  records(): Map<string, JsonRecord> {
    const records = new Map<string, JsonRecord>();
    for (const [id, { json }] of this.#copies) if (json !== null) records.set(id, json);
    return records;
  }

  /** What this app knows of a record. */
  known(record: JsonRecord): JsonRecord {
    return this.setup.old ? (withoutExt(record) as JsonRecord) : record;
  }

  connect(): void {
    if (this.#link !== null) return;
    this.#world.activity++;
    const { followed: document, faults } = this.#world;
    const line: JsonLine = new JsonLine({
      document,
      device: this.name,
      now: () => this.#world.now,
      pace: {
        gap: this.#world.pace,
        mostBytes: 1e9,
        after: (ms, task) => this.#world.after(ms, task, () => this.#link?.line === line),
      },
      closed: (error) => faults.push(`${this.name} was closed: ${error.message}`),
    });
    this.#link = { line, up: [] };
    this.#isConfirmed = false;
  }

  /** The connection is gone, with all that was under way. */
  lose(isNoticed: boolean): void {
    if (this.setup.stamps === 'none') this.#world.ledger.isUntimed();
    if (this.#link !== null) this.#world.activity++;
    if (isNoticed) this.#link?.line.leave();
    this.#link = null;
    this.#inbox = [];
    this.#isConfirmed = false;
  }

  abandon(): void {
    if (this.#link !== null) this.#world.addGhost(this.#link.line);
    this.lose(false);
  }

  /** The server receives the next message of this device. */
  sendOne(): void {
    const frame = this.#link?.up.shift();
    if (this.#link === null || frame === undefined) return;
    this.#world.activity++;
    if ('pong' in frame) {
      this.#link.line.pong(frame.pong);
      return;
    }
    this.#link.line.say(frame.message);
    const { document } = frame.message.data ?? {};
    this.#world.followed.afterDurable(() => {
      for (const field of Object.keys(document ?? {})) this.#sent.add(field);
    });
    markReceived(this.#world, frame.marks);
  }

  /** The socket receives the next message. */
  receiveOne(): void {
    const frame = this.#link?.line.frames.shift();
    if (frame === undefined) return;
    this.#world.activity++;
    if ('ping' in frame) this.#push({ pong: frame.ping });
    else {
      this.#inbox.push({ at: this.#world.now, message: frame.message });
      if (!this.setup.lags) this.readOne();
    }
  }

  /** The app reads what its socket received. */
  readOne(): void {
    const received = this.#inbox.shift();
    if (received === undefined) return;
    this.#world.activity++;
    this.#read(received.message);
  }

  flush(): void {
    while (this.#underWay > 0) {
      this.sendOne();
      this.receiveOne();
      this.readOne();
    }
  }

  /** An app that lags reads everything, and sends everything, before it is older than `time`. */
  async keepUp(time: number): Promise<void> {
    if (!this.setup.lags) return;
    while ((this.#inbox[0]?.at ?? time) < time) this.readOne();
    while ((this.#link?.up[0]?.at ?? time) < time) this.sendOne();
    await this.#world.settle();
  }

  requestSync(): void {
    if (!this.#isConfirmed) return;
    this.#world.activity++;
    const { stamps, skew } = this.setup;
    const timestamp = stamps === 'none' ? {} : { timestamp: this.#world.now + skew };
    this.#push({ message: { type: 'REQUEST_SYNC', ...timestamp }, marks: [] });
  }

  change({ kind, record, pick }: Change): void {
    const id = ['r1', 'r2', 'n1'][record % 3] as string;
    this.#loseMessageInWork();
    const copy = this.#copies.get(id) ?? { json: null, marks: [] };
    const canDrop = this.#sent.has('a');
    const wish = { kind, pick, knowsExt: !this.setup.old, canDrop };
    const made = changed(this.#world.ledger, this.name, id, copy.json, wish);
    if (made === null) return;
    this.#world.activity++;
    const deletion = this.#deletions.get(id);
    // The server can't tell a full sync that was read before the deletion from one that was read after it.
    const isFresh = deletion?.receivedAt === null && this.#world.now - this.#syncReadAt < 2_000;
    const isCrossed = copy.json === null && deletion !== undefined && (isFresh || this.#awaitsFullSync);
    if (copy.isShownAgain || isCrossed) this.#world.ledger.changedDeleted(id);
    for (const mark of made.marks) if (mark.kind === 'delete') this.#deletions.set(id, mark);
    const next = { ...copy, json: made.json, marks: [...copy.marks, ...made.marks] };
    const queued = { ...next, id, madeAt: this.#clock(), ack: `${++this.#acks}` };
    this.#copies.set(id, next);
    if (this.setup.acks || !this.#isConfirmed) this.#queue.push(queued);
    if (this.#isConfirmed) this.#send(queued);
  }

  /** Whether a full sync is under way, or asked for, or the server does not know yet that it was received. */
  get #awaitsFullSync(): boolean {
    const { up = [], line } = this.#link ?? {};
    const frames = line?.frames ?? [];
    return (
      !this.#isConfirmed ||
      up.some((frame) => 'message' in frame && frame.message.type === 'REQUEST_SYNC') ||
      frames.some((frame) => 'ping' in frame || isFullSync(frame.message)) ||
      this.#inbox.some(({ message }) => isFullSync(message))
    );
  }

  /** Unique and increasing, as the clock of the device shows it. */
  #clock(): number {
    this.#lastTime = Math.max(this.#lastTime + 1, this.#world.now + this.setup.skew);
    return this.#lastTime;
  }

  #send({ json, marks, id, madeAt, ack }: Queued): void {
    const { stamps, acks, skew } = this.setup;
    const record = json === null ? { documentId: id } : { document: json };
    const change = { collection: VISITS, ...record, madeAt };
    const message = messageOf(change, stamps, this.#world.now + skew);
    this.#push({ message: { ...message, ...(acks && { ack }) }, marks });
  }

  #push(frame: { pong: string } | { message: Said; marks: readonly Mark[] }): void {
    this.#link?.up.push({ ...frame, at: this.#world.now });
  }

  /** The message that is in work still, it will have overwritten when it is done with this. */
  #loseMessageInWork(): void {
    const { now } = this.#world;
    if (this.#before !== null && now - this.#before.at < HANDLING) this.#restore(this.#before.copies);
    this.#before = null;
  }

  #startHandling(): void {
    if (!this.setup.concurrent) return;
    this.#loseMessageInWork();
    this.#before = { at: this.#world.now, copies: new Map(this.#copies) };
  }

  #restore(copies: ReadonlyMap<string, Copy>): void {
    this.#copies.clear();
    for (const [id, copy] of copies) this.#copies.set(id, copy);
  }

  #read(message: ServerMessage): void {
    const { type, data, ack, code, timestamp } = message;
    if (type === 'FULL_SYNC' || type === 'DATA_UPDATE' || type === 'DATA_DELETE') this.#startHandling();
    if (type === 'FULL_SYNC') {
      this.#syncReadAt = this.#world.now;
      this.#copies.clear();
      for (const record of Object.values(taken({}, message)[VISITS] ?? {}))
        this.#take(`${record.id}`, record, timestamp);
    } else if (type === 'DATA_UPDATE') this.#take(`${data.document.id}`, data.document);
    else if (type === 'DATA_DELETE') this.#take(data.documentId, null);
    else if (type === 'ACK') this.#queue = this.#queue.filter((each) => each.ack !== ack);
    else if (type === 'CONNECTION_CONFIRMED') this.#replay();
    else this.#world.faults.push(`${this.name} got ${type} ${code}`);
  }

  /** @param fullSyncAt where the record is part of a full sync, when the server made that */
  #take(id: string, json: JsonRecord | null, fullSyncAt = Number.POSITIVE_INFINITY): void {
    const receivedAt = this.#deletions.get(id)?.receivedAt;
    const isShownAgain = receivedAt !== undefined && (receivedAt ?? this.#world.now) >= fullSyncAt;
    this.#copies.set(id, { json: json === null ? null : this.known(json), marks: [], isShownAgain });
  }

  /** What it changed meanwhile goes over its copies again, and to the server, oldest first. */
  #replay(): void {
    this.#isConfirmed = true;
    const queue = this.#queue;
    if (!this.setup.acks) this.#queue = [];
    for (const queued of queue) {
      this.#copies.set(queued.id, queued);
      this.#send(queued);
    }
  }
}

/** What was handed over counts once it is durable. */
function markReceived(world: World, marks: readonly Mark[]): void {
  world.followed.afterDurable(() => {
    for (const mark of marks) mark.receivedAt ??= world.now;
  });
}

/** A record without what an older app does not know. */
function withoutExt(value: Json): Json {
  if (Array.isArray(value)) return value.map(withoutExt);
  if (typeof value !== 'object' || value === null) return value;
  const known = Object.entries(value).filter(([name]) => name !== 'ext');
  return Object.fromEntries(known.map(([name, field]) => [name, withoutExt(field)]));
}

interface Made {
  readonly json: JsonRecord | null;
  readonly marks: Mark[];
}

interface Wish {
  readonly kind: Change['kind'];
  readonly pick: number;
  readonly knowsExt: boolean;
  readonly canDrop: boolean;
}

interface Item extends JsonObject {
  readonly id: string;
}

/** What an app makes of its copy of a record; `null`: nothing. */
function changed(
  ledger: Ledger,
  device: string,
  id: string,
  old: JsonRecord | null,
  wish: Wish,
): Made | null {
  if (old === null) return id.startsWith('r') ? created(ledger, device, id, wish) : null;
  const json = structuredClone(old) as JsonRecord & { nested?: JsonObject; items?: Item[]; tags?: string[] };
  const { kind, pick, knowsExt } = wish;
  const set = (object: JsonObject, name: string, prefix = ''): Made => {
    const edit = ledger.write(device, id, () => prefix + name, object[name] as string | undefined);
    object[name] = edit.value;
    return { json, marks: [edit] };
  };
  const items = json.items ?? [];
  const item = items[pick % Math.max(1, items.length)];
  const tags = json.tags ?? [];
  const tag = tags[pick % Math.max(1, tags.length)];
  switch (kind) {
    case 'ext':
      return set(json, knowsExt ? 'ext' : 'a');
    case 'nested/x':
    case 'nested/y':
    case 'nested/ext': {
      const name = kind.slice('nested/'.length);
      json.nested ??= {};
      return set(json.nested, name === 'ext' && !knowsExt ? 'x' : name, 'nested/');
    }
    case 'item p':
    case 'item q':
    case 'item ext': {
      if (item === undefined) return addItem(ledger, device, id, json, pick);
      const name = kind.slice('item '.length);
      return set(item, name === 'ext' && !knowsExt ? 'p' : name, `items/${item.id}/`);
    }
    case 'add item':
      return addItem(ledger, device, id, json, pick);
    case 'add tag': {
      const edit = ledger.write(device, id, (value) => `tags/${value}`, undefined);
      json.tags = [...tags];
      json.tags.splice(pick % (tags.length + 1), 0, edit.value ?? '');
      return { json, marks: [edit] };
    }
    case 'drop tag': {
      if (tag === undefined) return set(json, 'b');
      json.tags = tags.filter((each) => each !== tag);
      return { json, marks: [ledger.remove(device, id, `tags/${tag}`, tag)] };
    }
    case 'drop item': {
      if (item === undefined) return set(json, 'a');
      json.items = items.filter((each) => each !== item);
      return { json, marks: [ledger.event(device, id, 'dropItem', `items/${item.id}/`)] };
    }
    case 'drop field': {
      const { a } = json;
      if (typeof a !== 'string' || !wish.canDrop) return set(json, 'a');
      delete (json as JsonObject).a;
      return { json, marks: [ledger.remove(device, id, 'a', a)] };
    }
    case 'delete':
      return { json: null, marks: [ledger.event(device, id, 'delete')] };
    default:
      return set(json, kind);
  }
}

function addItem(
  ledger: Ledger,
  device: string,
  id: string,
  json: JsonRecord & { items?: Item[] },
  pick: number,
): Made {
  const ids = ['e1', 'e2', 'e3'].filter((each) => !json.items?.some((item) => item.id === each));
  const itemId = ids[pick % Math.max(1, ids.length)];
  if (itemId === undefined) {
    const edit = ledger.write(device, id, () => 'a', json.a as string | undefined);
    json.a = edit.value;
    return { json, marks: [edit] };
  }
  const edit = ledger.write(device, id, () => `items/${itemId}/p`, undefined);
  json.items = [...(json.items ?? []), { id: itemId, p: edit.value }];
  return { json, marks: [edit] };
}

function created(ledger: Ledger, device: string, id: string, { pick, knowsExt }: Wish): Made {
  const json: JsonRecord & JsonObject = { id };
  const marks: Mark[] = [ledger.event(device, id, 'create')];
  const set = (object: JsonObject, name: string, prefix = '') => {
    const edit = ledger.write(device, id, () => prefix + name, undefined);
    object[name] = edit.value;
    marks.push(edit);
  };
  set(json, 'a');
  if (pick & 1) {
    json.nested = {};
    set(json.nested, 'x', 'nested/');
    if (knowsExt) set(json.nested, 'ext', 'nested/');
  }
  if (pick & 2) {
    const item: JsonObject = { id: 'e1' };
    json.items = [item];
    set(item, 'p', 'items/e1/');
    if (knowsExt) set(item, 'ext', 'items/e1/');
  }
  if (pick & 4) {
    const edit = ledger.write(device, id, (value) => `tags/${value}`, undefined);
    json.tags = [edit.value];
    marks.push(edit);
  }
  return { json, marks };
}

interface NativeFrame {
  readonly bytes: Uint8Array;
  readonly marks: readonly Mark[];
}

/** A plain Y.Doc with what y-websocket does around it. */
export class NativeApp {
  readonly name: string;
  doc = unnamedDoc();
  readonly #world: World;
  #starts = 0;
  #link: { readonly line: NativeLine; readonly up: NativeFrame[] } | null = null;
  #marks: Mark[] = [];
  #made: readonly Mark[] = [];

  constructor(world: World, name: string) {
    this.#world = world;
    this.name = name;
    this.#follow();
  }

  /** With a new document, and what the server has. */
  beginAnew(): void {
    this.lose(true);
    this.doc = unnamedDoc();
    this.#follow();
    this.connect();
  }

  #follow(): void {
    this.doc.clientID = 5 + this.#starts++;
    this.doc.on('update', (update: Uint8Array, origin: unknown) => {
      if (origin !== this) this.#link?.up.push({ bytes: messages.update(update), marks: this.#made });
    });
  }

  get isOnline(): boolean {
    return this.#link !== null;
  }

  get isQuiet(): boolean {
    return this.#link === null || this.#link.up.length + this.#link.line.frames.length === 0;
  }

  known(record: JsonRecord): JsonRecord {
    return record;
  }

  records(): Map<string, JsonRecord> {
    const records = new Map<string, JsonRecord>();
    for (const [id, map] of this.#all().entries()) {
      if (map instanceof Y.Map) records.set(id, readRecord(map, id as RecordId));
    }
    return records;
  }

  connect(): void {
    if (this.#link !== null) return;
    this.#world.activity++;
    const { followed: document, faults } = this.#world;
    const line = new NativeLine({
      document,
      device: this.name,
      now: () => this.#world.now,
      closed: (error) => faults.push(`${this.name} was closed: ${error.message}`),
    });
    const hello = { bytes: messages.syncStep1(Y.encodeStateVector(this.doc)), marks: [] };
    this.#link = { line, up: [hello] };
  }

  lose(isNoticed: boolean): void {
    if (this.#link !== null) this.#world.activity++;
    if (isNoticed) this.#link?.line.leave();
    this.#link = null;
  }

  abandon(): void {
    if (this.#link === null) return;
    this.#world.activity++;
    this.#world.addGhost(this.#link.line);
    this.#link = null;
  }

  requestSync(): void {}
  readOne(): void {}

  sendOne(): void {
    const frame = this.#link?.up.shift();
    if (frame === undefined) return;
    this.#world.activity++;
    this.#link?.line.say(frame.bytes);
    markReceived(this.#world, frame.marks);
  }

  receiveOne(): void {
    const bytes = this.#link?.line.frames.shift();
    if (bytes === undefined) return;
    this.#world.activity++;
    const answer = answerTo(bytes, this.doc, this);
    // The answer to a state vector has everything that this device ever did, or the server has it.
    if (answer !== null) this.#link?.up.push({ bytes: answer, marks: this.#marks });
  }

  flush(): void {
    while (!this.isQuiet) {
      this.sendOne();
      this.receiveOne();
    }
  }

  change({ kind, record, pick }: Change): void {
    const id = ['r1', 'r2', 'n1'][record % 3] as string;
    const { ledger } = this.#world;
    const map = this.#all().get(id);
    if (map instanceof Y.Map) this.#edit(id, map, kind, pick);
    else if (id.startsWith('n')) {
      const made = created(ledger, this.name, id, { kind, pick, knowsExt: true, canDrop: true });
      this.#transact(made.marks, () => this.#all().set(id, sharedValue(made.json)));
    }
  }

  #all(): Y.Map<unknown> {
    return this.doc.getMap(VISITS);
  }

  #transact(marks: readonly Mark[], action: () => void): void {
    this.#world.activity++;
    this.#made = marks;
    this.#marks = [...this.#marks, ...marks];
    this.doc.transact(action);
  }

  #edit(id: string, map: Y.Map<unknown>, kind: Change['kind'], pick: number): void {
    const { ledger } = this.#world;
    const set = (inside: Y.Map<unknown>, name: string, prefix = ''): void => {
      const edit = ledger.write(this.name, id, () => prefix + name, inside.get(name) as string | undefined);
      this.#transact([edit], () => inside.set(name, edit.value));
    };
    const nested = map.get('nested');
    const items = map.get('items');
    const tags = map.get('tags');
    const at = (list: Y.Array<unknown>) => pick % Math.max(1, list.length);
    if (kind.startsWith('nested/')) {
      if (nested instanceof Y.Map) set(nested, kind.slice('nested/'.length), 'nested/');
    } else if (kind.startsWith('item ')) {
      const item = items instanceof Y.Array ? items.get(at(items)) : undefined;
      if (item instanceof Y.Map) set(item, kind.slice('item '.length), `items/${item.get('id')}/`);
    } else if (kind === 'add item') {
      if (items instanceof Y.Array) this.#addItem(id, items);
    } else if (kind === 'drop item') {
      const item = items instanceof Y.Array ? items.get(at(items)) : undefined;
      if (items instanceof Y.Array && item instanceof Y.Map) {
        const event = ledger.event(this.name, id, 'dropItem', `items/${item.get('id')}/`);
        this.#transact([event], () => items.delete(at(items), 1));
      }
    } else if (kind === 'add tag') {
      const edit = ledger.write(this.name, id, (value) => `tags/${value}`, undefined);
      if (tags instanceof Y.Array) this.#transact([edit], () => tags.insert(at(tags), [edit.value]));
    } else if (kind === 'drop tag') {
      if (tags instanceof Y.Array && tags.length > 0) {
        const tag = tags.get(at(tags)) as string;
        const edit = ledger.remove(this.name, id, `tags/${tag}`, tag);
        this.#transact([edit], () => tags.delete(at(tags), 1));
      }
    } else if (kind === 'drop field') {
      const a = map.get('a');
      if (typeof a === 'string')
        this.#transact([ledger.remove(this.name, id, 'a', a)], () => map.delete('a'));
    } else if (kind === 'delete') {
      this.#transact([ledger.event(this.name, id, 'delete')], () => this.#all().delete(id));
    } else set(map, kind);
  }

  #addItem(id: string, items: Y.Array<unknown>): void {
    const edit: Edit = this.#world.ledger.write(this.name, id, (value) => `items/${value}/p`, undefined);
    this.#transact([edit], () => items.push([sharedValue({ id: edit.value, p: edit.value })]));
  }
}
