import type { DeviceKey, UserId } from '../../../shared/names.js';
import { SyncError } from '../../errors.js';
import type { DiskPatience } from '../disk-watch.js';
import type { KeyRing } from '../encryption/key-ring.js';
import { CipherVaults, plainVaults, type Vaults } from '../encryption/vault.js';
import { noteKey, seal, unseal } from '../format.js';
import type {
  Beat,
  Commit,
  Deletion,
  Former,
  HistoryRow,
  NodeState,
  Owner,
  RestRow,
  Snapshot,
  Store,
  StoredDocument,
  StoreState,
} from '../store.js';
import type { StoreCore } from '../store-core.js';
import { type Retrying, tryUntil } from '../try-until.js';
import { Changes, type ChangesOptions } from './changes.js';
import { KeyChange } from './key-change.js';
import { isMoved } from './moved.js';
import { type Documents, Owned } from './owned.js';
import type { Claim, Held, PostgresJob } from './plan.js';
import * as plans from './plan.js';
import * as reading from './reading.js';
import { StoredRevocations, type StoredRevocationsOptions } from './revocations.js';
import { Session, type SessionOptions } from './session.js';
import { GONE, HISTORY, KEPT, LOAD, NOTE, PUT_NOTE, USERS } from './statements.js';

/** How long PostgreSQL may take. */
export const POSTGRES_PATIENCE: DiskPatience = { slow: 5_000, timeout: 10_000 };
/** So many documents may wait to be loaded. */
const MAX_LOADS = 1_000;
const LOOK = 60_000;
/** Between two attempts to reopen, in ms. */
const LONGEST_DELAY = 1_000;

export interface PostgresStoreOptions
  extends Retrying,
    StoredRevocationsOptions,
    Pick<ChangesOptions, 'beforeWrite'>,
    Omit<SessionOptions, 'timeout' | 'tells' | 'ring' | 'onBeat' | 'onLost'> {
  readonly keys?: KeyRing | undefined;
  readonly patience?: DiskPatience;
  /** From one look for users whom nobody uses to the next, in ms. */
  readonly look?: number;
  /** For tests: as `atOnce` of a change of keys. */
  readonly keysAtOnce?: number;
}

/** Documents in PostgreSQL, of which each belongs to one node at a time (060). Bytes that are handed over are copied at once. */
export class PostgresStore implements Store {
  readonly revocations: StoredRevocations;
  readonly #options: PostgresStoreOptions;
  readonly #session: Session;
  readonly #owned: Owned;
  readonly #changes: Changes;
  readonly #core: StoreCore<PostgresJob>;
  readonly #vaults: Vaults;
  readonly #keyChange: KeyChange | null;
  readonly #stop = new AbortController();
  #loads = 0;
  #notes: Promise<unknown> = Promise.resolve();
  #reopening: Promise<void> | null = null;
  #closing: Promise<void> | null = null;

