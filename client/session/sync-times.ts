import type { Clock } from '../platform/platform.js';
import type { DeviceSettings } from './device-settings.js';

/** While a user types, everything is in step many times a second: the time is stored at most this often, in ms. */
const PAUSE = 5_000;

/** Stores when a user was last in step, soon after: the app may be killed, and should know at its next start. */
export class SyncTimes {
  readonly #clock: Clock;
  #next: { readonly settings: DeviceSettings; readonly userId: string; readonly at: number } | null = null;
  #endPause: (() => void) | null = null;
  #saved: Promise<void> = Promise.resolve();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  note(settings: DeviceSettings, userId: string, at: number): void {
    this.#next = { settings, userId, at };
    if (this.#endPause === null) this.#save();
  }

  /** Resolves when what was noted is stored, or can't be. */
  flush(): Promise<void> {
    this.#endPause?.();
    this.#endPause = null;
    this.#write();
    return this.#saved;
  }

  /** What was noted is of no interest any more. */
  forget(): Promise<void> {
    this.#next = null;
    return this.flush();
  }

  #save(): void {
    this.#write();
    this.#endPause = this.#clock.after(PAUSE, () => {
      this.#endPause = null;
      if (this.#next !== null) this.#save();
    });
  }

  #write(): void {
    if (this.#next === null) return;
    const { settings, userId, at } = this.#next;
    this.#next = null;
    this.#saved = this.#saved.then(() => settings.saveLastSyncedAt(userId, at)).catch(() => {}); // an older one is shown later
  }
}
