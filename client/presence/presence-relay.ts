import { ObservableValue } from '../views/observable.js';
import type { Presence, PresenceEntry } from './presence.js';

const NOBODY: readonly PresenceEntry[] = [];

/** The presence of whichever user is open; what was set is said again to the next one. */
export class PresenceRelay implements Presence {
  readonly #entries = new ObservableValue(NOBODY);
  #presence: Presence | null = null;
  #state: Readonly<Record<string, unknown>> | null = null;
  #unsubscribe = (): void => {};

  get current(): readonly PresenceEntry[] {
    return this.#entries.current;
  }

  subscribe(listener: (value: readonly PresenceEntry[]) => void): () => void {
    return this.#entries.subscribe(listener);
  }

  set(state: Readonly<Record<string, unknown>> | null): void {
    this.#state = state;
    this.#presence?.set(state);
  }

  attach(presence: Presence | null): void {
    this.#unsubscribe();
    this.#presence = presence;
    this.#unsubscribe = presence?.subscribe((entries) => this.#entries.set(entries)) ?? (() => {});
    if (this.#state !== null) presence?.set(this.#state);
    this.#entries.set(presence?.current ?? NOBODY);
  }
}
