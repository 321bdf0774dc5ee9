import * as decoding from 'lib0/decoding';
import * as syncProtocol from 'y-protocols/sync';
import * as Y from 'yjs';
import type { DocumentOptions } from '../../server/documents/document-options.js';
import { UserDocument } from '../../server/documents/user-document.js';
import { messages } from '../../server/protocol/yjs.js';
import { MemoryStore } from '../../server/store/memory/memory-store.js';
import type { JsonObject, JsonRecord } from '../../shared/json.js';
import type { CollectionName, DeviceId, RecordId } from '../../shared/names.js';
import { sharedValue } from '../../shared/records.js';
import { JsonLine } from './devices/json-line.js';
import { messageOf, type ServerMessage, taken } from './devices/json-words.js';
import { NativeLine } from './devices/native-line.js';
import { followedOf } from './document.js';
import { leavesOf } from './legacy-ledger.js';
import { user } from './notes.js';
import { moveElement } from './random-edits.js';
import { unnamedDoc } from './replicas.js';

/**
 * Devices of all kinds on real sessions: native ones that say when they wrote, native ones that don't, and JSON
 * devices. What a device sends arrives when the test says so, with the time by its own clock, which may be wrong.
 */
const ANNA = user('anna');
const VISITS = 'visits' as CollectionName;
const RECORD = 'r1' as RecordId;
const DAY = 86_400_000;
const ELEMENTS = ['e1', 'e2', 'e3'];
export const PLACES = [
  'a',
  'b',
  'nested/x',
  'nested/y',
  'items/e1/p',
  'items/e1/q',
  'items/e2/p',
  'items/e3/p',
] as const;
export type Place = (typeof PLACES)[number];

/** `items/e1/p` is the field `p` of the element `e1`. */
function partsOf(place: Place): { inside: string | null; id: string | null; key: string } {
  const steps = place.split('/');
  const key = steps.pop() ?? '';
  return { inside: steps[0] ?? null, id: steps[1] ?? null, key };
}

export interface PartySetup {
  readonly kind: 'timed' | 'plain' | 'json';
  /** So many ms is its clock ahead. */
  readonly skew: number;
}

/** Every value is written once. */
interface Write {
  readonly place: Place;
  readonly value: string;
  /** What stood there before its author's eyes. */
  readonly old: string | undefined;
  /** By the one true clock; `null` where nothing tells the server. */
  at: number | null;
}

/** What a field may have at the end: what was written last, or, without times, what nobody replaced who saw it. */
class Register {
  #agreed: ReadonlyMap<string, string> = new Map();
  #writes: Write[] = [];
  #count = 0;

  write(author: string, place: Place, old: string | undefined, at: number | null): Write {
    const write = { place, value: `${author}${++this.#count}`, old, at };
    this.#writes.push(write);
    return write;
  }

  agree(record: JsonRecord): void {
    this.#agreed = leavesOf(record);
    this.#writes = [];
  }

  problems(record: JsonRecord): string[] {
    const leaves = leavesOf(record);
    return PLACES.flatMap((place) => {
      const possible = this.#possible(place);
      const found = leaves.get(place);
      return possible.includes(found) ? [] : [`${place} is ${found}, not ${possible.join(' or ')}`];
    });
  }

  #possible(place: Place): (string | undefined)[] {
    const writes = this.#writes.filter((write) => write.place === place);
    const times = writes.flatMap(({ at }) => at ?? []);
    if (times.length === writes.length && writes.length > 0)
      return writes.filter(({ at }) => at === Math.max(...times)).map(({ value }) => value);
    const replaced = new Set(writes.map(({ old }) => old));
    const values = [this.#agreed.get(place), ...writes.map(({ value }) => value)];
    return values.filter((value) => !replaced.has(value));
  }
}

export class LaterWorld {
  readonly register = new Register();
  readonly faults: string[] = [];
  readonly parties: Party[];
  now = Date.UTC(2026, 2, 2, 8);
  document!: UserDocument; // set by open() before anybody gets hold of it
  #store = new MemoryStore();
  #isHeld = false;
  #ids = 1_000_000;

  private constructor(setups: readonly PartySetup[], clientIds: readonly number[]) {
    this.parties = setups.map(({ kind, skew }, index) => {
      const name = 'ABCDEF'[index] ?? '';
      if (kind === 'json') return new JsonParty(this, name, skew);
      return new NativeParty(this, name, {
        isTimed: kind === 'timed',
        skew,
        clientId: clientIds[index] ?? index,
      });
    });
  }

