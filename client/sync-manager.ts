/** The documented API (C1, C2): a client of one user at a time. */

import type { JsonObject } from '../shared/json.js';
import { knowsName, lookAgain } from '../shared/known-names.js';
import { assignRecord, readRecord, recordMap, writeRecord } from '../shared/records.js';
import type {
  ChangeEvent,
  Changes,
  CollectionKey,
  CollectionView,
  LegacySyncStatus,
  NewRecord,
  RecordOf,
  RefusedExport,
  SavedConfig,
  SyncClient,
  SyncOptions,
  SyncRecord,
  UpdateOptions,
} from './api/api.js';
import { ClientError, RecordError } from './errors.js';
import type { Platform } from './platform/platform.js';
import { PresenceRelay } from './presence/presence-relay.js';
import { toJson } from './records/json-record.js';
import { changedRecord } from './records/record-change.js';
import {
  checkCollection,
  checkId,
  checkRecord,
  checkSchema,
  checkTexts,
  type Knows,
} from './records/record-check.js';
import type { Quarantine } from './refused/quarantine.js';
import type { Replica } from './replica/replica.js';
import { ClientLifecycle } from './session/client-lifecycle.js';
import { untilStatus } from './session/until-status.js';
import type { Predecessor, UserSession } from './session/user-session.js';
import type { Observable, SyncStatus } from './status.js';
import { ChangeEvents } from './views/change-events.js';
import { LiveCollection } from './views/collection-view.js';

export class SyncManager implements SyncClient {
  readonly presence = new PresenceRelay();
  readonly #platform: Platform;
  readonly #lifecycle: ClientLifecycle;
  readonly #views = new Map<string, LiveCollection>();
  readonly #events = new Set<ChangeEvents>();
  #wasOnline = false;

  constructor(platform: Platform) {
    this.#platform = platform;
    this.#lifecycle = new ClientLifecycle(platform, (session) => this.#attach(session));
    this.#lifecycle.status.subscribe(({ connection }) => this.#connectionIs(connection === 'online'));
  }

  get status(): Observable<SyncStatus> {
    return this.#lifecycle.status;
  }

  initialize(options: SyncOptions): Promise<void> {
    return this.#lifecycle.initialize(options);
  }

  connect(userId?: string): Promise<void> {
    return this.#lifecycle.connect(userId);
  }

  moveTo(userId: string): Promise<void> {
    return this.#lifecycle.moveTo(userId);
  }

  /** What `telemed-sync/compat` adds: see there. */
  resume(predecessor: Predecessor | null): void {
    this.#lifecycle.resume(predecessor);
  }

  disconnect(): Promise<void> {
    return this.#lifecycle.disconnect();
  }

  reconnect(userId: string): Promise<void> {
    return this.#lifecycle.reconnect(userId);
  }

  close(): Promise<void> {
    return this.#lifecycle.close();
  }

  logout({ force = false }: { readonly force?: boolean } = {}): Promise<void> {
    return this.#lifecycle.logout(force);
  }

  clearSyncData({ force = false }: { readonly force?: boolean } = {}): Promise<void> {
    return this.#lifecycle.clearSyncData(force);
  }

  updateConfig(changes: Partial<SyncOptions>): Promise<void> {
    return this.#lifecycle.update(changes);
  }

  setAutoSync(enabled: boolean): Promise<void> {
    return this.#lifecycle.update({ autoConnect: enabled });
  }

  loadSavedConfig(): Promise<SavedConfig | null> {
    return this.#lifecycle.loadSavedConfig();
  }

  getConfig(): SavedConfig | null {
    return this.#lifecycle.config;
  }

  isReady(): boolean {
    return this.#lifecycle.session !== null;
  }

  forceSync(): Promise<void> {
    return this.#lifecycle.flush();
  }

  async whenSynced({ signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    await this.#lifecycle.ready();
    const { syncs } = this.#lifecycle;
    const { count } = syncs.current;
    const isSynced = ({ connection, pendingChanges }: SyncStatus): boolean =>
      pendingChanges === 0 && (connection === 'online' || syncs.current.count > count);
    await untilStatus(this.status, isSynced, { signal, besides: syncs });
  }

  getSyncStatus(): LegacySyncStatus {
    return { ...this.status.current, connected: this.status.current.connection === 'online' };
  }

  async exportRefused(): Promise<RefusedExport[]> {
    const { replicas } = await this.#lifecycle.ready();
    return replicas.flatMap(({ refused }) => refused.exported());
  }

  retryRefused(key?: string): Promise<void> {
    return this.#eachRefused(key, (refused, each) => refused.retry(each));
  }

  discardRefused(key?: string): Promise<void> {
    return this.#eachRefused(key, (refused, each) => refused.discard(each));
  }

  async #eachRefused(
    key: string | undefined,
    work: (refused: Quarantine, key: string) => Promise<void>,
  ): Promise<void> {
    const { replicas } = await this.#lifecycle.ready();
    const all = replicas.flatMap(({ refused }) =>
      refused.changes.list.map((each) => ({ refused, key: each.key })),
    );
    const chosen = all.filter((each) => key === undefined || each.key === key);
    if (key !== undefined && chosen.length === 0)
      throw new ClientError('NOT_FOUND', `There is no refused change ${key}.`);
    for (const { refused, key } of chosen) await work(refused, key);
  }

