/**
 * What is known of the JSON devices of a user whose document sleeps: of those that are connected, or ask over HTTP. It
 * is read and saved without the document, which takes it over when it wakes (L4).
 */
import type { UserId } from '../../../shared/names.js';
import { notSaved, type SyncError } from '../../errors.js';
import { type Store, takesWork } from '../../store/store.js';
import type { Origin } from '../changes.js';
import { CommitQueue } from '../commit-queue.js';
import { DeviceStates } from '../json-devices/devices.js';
import type { Safely } from '../safely.js';
import type { UserTurns } from '../turns/user-turns.js';

export interface RestingDevicesOptions {
  readonly store: Pick<Store, 'device' | 'saveDevices' | 'state'>;
  /** Of who is being erased, nothing may be saved. */
  readonly isErasing: (user: UserId) => boolean;
  readonly safely: Safely;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Devices that are remembered of a user. */
  readonly maxDevices: number;
}

export class DevicesAtRest {
  readonly states: DeviceStates;
  readonly #user: UserId;
  readonly #options: RestingDevicesOptions;
  readonly #queue: CommitQueue;
  readonly #failed: (error: SyncError) => void;
  #last: Promise<void> | null = null;

  /**
   * @param states those that are connected as the document falls asleep; `null`: none
   * @param failed something could not be saved
   */
  constructor(
    user: UserId,
    states: DeviceStates | null,
    options: RestingDevicesOptions,
    { turns, failed }: { turns: UserTurns; failed: (error: SyncError) => void },
  ) {
    this.#user = user;
    this.states = states ?? new DeviceStates(user, options.maxDevices);
    this.#options = options;
    this.#queue = new CommitQueue(options.safely, turns);
    this.#failed = failed;
  }

  /** Reads what is known of this device; resolves with whether there is anything. */
  async read(origin: Origin, revision: number): Promise<boolean> {
    const key = this.states.keyOf(origin);
    const saved = await this.#options.store.device(this.#user, key);
    if (saved !== null) this.states.learn(new Map([[key, saved]]), revision);
    return saved !== null;
  }

  /**
   * What must not wait, what has waited for long enough, or all that is not durable yet; while the store takes nothing,
   * it waits.
   */
  save(which: 'urgent' | 'due' | 'all'): void {
    const { store, isErasing, now } = this.#options;
    if (isErasing(this.#user) || !takesWork(store.state)) return;
    if (which === 'urgent' && !this.states.hasUrgent) return;
    // When nobody asks any more, what they were sent is forgotten here.
    const areToClose = which === 'due' && this.states.areToClose;
    const taken = this.states.take(now(), which === 'all' || areToClose ? 'all' : 'due');
    if (taken === undefined) return;
    this.follow(store.saveDevices(this.#user, taken));
  }

  /** Counts what was handed to the store as a commit. */
  follow(saving: Promise<void>): void {
    this.#last = saving;
    this.#queue.add({ done: () => {} });
    saving.then(
      () => this.#queue.settle(),
      (cause) => {
        const error = notSaved(cause);
        this.#queue.fail(error);
        this.#failed(error);
      },
    );
  }

  afterDurable(done: () => void, failed?: (error: SyncError) => void): void {
    this.#queue.after({ done, failed });
  }

  /** What is being saved; `null`: nothing. */
  get saving(): Promise<void> | null {
    return this.#queue.isEmpty ? null : this.#last;
  }
}
