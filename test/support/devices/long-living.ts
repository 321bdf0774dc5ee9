/** Devices of all kinds as they live with a user for years: see `long-lives.ts`. */
import * as Y from 'yjs';
import { memoryStorage } from '../../../client/local-store/memory.js';
import { SyncManager } from '../../../client/sync-manager.js';
import type { Following } from '../../../server/documents/sleep/followed-documents.js';
import type { JsonObject, JsonRecord } from '../../../shared/json.js';
import { AppLine } from '../app-line.js';
import { type ById, byId } from '../clinic.js';
import { QueuedJson, QueuedNative } from '../hand-flushed.js';
import type { LongLives } from '../long-lives.js';
import { editOwn, type OwnEdit } from '../random-edits.js';
import { testPlatform } from './test-client.js';

/** Records that all edit, and that are never deleted; and records that are made, edited and deleted. */
export const VISITS = 'appointments';
export const NOTES = 'notes';

/** What all kinds of devices can do. */
export abstract class Device {
  readonly name: string;
  protected readonly world: LongLives;

  constructor(world: LongLives, name: string) {
    this.world = world;
    this.name = name;
  }

  abstract get isOnline(): boolean;
  abstract get isQuiet(): boolean;
  abstract begin(): Promise<void>;
  abstract comeOnline(): Promise<void>;
  abstract goOffline(): Promise<void>;
  /** The connection is gone, and comes again by itself where it does. */
  abstract cut(): void;
  back(): void {}
  flush(): void {}
  /** Before what is under way is lost, where it is lost for good. */
  async makeSafe(): Promise<void> {}
  abstract edit(edit: OwnEdit): Promise<void>;
  abstract view(): ById;
  abstract write(id: string, field: string, value: string): Promise<void>;
  abstract delete(id: string): Promise<void>;
  async end(): Promise<void> {}

  /** Of what can be deleted; nobody makes it again. */
  async create(): Promise<void> {
    await this.write(`${this.name}.${this.world.value()}`, 'made', this.world.value());
  }

  async change(isDeleted: boolean): Promise<void> {
    const { chance } = this.world;
    const ids = Object.keys(this.view()[NOTES] ?? {});
    const id = ids[chance.below(ids.length)];
    if (id === undefined) return;
    if (!isDeleted) return this.write(id, this.name, this.world.value());
    await this.delete(id);
    this.world.removed(id, this);
  }
}

/** Our own client. */
export class App extends Device {
  readonly line: AppLine;
  readonly client: SyncManager;
  #isAway = false;

  constructor(world: LongLives, name: string) {
    super(world, name);
    this.line = new AppLine(world);
    const { clock, chance } = world;
    this.client = new SyncManager(
      testPlatform({
        storage: memoryStorage(),
        clock: { now: world.now, after: (ms, task) => clock.after(ms, task) },
        random: () => chance.between(0, 1),
        WebSocket: this.line.WebSocket,
      }),
    );
  }

  get isOnline(): boolean {
    return !this.#isAway;
  }

  get isQuiet(): boolean {
    const { connection, pendingChanges, refused } = this.client.status.current;
    if (refused.length > 0) this.world.faults.push(`${this.name} refused ${JSON.stringify(refused)}`);
    return connection === 'online' && pendingChanges === 0;
  }

  async begin(): Promise<void> {
    await this.client.initialize({
      serverUrl: 'http://sync.test',
      userId: this.world.user,
      deviceId: this.name,
      fetch: () => Promise.reject(new TypeError('There is no network here.')),
    });
  }

