/**
 * A user with devices of all kinds, whose server writes the document anew whenever it may, lets it sleep, and is
 * stopped and killed; a device may be away for a year with what it has not sent (P10). Time is driven by hand.
 */
import { isDeepStrictEqual } from 'node:util';
import { DocumentRegistry } from '../../server/documents/registry.js';
import type { FollowedDocument } from '../../server/documents/sleep/followed-document.js';
import type { SyncError } from '../../server/errors.js';
import { MemoryStore } from '../../server/store/memory/memory-store.js';
import type { Json } from '../../shared/json.js';
import type { Chance } from '../faults/chance.js';
import type { AppServer } from './app-line.js';
import type { ById } from './clinic.js';
import { App, type Device, Json as JsonApp, NOTES, Plain, VISITS } from './devices/long-living.js';
import { durableClockOf, type Joined, type QueuedJson, type QueuedNative } from './hand-flushed.js';
import { ManualClock } from './manual-clock.js';
import { user } from './notes.js';
import { duplicateIds, holds, type OwnEdit, type Path } from './random-edits.js';
import { viewOf } from './replicas.js';

const DAY = 86_400_000;
const YEAR = 366 * DAY;
/** So often a device comes that is not away. */
const VISIT = YEAR / 6;
const STAY = 35_000;
export const HISTORY_DAYS = 90;
/** Long enough that no real timer puts a document to sleep within a life. */
const REST_AFTER = 30_000;
/** Client ids after which the document is written anew. */
const FEW_CLIENTS = 1;
const SINCE = 'plain-visits-since';
/** Rounds after which everybody has to be in step. */
const ROUNDS = 40;
/** Steps to a field of a record. */
const FIELD_OF_RECORD = 3;
const KINDS = { app: App, json: JsonApp, plain: Plain };
type Kind = keyof typeof KINDS;

/** What its author wrote, and has to be found in the end. */
interface Written {
  readonly author: Device;
  readonly path: Path;
  readonly value: string;
}

export class LongLives implements Joined, AppServer {
  readonly user = user('anna');
  readonly clock = new ManualClock();
  readonly chance: Chance;
  readonly faults: unknown[] = [];
  devices: readonly Device[];
  store = new MemoryStore();
  registry!: DocumentRegistry; // set by open() before anybody gets hold of it
  followed!: FollowedDocument; // of the device that connects
  rewrites = 0;
  readonly #written = new Map<string, Written>();
  /** Records of which nothing may be left, and who deleted them. */
  readonly #deleted = new Map<string, Set<Device>>();
  /** Of before an erasure, with what they had not sent. */
  readonly #former: Device[] = [];
  /** What stands there of them came back. */
  readonly #erased = new Set<string>();
  #isErasing = false;
  #lastPlain = 0;
  #ids = 1_000_000;
  #count = 0;

  private constructor(chance: Chance, kinds: readonly Kind[]) {
    this.chance = chance;
    this.devices = kinds.map((kind, index) => new KINDS[kind](this, `${kind}-${index}`));
  }

  static async open(chance: Chance): Promise<LongLives> {
    const more = Array.from({ length: chance.below(3) }, () =>
      chance.pick<Kind>([
        [1, 'app'],
        [1, 'json'],
        [1, 'plain'],
      ]),
    );
    const world = new LongLives(chance, ['app', 'app', 'json', ...more]);
    world.#start();
    await world.registry.plainVisitsSince();
    // From here on it is known for long enough that no plain device was there.
    world.clock.pass(YEAR);
    await world.#begin();
    return world;
  }

