/** The JSON devices of one user. */
import type { DeviceId } from '../../shared/names.js';
import { DeviceState } from './device-state.js';
import { DeviceView } from './device-view.js';
import { HttpDeviceView } from './http-device-view.js';

export class DeviceStates {
  readonly #states = new Map<DeviceId, DeviceState>();
  readonly #views = new Set<DeviceView>();
  readonly #http = new Map<DeviceId, HttpDeviceView>();
  #gone: DeviceId[] = [];

  /** @param revision the user's revision at load */
  constructor(saved: ReadonlyMap<DeviceId, Uint8Array>, revision: number) {
    for (const [id, bytes] of saved) this.#states.set(id, DeviceState.decode(id, bytes, revision));
  }

  get ids(): DeviceId[] {
    return [...this.#states.keys()];
  }

  /** A device connects over a WebSocket. */
  connect(id: DeviceId, now: number, revision: number): DeviceView {
    // One that is there still may be dead without anybody having noticed: what it had seen counts from now on.
    for (const other of this.#views) if (other.device.id === id) other.supersede(now);
    const view = new DeviceView(this.#state(id), now);
    view.device.connect(now, revision);
    this.#views.add(view);
    return view;
  }

  disconnect(view: DeviceView, now: number): void {
    if (this.#views.delete(view)) view.end(now);
  }

  /** The device behind a request; one that did not name itself (`keep` is false) is forgotten after it. */
  overHttp(id: DeviceId, revision: number, keep = true): HttpDeviceView {
    if (!keep) return new HttpDeviceView(new DeviceState(id), revision);
    const view = this.#http.get(id) ?? new HttpDeviceView(this.#state(id), revision);
    this.#http.set(id, view);
    return view;
  }

  /** What has to go into a commit, `all` that is not saved yet, or only what is due. */
  take(now: number, which: 'due' | 'all'): ReadonlyMap<DeviceId, Uint8Array | null> | undefined {
    const states = [...this.#states.values()].filter((state) =>
      which === 'due' ? state.isDue(now) : state.isChanged,
    );
    if (states.length === 0 && this.#gone.length === 0) return undefined;
    const gone = this.#gone.map((id) => [id, null] as const);
    this.#gone = [];
    return new Map<DeviceId, Uint8Array | null>([
      ...gone,
      ...states.map((state) => [state.id, state.encode(now)] as const),
    ]);
  }

  get hasUrgent(): boolean {
    for (const { isUrgent } of this.#states.values()) if (isUrgent) return true;
    return false;
  }

  /** The oldest revision that a live write of a connected device may be compared with. */
  liveFrom(now: number): number {
    return Math.min(...[...this.#views].map((view) => view.from(now) ?? Number.POSITIVE_INFINITY));
  }

  /** The oldest revision that any device may need for a merge; forgets those not met since `metSince`. */
  neededFrom(metSince: number): number {
    for (const state of this.#states.values()) {
      state.forgetBefore(metSince);
      if (state.isConnected || state.metAt >= metSince) continue;
      this.#states.delete(state.id);
      this.#http.delete(state.id);
      this.#gone.push(state.id);
    }
    return Math.min(...[...this.#states.values()].map(({ neededFrom }) => neededFrom));
  }

  #state(id: DeviceId): DeviceState {
    const state = this.#states.get(id) ?? new DeviceState(id);
    this.#states.set(id, state);
    return state;
  }
}