  private constructor(options: PostgresStoreOptions) {
    this.#options = options;
    this.#vaults = options.keys === undefined ? plainVaults : new CipherVaults(options.keys);
    const { patience = POSTGRES_PATIENCE } = options;
    this.#session = new Session({
      ...options,
      timeout: patience.timeout,
      tells: () => this.#owned.told,
      ring: (used) => this.#keyChange?.ringFor(used) ?? this.#vaults.ring,
      onBeat: (answered) => this.#changes.follow(answered),
      onLost: (cause) => this.#core.giveUp(cause),
    });
    this.#keyChange =
      this.#vaults instanceof CipherVaults
        ? new KeyChange({
            session: this.#session,
            vaults: this.#vaults,
            idle: () => this.#core.pending.allSettled(),
            atOnce: options.keysAtOnce,
          })
        : null;
    this.revocations = new StoredRevocations(this.#session, options);
    this.#owned = new Owned(this.#session, this.#vaults);
    this.#changes = new Changes(this.#session, this.#owned, {
      ...options,
      patience,
      reopen: () => {
        this.#reopening = this.#reopen();
      },
    });
    this.#core = this.#changes.core;
  }

  /** Rejects with a sentence that names cause and cure. */
  static async open(options: PostgresStoreOptions): Promise<PostgresStore> {
    const store = new PostgresStore(options);
    try {
      await store.#session.begin();
    } catch (error) {
      await store.close(); // a connection that was lost meanwhile would be made anew without end
      throw error;
    }
    store.#look();
    return store;
  }

  get state(): StoreState {
    return this.#core.state;
  }

  get generation(): number {
    return this.#core.generation;
  }

  get beat(): Beat {
    return this.#session.node.beats;
  }

  async load(user: UserId): Promise<StoredDocument> {
    const settled = this.#core.settled(user); // by now: what is handed over later may wait for this turn
    if (this.#loads >= MAX_LOADS) throw new SyncError('STORE_UNAVAILABLE');
    this.#loads += 1;
    try {
      return await this.#owned.inTurn(user, () => settled.then(() => this.#read(user)));
    } finally {
      this.#loads -= 1;
    }
  }

  commit(user: UserId, commit: Commit): Promise<void> {
    return this.#changes.make(user, (held) => plans.planCommit(user, held, commit));
  }

  compact(user: UserId, snapshot: Snapshot): Promise<void> {
    return this.#changes.make(user, (held) => plans.planSnapshot(user, held, snapshot));
  }

  prune(user: UserId, upTo: number, deletions: readonly Deletion[]): Promise<void> {
    return this.#changes.make(user, (held) => plans.planPruning(user, held, upTo, deletions));
  }

  putToRest(user: UserId, row: RestRow, view?: Uint8Array): Promise<void> {
    return this.#changes.make(user, (held) => plans.planRest(user, held, row, view));
  }

  saveDevices(user: UserId, devices: ReadonlyMap<DeviceKey, Uint8Array | null>): Promise<void> {
    const copy = new Map([...devices].map(([key, state]) => [key, state && new Uint8Array(state)]));
    return this.#changes.makeUnloaded(user, (held) => plans.planDevices(user, held, copy));
  }

  noteSeen(user: UserId, seen: Uint8Array): Promise<void> {
    const copy = new Uint8Array(seen);
    return this.#changes.makeUnloaded(user, (held) => plans.planSeen(user, held, copy));
  }

  notePlainVisit(user: UserId, at: number): Promise<void> {
    return this.#changes.makeUnloaded(user, (held) => plans.planPlainVisit(user, held, at));
  }

  async history(user: UserId, range: { below: number; limit: number }): Promise<readonly HistoryRow[]> {
    const { below, limit } = range;
    const values = [user, Math.min(below, Number.MAX_SAFE_INTEGER), Math.min(limit, Number.MAX_SAFE_INTEGER)];
    const found = await this.#found(user, { name: 'history', text: HISTORY, values });
    return reading.historyOf(found, this.#vaults, range);
  }

  async deletions(user: UserId): Promise<readonly Deletion[]> {
    return reading.deletionsOf(await this.#kept(user, ['deleted', 'key']), this.#vaults);
  }

  async rest(user: UserId): Promise<RestRow | null> {
    const found = await this.#kept(user, ['rest', 'key']);
    try {
      return reading.restOf(found, reading.vaultOf(found, this.#vaults));
    } catch {
      return null; // a load says what is wrong
    }
  }

  async whole(user: UserId, revision: number): Promise<Uint8Array | null> {
    const noted = await this.rest(user);
    if (!noted?.isWhole || noted.revision !== revision) return null;
    const found = await this.#found(user, this.#loading(user));
    const vault = reading.vaultOf(found, this.#vaults);
    const rest = reading.restOf(found, vault);
    if (!rest?.isWhole || rest.revision !== revision) return null; // changed since
    return (await reading.documentOf(found, vault)).updates[0] ?? null;
  }

  async view(user: UserId, revision: number): Promise<Uint8Array | null> {
    const found = await this.#kept(user, ['view', 'key']);
    return reading.viewOf(found, reading.vaultOf(found, this.#vaults), revision);
  }

  async device(user: UserId, device: DeviceKey): Promise<Uint8Array | null> {
    return reading.deviceOf(await this.#kept(user, ['device', 'key']), this.#vaults, device);
  }

  async former(user: UserId): Promise<Former> {
    return reading.formerOf(await this.#kept(user, ['tombstone', 'epoch', 'key']), this.#vaults);
  }

  async plainVisit(user: UserId): Promise<number | null> {
    return reading.plainVisitOf(await this.#kept(user, ['plain']));
  }

  async seen(user: UserId): Promise<Uint8Array | null> {
    return reading.seenOf(await this.#kept(user, ['seen', 'key']), this.#vaults);
  }

  async users(after: UserId | null, limit: number): Promise<readonly UserId[]> {
    this.#core.mustWork();
    const answers = await this.#session.connection.read({
      name: 'users',
      text: USERS,
      values: [after, limit],
    });
    return answers.map(({ user_id }) => user_id as UserId);
  }

  async check(user: UserId): Promise<Pick<StoredDocument, 'revision' | 'historyFrom'>> {
    const found = await this.#found(user, this.#loading(user));
    const vault = reading.vaultOf(found, this.#vaults);
    const { revision, historyFrom } = await reading.documentOf(found, vault);
    return { revision, historyFrom };
  }

  erase(user: UserId, tombstone: Uint8Array): Promise<void> {
    return this.#changes.erase(user, tombstone);
  }

  async changeKeys(ring: KeyRing): Promise<void> {
    await this.#keyChange?.change(ring);
  }

  async note(name: string): Promise<Uint8Array | null> {
    const [answer] = await this.#session.connection.read({ text: NOTE, values: [name] });
    const sealed = answer?.value;
    return sealed instanceof Uint8Array ? (unseal(new Uint8Array(sealed), noteKey(name)) ?? null) : null;
  }

  setNote(name: string, value: Uint8Array): Promise<void> {
    const values = [name, seal(value, noteKey(name))];
    const put = async (): Promise<void> => {
      await this.#session.connection.change({ text: PUT_NOTE, values });
    };
    const noted = this.#notes.then(put, put);
    this.#notes = noted.catch(() => {});
    return noted;
  }

  confirm(user: UserId): Promise<void> {
    return this.#changes.confirm(user);
  }

  async owner(user: UserId, relieved?: string): Promise<Owner | null> {
    this.#core.mustWork();
    try {
      if (!(await this.#owned.take(user, relieved))) await this.confirm(user);
      return null;
    } catch (error) {
      const owner = isMoved(error) ? await this.#owned.ownerOf(user) : null;
      if (owner === null) throw error;
      return owner;
    }
  }

  lost(users: readonly UserId[]): Promise<readonly UserId[]> {
    return this.#owned.lostOf(users);
  }

  nodes(): Promise<readonly NodeState[]> {
    const { connection, node } = this.#session;
    return node.all(connection);
  }

  async gone(nodes: readonly string[]): Promise<readonly string[]> {
    const rows = await this.#session.connection.read({ name: 'gone', text: GONE, values: [nodes] });
    return rows.map(({ id }) => String(id));
  }

  forget(user: UserId): void {
    this.#owned.forget(user);
  }

  serve(documents: Documents): void {
    this.#owned.serve(documents);
  }

  letGo(user: UserId): Promise<void> {
    return this.#changes.letGo(user);
  }

  onState(listener: (state: StoreState, cause?: unknown) => void): () => void {
    return this.#core.onState(listener);
  }

  close(): Promise<void> {
    this.#closing ??= this.#shut();
    return this.#closing;
  }

  async #read(user: UserId): Promise<StoredDocument> {
    const { generation } = this;
    const known = this.#owned.get(user);
    const claim = known ?? (await this.#owned.claim(user));
    const found = reading.foundIn(user, await this.#session.connection.read(this.#loading(user)));
    this.#core.mustStill(generation);
    if (known !== this.#owned.get(user)) throw new SyncError('STORE_UNAVAILABLE');
    const held = this.#held(found, claim);
    const document = await reading.documentOf(found, held.vault);
    this.#core.mustStill(generation);
    if (held !== this.#owned.get(user)) throw new SyncError('STORE_UNAVAILABLE');
    held.isLoaded = true;
    return document;
  }

  #held(found: reading.Found, claim: Claim): Held {
    try {
      return this.#owned.hold(found, claim);
    } catch (error) {
      this.#owned.lose(found.user);
      throw error;
    }
  }

  #loading(user: UserId): { name: string; text: string; values: unknown[] } {
    return { name: 'load', text: LOAD, values: [user] };
  }

  #kept(user: UserId, kinds: readonly string[]): Promise<reading.Found> {
    return this.#found(user, { name: 'kept', text: KEPT, values: [user, kinds] });
  }

  /** When everything of this user that was handed over is written. */
  async #found(
    user: UserId,
    query: { name: string; text: string; values: unknown[] },
  ): Promise<reading.Found> {
    await this.#core.settled(user);
    return reading.foundIn(user, await this.#session.connection.read(query));
  }

  #look(): void {
    const look = () => void this.#owned.letGoIdle((user) => this.letGo(user)).catch(() => {}); // the next one does
    const looking = setInterval(look, this.#options.look ?? LOOK).unref();
    this.#stop.signal.addEventListener('abort', () => clearInterval(looking));
  }

  #reopen(): Promise<void> {
    const attempt = async (): Promise<void> => {
      if (await this.#session.reopen()) await this.#owned.loseMissing();
      else this.#owned.loseAll();
      await this.revocations.lookAnew(); // it may be fenced since it had not taken one
      this.#core.recovered();
    };
    const isWanted = (): boolean => this.state === 'reopening';
    return tryUntil(attempt, isWanted, this.#stop.signal, { longest: LONGEST_DELAY, ...this.#options });
  }

  async #shut(): Promise<void> {
    this.#core.setState('closed');
    this.#stop.abort();
    this.revocations.close();
    await this.#core.idle();
    await this.#reopening;
    await this.#session.close();
  }
}