  async #begin(): Promise<void> {
    const [first] = this.devices as readonly [App];
    await first.begin();
    for (const id of ['x', 'y']) await first.client.addData(VISITS, { id });
    for (const device of this.devices.slice(1)) await device.begin();
    await this.agree();
  }

  /** The user is erased, and begins anew with other devices; those of before may come again. */
  async erase(): Promise<void> {
    this.store.release();
    this.#isErasing = true;
    await this.registry.erase(this.user);
    await this.settle();
    this.#isErasing = false;
    for (let value = 1; value <= this.#count; value++) this.#erased.add(`v${value}`);
    this.#written.clear();
    this.#deleted.clear();
    this.#lastPlain = 0;
    const kindOf = (device: Device): Kind =>
      device instanceof App ? 'app' : device instanceof Plain ? 'plain' : 'json';
    this.#former.push(...this.devices);
    this.devices = this.devices.map((device) => new KINDS[kindOf(device)](this, `${device.name}n`));
    await this.#begin();
  }

  /** A device of before an erasure comes, with an edit of its own where it had not heard of it. */
  async haunt(edit: OwnEdit): Promise<void> {
    const device = this.#former[this.chance.below(this.#former.length)];
    if (device === undefined) return;
    if (!device.isOnline) await device.edit(edit);
    await device.comeOnline();
    const before = this.faults.length;
    await this.#stay([device]);
    device.cut();
    const isTold = (fault: unknown): boolean =>
      fault instanceof Error && fault.message === `${device.name}: ERASED`;
    this.faults.push(...this.faults.splice(before).filter((fault) => !isTold(fault)));
  }

  readonly now = (): number => {
    this.clock.pass(1); // every change has its own time
    return this.clock.now();
  };

  async settle(turns = 8): Promise<void> {
    for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
  }

  #start(): void {
    const { store } = this;
    this.#watchRewrites();
    const unexpected = (what: unknown): void => void this.faults.push(what);
    this.registry = new DocumentRegistry({
      store,
      idleTimeout: 30_000,
      restAfter: REST_AFTER,
      uptime: () => this.clock.now(),
      maxDepth: 64,
      compactUpdates: 12,
      compactBytes: 1e6,
      keepFor: HISTORY_DAYS * DAY,
      historyDays: HISTORY_DAYS,
      manyClients: FEW_CLIENTS,
      now: () => this.clock.now(),
      randomId: () => this.#ids++,
      onRewritten: () => this.rewrites++,
      onHistoryDamaged: unexpected,
      onFailed: (_, error) => this.#isErasing || unexpected(error),
      onRebuilt: (_, cause) => unexpected(cause),
      onCompacted: () => {},
      onUnexpected: unexpected,
    });
  }

  /** Asked when it is handed to the store, which may take its time: who comes then comes after the rewrite. */
  #watchRewrites(): void {
    const { store } = this;
    const compact = store.compact.bind(store);
    store.compact = (user, snapshot) => {
      if (snapshot.epoch !== undefined) this.#checkRewrite();
      return compact(user, snapshot);
    };
  }

  #checkRewrite(): void {
    const isPlainThere = this.devices.some((device) => device instanceof Plain && device.isOnline);
    if (isPlainThere || this.clock.now() - this.#lastPlain < HISTORY_DAYS * DAY)
      this.faults.push('rewritten although a plain device was there lately');
  }

  /** As the gateway does, at each tick of a connection. */
  notePlain(): void {
    this.#lastPlain = this.clock.now();
    this.registry.notePlainVisit(this.user);
  }

  durableClock(client: number): number {
    return durableClockOf(this.store, this.user, client);
  }

  ended(error: SyncError, queued: QueuedNative | QueuedJson): void {
    const isErased =
      this.#isErasing || this.#former.some((each) => 'queued' in each && each.queued === queued);
    if (error.code === 'ERASED' && isErased) return;
    const device = this.devices.find((each) => each instanceof Plain && each.queued === queued);
    if (error.code === 'REWRITTEN' && device instanceof Plain) device.isRefused = true;
    else this.faults.push(error);
  }

  value(): string {
    return `v${++this.#count}`;
  }

  wrote(author: Device, path: Path, value: string): void {
    if (this.devices.includes(author)) this.#written.set(path.join(' '), { author, path, value });
    else this.#erased.add(value);
  }

  /** What it wrote into records that others write, too, is not known to be there. */
  forget(isForgotten: (written: Written) => boolean): void {
    for (const [key, written] of this.#written) if (isForgotten(written)) this.#written.delete(key);
  }

  removed(id: string, by: Device): void {
    this.#deleted.set(id, (this.#deleted.get(id) ?? new Set()).add(by));
  }

  /** What it has not sent is lost with its document. */
  forgetAll(device: Device): void {
    this.forget(({ author }) => author === device);
    for (const [id, by] of this.#deleted) if (by.delete(device) && by.size === 0) this.#deleted.delete(id);
  }

  remade(id: string): void {
    this.#deleted.delete(id);
  }

  /** Everything that a device has sent is durable. */
  async whenSaved(device: Device): Promise<void> {
    this.store.release();
    for (let round = 0; round < 3; round++) {
      device.flush();
      await this.settle();
    }
  }

  /** Nothing changes for a while: the document is written anew where that may be, and sleeps. */
  async rest(): Promise<void> {
    for (let look = 0; look < 3; look++) {
      this.clock.pass(2 * REST_AFTER);
      this.registry.sleep();
      await this.settle();
    }
  }

  /** Who is away stays away for a year; the others come now and then, and have nothing new. */
  async year(): Promise<void> {
    this.store.release(); // no disk hangs for so long
    const there = this.devices.filter(({ isOnline }) => isOnline);
    // A list or an object that was made apart and lost is kept for late edits for `keepFor`, and no longer.
    this.forget(({ author, path }) => !author.isOnline && path.length > FIELD_OF_RECORD);
    for (let days = 0; days < YEAR; days += VISIT) {
      for (const device of there) await device.goOffline();
      this.clock.pass(VISIT);
      for (const device of there) await device.comeOnline();
      await this.#stay(there);
    }
  }

  /** What was heard of a shorter connection proves little of what its device had read (L5). */
  async #stay(devices: readonly Device[]): Promise<void> {
    for (let turn = 0; turn < 2; turn++) {
      await this.settle();
      for (const device of devices) device.flush();
      await this.settle();
      this.clock.pass(STAY);
    }
  }

  async restart(kill: boolean): Promise<void> {
    for (const device of this.devices) await device.makeSafe();
    if (!kill) this.store.release();
    for (const device of [...this.#former, ...this.devices]) device.cut();
    if (!kill) await this.registry.flush();
    const before = this.store;
    this.registry.close();
    this.store = new MemoryStore(new Map(before.contents));
    const since = await before.note(SINCE);
    if (since !== null) await this.store.setNote(SINCE, since);
    // Visits are written a second later, which no life waits for.
    if (this.#lastPlain > 0) await this.store.notePlainVisit(this.user, this.#lastPlain);
    this.#start();
    for (const device of this.devices) device.back();
    await this.settle();
  }

  /** Everybody comes online, and everything arrives; then all must be as it may be. */
  async agree(): Promise<void> {
    this.store.release();
    for (let round = 0; round === 0 || !this.devices.every(({ isQuiet }) => isQuiet); round++) {
      if (round > ROUNDS) {
        this.faults.push(
          `no rest: ${this.devices.filter(({ isQuiet }) => !isQuiet).map(({ name }) => name)}`,
        );
        break;
      }
      for (const device of this.devices) await device.comeOnline();
      this.clock.pass(round < 4 ? 100 : 35_000);
      await this.settle();
      for (const device of this.devices) device.flush();
      await this.settle();
    }
    await this.#check();
    await this.#stay(this.devices);
  }

  async #check(): Promise<void> {
    const { document, release } = await this.registry.open(this.user);
    const view = viewOf(document.doc);
    release();
    const full = (all: ById) =>
      Object.fromEntries(Object.entries(all).filter(([, each]) => Object.keys(each).length > 0));
    for (const device of this.devices) {
      const found = full(device.view());
      if (!isDeepStrictEqual(found, view))
        this.faults.push(`${device.name} has ${JSON.stringify(found)}, the server ${JSON.stringify(view)}`);
    }
    this.faults.push(...duplicateIds(view as Json).map((id) => `${id} is there twice`));
    for (const { author, path, value } of this.#written.values()) {
      if (!holds(view as Json, path, value))
        this.faults.push(`${author.name} wrote ${value} to ${path.join('/')}: lost`);
    }
    const shown = JSON.stringify(view).match(/(?<=")v\d+(?=")/g) ?? [];
    this.faults.push(
      ...shown.filter((value) => this.#erased.has(value)).map((value) => `${value} was erased`),
    );
    for (const id of this.#deleted.keys())
      if (view[NOTES]?.[id] !== undefined) this.faults.push(`${id} was deleted`);
  }

  get faultsText(): string[] {
    return this.faults.map((fault) => (fault instanceof Error ? `${fault.stack}` : String(fault)));
  }

  async close(): Promise<void> {
    for (const device of [...this.#former, ...this.devices]) await device.end();
    this.registry.close();
  }
}