  /** All of them have the record, and the server has heard their clocks. */
  static async open(setups: readonly PartySetup[], clientIds: readonly number[]): Promise<LaterWorld> {
    const world = new LaterWorld(setups, clientIds);
    await world.#load();
    world.document.write({ via: 'json', device: 'desk' as DeviceId, actor: null, subscriber: null }, (doc) =>
      doc.getMap(VISITS).set(RECORD, sharedValue(firstRecord())),
    );
    world.register.agree(firstRecord());
    await world.agree();
    for (const party of world.parties) party.sayTime();
    await world.agree();
    return world;
  }

  /** Lets everything happen that waits for nothing but its turn. */
  async settle(): Promise<void> {
    do await new Promise((resolve) => setImmediate(resolve));
    while (!this.#isHeld && this.document.isBusy);
  }

  hold(): void {
    this.#store.hold();
    this.#isHeld = true;
  }

  async release(): Promise<void> {
    this.#store.release();
    this.#isHeld = false;
    await this.settle();
  }

  /** Calls `done` when what was received so far is durable, unless the server is killed before. */
  whenDurable(done: () => void): void {
    const { document } = this;
    document.afterDurable(() => {
      if (document === this.document) done();
    });
  }

  /** Everything arrives everywhere; then all must be as it may be. */
  async agree(): Promise<void> {
    await this.release();
    for (let round = 0; round < 3 || this.parties.some(({ isQuiet }) => !isQuiet); round++) {
      if (round > 100) throw new Error('The devices and the server never come to rest.');
      for (const party of this.parties) {
        party.connect();
        party.send(Number.POSITIVE_INFINITY);
        party.receive(Number.POSITIVE_INFINITY);
        await this.settle();
      }
    }
    const record = this.document.record({ collection: VISITS, id: RECORD });
    if (record === null) throw new Error('The record is gone.');
    const problems = [...this.faults, ...this.register.problems(record), ...this.#differences(record)];
    if (problems.length > 0) throw new Error(problems.join('\n'));
    this.register.agree(record);
    this.now += 65_000;
    this.document.saveDevices('all');
    await this.settle();
  }

  /** The server ends here and now: what is not durable is gone. */
  async kill(): Promise<void> {
    for (const party of this.parties) party.lose(false);
    this.#isHeld = false;
    await this.#load();
  }

  #differences(record: JsonRecord): string[] {
    const ids = (record.items as JsonObject[]).map(({ id }) => `${id}`).sort();
    const problems = ids.join() === ELEMENTS.join() ? [] : [`the elements are ${ids.join()}`];
    const wanted = canonical(record);
    for (const { name, record: found } of this.parties)
      if (canonical(found) !== wanted) problems.push(`${name} has ${canonical(found)}, the server ${wanted}`);
    return problems;
  }

  async #load(): Promise<void> {
    this.#store = new MemoryStore(new Map(this.#store.contents));
    const ids = { writes: this.#ids++, unions: this.#ids++ };
    const fault = (...what: unknown[]): void => {
      const cause = what.at(-1);
      this.faults.push(cause instanceof Error ? (cause.stack ?? cause.message) : `${cause}`);
    };
    const options: DocumentOptions = {
      store: this.#store,
      ids: () => ids,
      now: () => this.now,
      maxDepth: 64,
      keepFor: 90 * DAY,
      historyDays: 90,
      compactUpdates: 1_000,
      compactBytes: 1e6,
      onHistoryDamaged: fault,
      onFailed: fault,
      onRebuilt: fault,
      onCompacted: () => {},
      onUnexpected: fault,
    };
    this.document = new UserDocument(ANNA, await this.#store.load(ANNA), options);
  }
}

const firstRecord = (): JsonRecord => ({
  id: RECORD,
  a: 'first a',
  b: 'first b',
  nested: { x: 'first x', y: 'first y' },
  items: ELEMENTS.map((id) => ({ id, p: `first ${id} p`, q: `first ${id} q` })),
});

/** Equal but for the order of keys; that of elements counts. */
const canonical = (value: unknown): string =>
  JSON.stringify(value, (_, part) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([x], [y]) => (x < y ? -1 : 1)))
      : part,
  );

export interface Party {
  readonly name: string;
  readonly isQuiet: boolean;
  readonly record: JsonRecord | null;
  connect(): void;
  /** The connection is gone, with what was on its way to the device. */
  lose(isNoticed: boolean): void;
  /** The server receives the first `count` changes that the device has made. */
  send(count: number): void;
  /** The device receives the first `count` messages that are on their way. */
  receive(count: number): void;
  /** The server hears the device's clock. */
  sayTime(): void;
  write(place: Place): void;
  move(from: number, to: number): void;
}

interface NativeSetup {
  readonly isTimed: boolean;
  readonly skew: number;
  readonly clientId: number;
}

