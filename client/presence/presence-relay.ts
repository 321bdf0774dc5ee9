import { safely } from '../views/safely.js';
import type { Presence, PresenceEntry } from './presence.js';

const NOBODY: readonly PresenceEntry[] = [];

/** The presence of whichever user is open; what was set is said again to the next one. */
export class PresenceRelay implements Presence {
  readonly #listeners = new Set<(value: readonly PresenceEntry[]) => void>();
  #presence: Presence | null = null;
  #state: Readonly<Record<string, unknown>> | null = null;
  #unsubscribe = (): void => {};

  get current(): readonly PresenceEntry[] {
    return this.#presence?.current ?? NOBODY;
  }

  subscribe(listener: (value: readonly PresenceEntry[]) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  set(state: Readonly<Record<string, unknown>> | null): void {
    this.#state = state;
    this.#presence?.set(state);
  }

  attach(presence: Presence | null): void {
    this.#unsubscribe();
    this.#presence = presence;
    this.#unsubscribe = presence?.subscribe(() => this.#tell()) ?? (() => {});
    if (this.#state !== null) presence?.set(this.#state);
    this.#tell();
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) safely(() => listener(this.current));
  }
}
