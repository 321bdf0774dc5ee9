/** A value that tells when it is another one. */
export class Observable<T extends object> {
  readonly #listeners = new Set<() => void>();
  #current: T;

  constructor(value: T) {
    this.#current = value;
  }

  get current(): T {
    return this.#current;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  };

  set(changes: Partial<T>): void {
    this.#current = { ...this.#current, ...changes };
    for (const listener of this.#listeners) listener();
  }
}