  async comeOnline(): Promise<void> {
    this.line.isCut = false;
    if (this.#isAway) await this.client.connect();
    this.#isAway = false;
  }

  async goOffline(): Promise<void> {
    this.#isAway = true;
    await this.client.disconnect();
  }

  cut(): void {
    this.line.isCut = true;
    this.line.cut();
  }

  override back(): void {
    this.line.isCut = false;
  }

  /** A field of its own, or an element of its own in a list that all have. */
  async edit({ kind, id, key }: OwnEdit): Promise<void> {
    const value = this.world.value();
    const own = `${this.name}.${key}`;
    const record = this.client.getRecord(VISITS, id) as JsonRecord | null;
    if (record === null) return;
    if (kind === 'field' || kind === 'nested' || kind === 'deep') {
      await this.client.updateData(VISITS, id, { [own]: value });
      this.world.wrote(this, [VISITS, id, own], value);
      return;
    }
    const items = (Array.isArray(record.items) ? record.items : []) as JsonObject[];
    const isThere = items.some((element) => element.id === own);
    const changed = isThere
      ? items.map((element) => (element.id === own ? { ...element, value } : element))
      : [...items, { id: own, value }];
    await this.client.updateData(VISITS, id, { items: changed });
    this.world.wrote(this, [VISITS, id, 'items', `#${own}`, 'value'], value);
  }

  async write(id: string, field: string, value: string): Promise<void> {
    const known = this.client.getRecord(NOTES, id) !== null;
    if (known) await this.client.updateData(NOTES, id, { [field]: value });
    else await this.client.addData(NOTES, { id, [field]: value });
  }

  delete(id: string): Promise<void> {
    return this.client.deleteData(NOTES, id);
  }

  view(): ById {
    const all = (name: string) => this.client.collection(name).records as unknown as JsonRecord[];
    return byId({ [VISITS]: all(VISITS), [NOTES]: all(NOTES) });
  }

  override end(): Promise<void> {
    return this.client.close();
  }
}

/** A device with queues that are flushed by hand. */
abstract class Queued<Kind extends QueuedNative | QueuedJson> extends Device {
  abstract queued: Kind;
  #following: Following | null = null;

  get isOnline(): boolean {
    return this.queued.isOnline;
  }

  get isQuiet(): boolean {
    return this.queued.isQuiet;
  }

  async begin(): Promise<void> {
    await this.comeOnline();
  }

  async comeOnline(): Promise<void> {
    if (this.queued.isOnline) return;
    this.cut();
    this.#following = await this.world.registry.follow(this.world.user);
    this.world.followed = this.#following.document;
    this.queued.connect();
  }

  async goOffline(): Promise<void> {
    this.cut();
  }

  cut(): void {
    this.queued.disconnect();
    this.#following?.release();
    this.#following = null;
  }

  override flush(): void {
    this.queued.flush();
  }

  view(): ById {
    return this.queued.view();
  }
}

export class Json extends Queued<QueuedJson> {
  readonly queued = new QueuedJson(this.world, this.name);

  async edit({ id, key }: OwnEdit): Promise<void> {
    const value = this.world.value();
    const record = this.queued.record(VISITS, id);
    if (record === undefined) return;
    const own = `${this.name}.${key}`;
    this.queued.update(VISITS, { ...record, [own]: value });
    this.world.wrote(this, [VISITS, id, own], value);
  }

  async write(id: string, field: string, value: string): Promise<void> {
    this.queued.update(NOTES, { ...(this.queued.record(NOTES, id) ?? { id }), [field]: value });
  }

  async delete(id: string): Promise<void> {
    this.queued.delete(NOTES, id);
  }
}

/** Unmodified y-websocket, whose app begins anew where it is told that the document was rewritten. */
export class Plain extends Queued<QueuedNative> {
  isRefused = false;
  #starts = 0;
  queued = this.#fresh();

  #fresh(): QueuedNative {
    return new QueuedNative(
      this.world,
      `${this.name}`,
      1 + this.world.chance.below(2 ** 31) + this.#starts++,
    );
  }

  override get isQuiet(): boolean {
    return !this.isRefused && super.isQuiet;
  }

  override async comeOnline(): Promise<void> {
    if (this.isRefused) {
      this.cut();
      this.isRefused = false;
      this.queued = this.#fresh();
      this.world.forgetAll(this);
    }
    if (!this.isOnline) {
      await super.comeOnline();
      this.world.notePlain();
    }
    this.queued.askCheckpoint();
  }

  override cut(): void {
    if (this.isOnline) this.world.notePlain();
    super.cut();
  }

  async edit(edit: OwnEdit): Promise<void> {
    const value = this.world.value();
    const path = editOwn(this.queued.doc, this.name, edit, value);
    this.world.wrote(this, [VISITS, ...path], edit.kind === 'tag' ? '' : value);
  }

  override async makeSafe(): Promise<void> {
    await this.world.whenSaved(this);
  }

  override async goOffline(): Promise<void> {
    await this.makeSafe();
    await super.goOffline();
  }

  async write(id: string, field: string, value: string): Promise<void> {
    const { doc } = this.queued;
    const notes = doc.getMap<Y.Map<unknown>>(NOTES);
    const record = notes.get(id);
    if (record !== undefined) record.set(field, value);
    else notes.set(id, new Y.Map([[field, value]]));
  }

  async delete(id: string): Promise<void> {
    this.queued.doc.getMap(NOTES).delete(id);
  }
}