interface NativeChange {
  readonly update: Uint8Array;
  readonly madeAt: number;
}

/** A native device: our client, which keeps its changes with their times, or an unmodified provider. */
class NativeParty implements Party {
  readonly name: string;
  readonly #doc = unnamedDoc();
  readonly #world: LaterWorld;
  readonly #setup: NativeSetup;
  #link: { readonly line: NativeLine; isAnswered: boolean } | null = null;
  /** Not durable on the server yet; of an unmodified provider, only the writes count. */
  #pending: NativeChange[] = [];
  #unsaved: Write[] = [];

  constructor(world: LaterWorld, name: string, setup: NativeSetup) {
    this.#world = world;
    this.name = name;
    this.#setup = setup;
    this.#doc.clientID = setup.clientId;
    this.#doc.on('update', (update: Uint8Array, origin: unknown) => {
      if (origin === this) return;
      if (setup.isTimed) this.#pending.push({ update, madeAt: this.#clock });
      else this.#link?.line.say(messages.update(update));
    });
  }

  get isQuiet(): boolean {
    return (
      this.#link?.isAnswered === true && this.#link.line.frames.length === 0 && this.#pending.length === 0
    );
  }

  get record(): JsonRecord | null {
    return this.#doc.getMap(VISITS).size === 0 ? null : ({ id: RECORD, ...this.#map.toJSON() } as JsonRecord);
  }

  get #map(): Y.Map<unknown> {
    return this.#doc.getMap<Y.Map<unknown>>(VISITS).get(RECORD) as Y.Map<unknown>;
  }

  get #items(): Y.Array<unknown> {
    return this.#map.get('items') as Y.Array<unknown>;
  }

  get #clock(): number {
    return this.#world.now + this.#setup.skew;
  }

  connect(): void {
    if (this.#link !== null) return;
    const { document, faults } = this.#world;
    const line = new NativeLine({
      document: followedOf(document),
      device: this.name,
      now: () => this.#world.now,
      asksForTimes: this.#setup.isTimed,
      closed: (error) => faults.push(`${this.name} was closed: ${error.message}`),
    });
    this.#link = { line, isAnswered: false };
    line.say(messages.syncStep1(Y.encodeStateVector(this.#doc)));
  }

  lose(isNoticed: boolean): void {
    if (isNoticed) this.#link?.line.leave();
    this.#link = null;
  }

  send(count: number): void {
    if (!this.#link?.isAnswered || this.#pending.length === 0) return;
    const sent = this.#pending.slice(0, count);
    this.#link.line.say(messages.timed(this.#clock, sent));
    this.#world.whenDurable(() => {
      this.#pending = this.#pending.filter((change) => !sent.includes(change));
    });
  }

  receive(count: number): void {
    for (const message of this.#link?.line.frames.splice(0, count) ?? []) this.#read(message);
  }

  sayTime(): void {}

  write(place: Place): void {
    const { inside, id, key } = partsOf(place);
    const owner = id === null ? this.#inside(inside) : this.#element(id);
    if (owner === undefined) return;
    const isLive = this.#setup.isTimed || this.#link?.isAnswered === true;
    const at = isLive ? this.#world.now : null;
    const write = this.#world.register.write(this.name, place, owner.get(key) as string | undefined, at);
    this.#unsaved.push(write);
    this.#doc.transact(() => owner.set(key, write.value));
    if (isLive && !this.#setup.isTimed) this.#saved([...this.#unsaved]);
  }

  move(from: number, to: number): void {
    this.#doc.transact(() => moveElement(this.#items, from, to));
  }

  #inside = (name: string | null): Y.Map<unknown> =>
    name === null ? this.#map : (this.#map.get(name) as Y.Map<unknown>);

  #element = (id: string): Y.Map<unknown> | undefined =>
    (this.#items.toArray() as Y.Map<unknown>[]).find((element) => element.get('id') === id);

  #read(message: Uint8Array): void {
    const decoder = decoding.createDecoder(message);
    const type = decoding.readVarUint(decoder);
    // Nothing holds this up: it tells how far the clocks are apart.
    if (type === 102) this.#link?.line.say(messages.timed(this.#clock, []));
    if (type !== 0) return;
    if (decoding.readVarUint(decoder) !== syncProtocol.messageYjsSyncStep1) {
      Y.applyUpdate(this.#doc, decoding.readVarUint8Array(decoder), this);
      return;
    }
    if (this.#link === null) return;
    const missing = Y.encodeStateAsUpdate(this.#doc, decoding.readVarUint8Array(decoder));
    this.#link.isAnswered = true;
    if (this.#setup.isTimed) return;
    // Of what it brings so, nobody knows the time, though the server that was killed had known it.
    for (const write of this.#unsaved) write.at = null;
    this.#link.line.say(messages.syncStep2(missing));
    this.#saved([...this.#unsaved]);
  }

  #saved(writes: readonly Write[]): void {
    this.#world.whenDurable(() => {
      this.#unsaved = this.#unsaved.filter((write) => !writes.includes(write));
    });
  }
}

interface JsonWrite {
  readonly document: JsonRecord;
  readonly madeAt: number;
  readonly ack: string;
  /** `null`: it only moves. */
  readonly edit: Write | null;
}

/** A JSON device: whole documents in, whole documents out; it keeps each until that was acknowledged. */
class JsonParty implements Party {
  readonly name: string;
  record: JsonRecord | null = null;
  readonly #world: LaterWorld;
  readonly #skew: number;
  #line: JsonLine | null = null;
  #isConfirmed = false;
  #queue: JsonWrite[] = [];
  #acks = 0;

  constructor(world: LaterWorld, name: string, skew: number) {
    this.#world = world;
    this.name = name;
    this.#skew = skew;
  }

  get isQuiet(): boolean {
    return this.#isConfirmed && this.#line?.frames.length === 0 && this.#queue.length === 0;
  }

  get #clock(): number {
    return this.#world.now + this.#skew;
  }

  connect(): void {
    if (this.#line !== null) return;
    const { document, faults } = this.#world;
    this.#line = new JsonLine({
      document,
      device: this.name,
      now: () => this.#world.now,
      closed: (error) => faults.push(`${this.name} was closed: ${error.message}`),
    });
  }

  lose(isNoticed: boolean): void {
    if (isNoticed) this.#line?.leave();
    // After a kill more counts as seen than was: then the time does not tell (decision 017).
    else for (const { edit } of this.#queue) if (edit !== null) edit.at = null;
    this.#line = null;
    this.#isConfirmed = false;
  }

  /** What it has to send it sends at once. */
  send(): void {}

  receive(count: number): void {
    for (const frame of this.#line?.frames.splice(0, count) ?? []) {
      if ('ping' in frame) this.#line?.pong(frame.ping);
      else this.#read(frame.message);
    }
  }

  sayTime(): void {
    if (this.#isConfirmed) this.#line?.say({ type: 'REQUEST_SYNC', timestamp: this.#clock });
  }

  write(place: Place): void {
    this.#readAll();
    if (this.record === null) return;
    const document = structuredClone(this.record);
    const { inside, id, key } = partsOf(place);
    const around = inside === null ? document : document[inside];
    const owner = (
      id === null ? around : (around as JsonObject[]).find((each) => each.id === id)
    ) as JsonObject;
    if (owner === undefined) return;
    const old = owner[key] as string | undefined;
    // What was sent by then counts as seen (L6), though a full sync that is not read yet may be among it.
    const at = this.#line !== null && !this.#isConfirmed ? null : this.#world.now;
    const edit = this.#world.register.write(this.name, place, old, at);
    owner[key] = edit.value;
    this.#change(document, edit);
  }

  move(from: number, to: number): void {
    this.#readAll();
    if (this.record === null) return;
    const items = this.record.items as JsonObject[];
    const at = from % items.length;
    this.#change({
      ...this.record,
      items: items.toSpliced(at, 1).toSpliced(to, 0, ...items.slice(at, at + 1)),
    });
  }

  /** What crosses a write of a JSON device is in legacy-model.test.ts. */
  #readAll(): void {
    while (this.#isConfirmed && this.#line !== null && this.#line.frames.length > 0) this.receive(1);
  }

  #change(document: JsonRecord, edit: Write | null = null): void {
    this.record = document;
    const write = { document, madeAt: this.#clock, ack: `${++this.#acks}`, edit };
    this.#queue.push(write);
    if (this.#isConfirmed) this.#send(write);
  }

  #send({ document, madeAt, ack }: JsonWrite): void {
    const change = { collection: VISITS, document, madeAt };
    this.#line?.say({ ...messageOf(change, 'both', this.#clock), ack });
  }

  #read(message: ServerMessage): void {
    const { type, ack, code } = message;
    const { [RECORD]: record = null } = taken({}, message)[VISITS] ?? {};
    if (type === 'FULL_SYNC' || type === 'DATA_UPDATE') this.record = record;
    else if (type === 'ACK') this.#queue = this.#queue.filter((each) => each.ack !== ack);
    else if (type === 'CONNECTION_CONFIRMED') this.#replay();
    else this.#world.faults.push(`${this.name} got ${type} ${code}`);
  }

  #replay(): void {
    this.#isConfirmed = true;
    for (const write of this.#queue) {
      this.record = write.document;
      this.#send(write);
    }
  }
}