  async addData<Name extends CollectionKey>(name: Name, record: NewRecord<RecordOf<Name>>): Promise<string> {
    const knows = this.#knows();
    const collection = checkCollection(name, knows);
    const fields = checkRecord(collection, record, knows);
    const id = fields.id ?? this.#platform.newId();
    const key = checkId(collection, id, knows);
    const checked = this.#checkSchema(collection, { ...fields, id });
    if (checked !== undefined) await checked;
    const replica = this.#openReplica(collection) ?? (await this.#replicaOf(collection));
    await replica.write((doc) => {
      checkTexts(collection, recordMap(doc, collection, key), fields);
      writeRecord(doc, collection, key, { ...fields, id });
    });
    return key;
  }

  async updateData<Name extends CollectionKey>(
    name: Name,
    id: string | number,
    changes: Changes<RecordOf<Name>>,
    { base }: UpdateOptions<RecordOf<Name>> = {},
  ): Promise<void> {
    const collection = checkCollection(name);
    const key = checkId(collection, id);
    const fields = checkRecord(collection, changes, this.#knows());
    if (fields.id !== undefined && checkId(collection, fields.id) !== key) {
      throw new RecordError('INVALID_RECORD', collection, [
        { message: `The id of a record can't be changed (from ${key}).`, path: ['id'] },
      ]);
    }
    const removed = Object.keys(changes).filter((field) => !Object.hasOwn(fields, field));
    const change = { fields, removed, base: base === undefined ? null : toJson(collection, base) };
    const replica = this.#openReplica(collection) ?? (await this.#replicaOf(collection));
    const missing = (): ClientError =>
      new ClientError('NOT_FOUND', `There is no ${collection} record ${key}.`);
    const before = this.#view(collection).read(key);
    if (before === null) throw missing();
    const checked = this.#checkSchema(collection, changedRecord(before, change, null), before);
    if (checked !== undefined) await checked;
    await replica.write((doc) => {
      const map = recordMap(doc, collection, key);
      if (map === null) throw missing();
      const current = readRecord(map, key);
      const next = changedRecord(current, change, map);
      checkTexts(collection, map, change.base === null ? fields : next);
      assignRecord(map, next, current);
    });
  }

  async deleteData(name: CollectionKey, id: string | number): Promise<void> {
    const collection = checkCollection(name);
    const key = checkId(collection, id);
    const replica = this.#openReplica(collection) ?? (await this.#replicaOf(collection));
    await replica.write((doc) => doc.getMap(collection).delete(key));
  }

  async getData<Name extends CollectionKey>(name: Name): Promise<RecordOf<Name>[]> {
    const view = this.#view(name);
    await this.#lifecycle.readable();
    return view.copies() as RecordOf<Name>[];
  }

  async getLocalData<Name extends CollectionKey>(
    name: Name,
    id: string | number,
  ): Promise<RecordOf<Name> | null> {
    const view = this.#view(name);
    await this.#lifecycle.readable();
    return view.read(checkId(name, id)) as RecordOf<Name> | null;
  }

  getRecord<Name extends CollectionKey>(name: Name, id: string | number): RecordOf<Name> | null {
    return this.#view(name).get(id) as RecordOf<Name> | null;
  }

  subscribe<Name extends CollectionKey>(
    name: Name,
    callback: (event: ChangeEvent<RecordOf<Name>>) => void,
  ): () => void {
    const view = this.#view(name);
    const events = new ChangeEvents(name, view, callback as (event: ChangeEvent<SyncRecord>) => void);
    this.#events.add(events);
    return () => {
      events.end();
      this.#events.delete(events);
    };
  }

  collection<Name extends CollectionKey>(name: Name): CollectionView<RecordOf<Name>> {
    return this.#view(name) as CollectionView<unknown> as CollectionView<RecordOf<Name>>;
  }

  #view(name: string): LiveCollection {
    const known = this.#views.get(name);
    if (known !== undefined) return known;
    const view = new LiveCollection(checkCollection(name));
    view.attach(this.#lifecycle.session?.replicaOf(name).doc ?? null);
    this.#views.set(name, view);
    return view;
  }

  /** Names that could not be new, but are on this device from before. */
  #knows(): Knows {
    const doc = this.#lifecycle.session?.replica.doc;
    if (doc === undefined) return () => false;
    lookAgain(doc); // the server may have sent more
    return (name) => knowsName(doc, name);
  }

  /** Where it is open, a write does not wait for a tick (C3). */
  #openReplica(collection: string): Replica | undefined {
    return this.#lifecycle.session?.replicaOf(collection);
  }

  async #replicaOf(collection: string): Promise<Replica> {
    const session = await this.#lifecycle.ready();
    return session.replicaOf(collection);
  }

  #checkSchema(
    collection: string,
    record: JsonObject,
    before: JsonObject | null = null,
  ): Promise<void> | undefined {
    return checkSchema(this.#lifecycle.options?.schemas?.[collection], collection, record, before);
  }

  #attach(session: UserSession | null): void {
    this.presence.attach(session?.presence ?? null);
    for (const [name, view] of this.#views) view.attach(session?.replicaOf(name).doc ?? null);
  }

  /** Screens of the JSON client expect everything once more when they are connected. */
  #connectionIs(isOnline: boolean): void {
    const isNew = isOnline && !this.#wasOnline;
    this.#wasOnline = isOnline;
    if (isNew) for (const events of this.#events) events.tellAll();
  }
}
