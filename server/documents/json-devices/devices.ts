/** The JSON devices of one user. */
import type { DeviceKey, UserId } from '../../../shared/names.js';
import type { Origin } from '../changes.js';
import type { AwayDevice } from '../history/past-changes.js';
import type { RecordKey } from '../records/record-key.js';
import { DeviceState, STILL_THERE } from './device.js';
import { deviceKey, personOf } from './device-key.js';
import type { LiveWrite, WritesHeard } from './live-write.js';
import { RequestView } from './request-view.js';
import { type Served, SocketView } from './socket-view.js';

/** A device that asks again and again comes more often than this, by what is stored of when it was there last, in ms. */
const LATELY = 2 * STILL_THERE;

const NOBODY: Served = { answeredOverHttp() {} };

export class DeviceStates implements WritesHeard {
  readonly #owner: UserId;
  readonly #states = new Map<DeviceKey, DeviceState>();
  readonly #views = new Set<SocketView>();
  /** Of those that ask over HTTP; made with the first one. */
  #http: Map<DeviceKey, RequestView> | null = null;
  readonly #max: number;
  #gone: DeviceKey[] = [];

  /** @param max devices that are remembered */
  constructor(owner: UserId, max = Number.POSITIVE_INFINITY) {
    this.#owner = owner;
    this.#max = max;
  }

