import type {
  Commit,
  Deletion,
  Former,
  HistoryRow,
  RestRow,
  Snapshot,
  Store,
  StoredDocument,
  StoreState,
} from '../../server/store/store.js';
import type { DeviceKey, UserId } from '../../shared/names.js';
import { Watched } from './wait.js';

/** A store that passes everything on to another one, and tells what it was asked for. */
export class ObservedStore implements Store {
  readonly loads: UserId[] = [];
  /** Of whom it was looked up what is noted. */
  readonly lookUps: UserId[] = [];
  readonly forgotten: UserId[] = [];
  commits = 0;
  compactions = 0;
  prunes = 0;
  /** Records that were noted as JSON. */
  views = 0;
  /** How often devices were saved without their document. */
  deviceSaves = 0;
  /** How often it was noted, for the operator, which devices were there. */
  visits = 0;
  readonly #inner: Store;
  readonly #events = new Watched();
  #gate: Promise<void> = Promise.resolve();
  #told: Promise<void> = Promise.resolve();

  constructor(inner: Store) {
    this.#inner = inner;
  }

  get state(): StoreState {
    return this.#inner.state;
  }

  get generation(): number {
    return this.#inner.generation;
  }

  /** Loads wait until the function that it returns is called. */
  holdLoads(): () => void {
    let release = (): void => {};
    this.#gate = new Promise((resolve) => {
      release = resolve;
    });
    return release;
  }

  /** What is noted of documents is read, and told when the function that it returns is called. */
  holdRests(): () => void {
    let release = (): void => {};
    this.#told = new Promise((resolve) => {
      release = resolve;
    });
    return release;
  }

  /** Resolves when `look` says yes; looks at each call. */
  async until(look: () => boolean): Promise<void> {
    await this.#events.until(look, () => 'the store');
  }

  async load(user: UserId): Promise<StoredDocument> {
    this.loads.push(user);
    this.#events.changed();
    await this.#gate;
    return this.#inner.load(user);
  }

  commit(user: UserId, commit: Commit): Promise<void> {
    this.commits++;
    const done = this.#inner.commit(user, commit);
    this.#events.changed();
    return done;
  }

  compact(user: UserId, snapshot: Snapshot): Promise<void> {
    this.compactions++;
    this.#events.changed();
    return this.#inner.compact(user, snapshot);
  }

  history(user: UserId, range: { below: number; limit: number }): Promise<readonly HistoryRow[]> {
    return this.#inner.history(user, range);
  }

  prune(user: UserId, upTo: number, deletions: readonly Deletion[]): Promise<void> {
    this.prunes++;
    this.#events.changed();
    return this.#inner.prune(user, upTo, deletions);
  }

  putToRest(user: UserId, row: RestRow, view?: Uint8Array): Promise<void> {
    if (view !== undefined) this.views++;
    const noted = this.#inner.putToRest(user, row, view);
    this.#events.changed();
    return noted;
  }

  async rest(user: UserId): Promise<RestRow | null> {
    this.lookUps.push(user);
    this.#events.changed();
    const row = await this.#inner.rest(user);
    await this.#told;
    return row;
  }

  whole(user: UserId, revision: number): Promise<Uint8Array | null> {
    return this.#inner.whole(user, revision);
  }

  view(user: UserId, revision: number): Promise<Uint8Array | null> {
    return this.#inner.view(user, revision);
  }

  device(user: UserId, device: DeviceKey): Promise<Uint8Array | null> {
    return this.#inner.device(user, device);
  }

  saveDevices(user: UserId, devices: ReadonlyMap<DeviceKey, Uint8Array | null>): Promise<void> {
    this.deviceSaves++;
    return this.#inner.saveDevices(user, devices);
  }

  users(after: UserId | null, limit: number): Promise<readonly UserId[]> {
    return this.#inner.users(after, limit);
  }

  check(user: UserId): ReturnType<Store['check']> {
    return this.#inner.check(user);
  }

  former(user: UserId): Promise<Former> {
    return this.#inner.former(user);
  }

  plainVisit(user: UserId): Promise<number | null> {
    return this.#inner.plainVisit(user);
  }

  notePlainVisit(user: UserId, at: number): Promise<void> {
    return this.#inner.notePlainVisit(user, at);
  }

  seen(user: UserId): Promise<Uint8Array | null> {
    return this.#inner.seen(user);
  }

  noteSeen(user: UserId, seen: Uint8Array): Promise<void> {
    this.visits++;
    return this.#inner.noteSeen(user, seen);
  }

  note(name: string): Promise<Uint8Array | null> {
    return this.#inner.note(name);
  }

  setNote(name: string, value: Uint8Array): Promise<void> {
    return this.#inner.setNote(name, value);
  }

  erase(user: UserId, tombstone: Uint8Array): Promise<void> {
    return this.#inner.erase(user, tombstone);
  }

  deletions(user: UserId): Promise<readonly Deletion[]> {
    return this.#inner.deletions(user);
  }

  forget(user: UserId): void {
    this.forgotten.push(user);
    this.#inner.forget(user);
    this.#events.changed();
  }

  onState(listener: (state: StoreState, cause?: unknown) => void): () => void {
    return this.#inner.onState(listener);
  }

  close(): Promise<void> {
    return this.#inner.close();
  }
}