  /**
   * Takes what was saved, of devices of which nothing is known here.
   *
   * @param revision the user's revision as it was read
   */
  learn(saved: ReadonlyMap<DeviceKey, Uint8Array>, revision: number): void {
    for (const [key, bytes] of saved) {
      if (this.#states.has(key)) continue;
      this.#states.set(key, DeviceState.decode(key, this.#owner, bytes, revision));
    }
  }

  keyOf = (origin: Pick<Origin, 'device' | 'actor'>): DeviceKey => deviceKey(this.#owner, origin);

  has = (origin: Origin): boolean => this.#states.has(this.keyOf(origin));

  /** Lets go of what is saved, of devices that are not connected, nor being answered; returns whether any is left. */
  keepConnected(): boolean {
    for (const [key, view] of this.#http ?? []) if (!view.isAnswered) this.#http?.delete(key);
    for (const [key, { isConnected, http }] of this.#states)
      if (!isConnected && !http.areUnderWay && !this.#http?.has(key)) this.#states.delete(key);
    return this.#states.size > 0;
  }

  get keys(): DeviceKey[] {
    return [...this.#states.keys()];
  }

  /**
   * A device connects over a WebSocket.
   *
   * @param served by whom
   */
  connect(origin: Origin, now: number, revision: number, served: Served = NOBODY): SocketView {
    const state = this.#state(origin);
    const noteNewer = (at: number) => {
      for (const each of this.#viewsOf(state)) each.meanwhile(at);
    };
    for (const other of this.#viewsOf(state)) other.supersede({ now, revision }, noteNewer);
    const view = new SocketView(state, { now, revision }, this, served);
    view.device.connect(now, revision);
    this.#views.add(view);
    return view;
  }

  /** For its connections. */
  wroteLive(by: { readonly device: DeviceState }, record: RecordKey, own: LiveWrite): void {
    this.#http?.get(by.device.key)?.wroteLive(record, own);
    if (own.sent !== null) return;
    for (const each of this.#viewsOf(by.device)) if (each !== by) each.wroteElsewhere(record, own);
  }

  disconnect(view: SocketView, now: number): void {
    if (!this.#views.delete(view)) return;
    view.end(now);
    this.#http?.get(view.device.key)?.ended(view);
  }

  /** The device behind a request that comes now; one that did not name itself (`keep` is false) is forgotten after it. */
  overHttp(origin: Origin, now: number, keep = true): RequestView {
    const key = deviceKey(this.#owner, origin);
    if (!keep) return new RequestView(new DeviceState(key, this.#owner));
    this.#http ??= new Map();
    const view = this.#http.get(key) ?? this.#newView(this.#state(origin));
    this.#http.set(key, view);
    view.device.cameAt = now;
    return view;
  }

  /** The same, where it only reads; `null`: it is not remembered. */
  readOverHttp(origin: Origin, now: number): RequestView | null {
    return this.has(origin) || this.#hasRoomFor(origin, now) ? this.overHttp(origin, now) : null;
  }

  #newView(state: DeviceState): RequestView {
    return new RequestView(state, () => this.#viewsOf(state));
  }

  #viewsOf(state: DeviceState): SocketView[] {
    return [...this.#views].filter(({ device }) => device === state);
  }

  /** What has to go into a commit, `all` that is not saved yet, or only what is due. */
  take(now: number, which: 'due' | 'all'): ReadonlyMap<DeviceKey, Uint8Array | null> | undefined {
    const states = [...this.#states.values()].filter((state) =>
      which === 'due' ? state.isDue(now) : state.isChanged,
    );
    if (states.length === 0 && this.#gone.length === 0) return undefined;
    const gone = this.#gone.map((key) => [key, null] as const);
    this.#gone = [];
    return new Map<DeviceKey, Uint8Array | null>([
      ...gone,
      ...states.map((state) => [state.key, state.encode(now)] as const),
    ]);
  }

  get areConnected(): boolean {
    return this.#views.size > 0;
  }

  get hasUrgent(): boolean {
    for (const { isUrgent } of this.#states.values()) if (isUrgent) return true;
    return false;
  }

  /** Whether what is stored of some leaves open what they were sent, and that is known by now. */
  get areToClose(): boolean {
    for (const { isToClose } of this.#states.values()) if (isToClose) return true;
    return false;
  }

  /** The oldest revision that a live write of a connected device may be compared with. */
  liveFrom(now: number): number {
    return Math.min(...[...this.#views].map((view) => view.from(now) ?? Number.POSITIVE_INFINITY));
  }

  /** The oldest revision that any device may need for a merge that was met since. */
  neededFrom(metSince: number): number {
    const met = [...this.#states.values()].filter(
      ({ isConnected, metAt }) => isConnected || metAt >= metSince,
    );
    return Math.min(...met.map((state) => state.neededSince(metSince)));
  }

  /** What those may have been looking at that need something before a revision. */
  awayBefore(revision: number): AwayDevice[] {
    return [...this.#states.values()]
      .map(({ key, neededFrom, lastSeen }) => ({ key, from: neededFrom, to: lastSeen }))
      .filter(({ from }) => from < revision);
  }

  #state(origin: Origin): DeviceState {
    const key = deviceKey(this.#owner, origin);
    const known = this.#states.get(key);
    if (known !== undefined) return known;
    while (this.#states.size >= this.#max && this.#forgetOne(personOf(key))) {}
    const state = new DeviceState(key, this.#owner);
    this.#states.set(key, state);
    return state;
  }

  /**
   * Forgets the device that was away longest, of the person with the most devices: so a person who makes up ids
   * drives out no devices of others. When it comes again, it is a device that was never met (L8).
   */
  #forgetOne(newcomer: string): boolean {
    const { oldest } = this.#awayLongest(newcomer);
    if (oldest !== undefined) this.#forget(oldest);
    return oldest !== undefined;
  }

  /**
   * Whether one that only reads gets a place. Those that ask again and again would drive out each other in turns, each
   * time with a commit: so not where the one that was away longest was there lately, unless its person has more.
   */
  #hasRoomFor(origin: Origin, now: number): boolean {
    if (this.#states.size < this.#max) return true;
    const { oldest, most, own } = this.#awayLongest(personOf(this.keyOf(origin)));
    return oldest !== undefined && (now - lastHeardAt(oldest) >= LATELY || most > own + 1);
  }

  /** The device that was away longest, of the person with the most; how many that are, and how many of this person. */
  #awayLongest(person: string): { oldest: DeviceState | undefined; most: number; own: number } {
    const away = new Map<string, DeviceState[]>();
    for (const state of this.#states.values()) {
      if (state.isConnected) continue;
      const theirs = away.get(personOf(state.key)) ?? [];
      theirs.push(state);
      away.set(personOf(state.key), theirs);
    }
    const own = away.get(person) ?? [];
    let most = own;
    for (const theirs of away.values()) if (theirs.length > most.length) most = theirs;
    let [oldest] = most;
    for (const each of most) if (oldest && lastHeardAt(each) < lastHeardAt(oldest)) oldest = each;
    return { oldest, most: most.length, own: own.length };
  }

  #forget({ key }: DeviceState): void {
    this.#states.delete(key);
    this.#http?.delete(key);
    this.#gone.push(key);
  }
}

const lastHeardAt = ({ metAt, cameAt }: DeviceState): number => Math.max(metAt, cameAt);
