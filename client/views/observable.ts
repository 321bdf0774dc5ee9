import type { Observable } from '../status.js';
import { safely } from './safely.js';

/** A value that tells when it is another one. */
export class ObservableValue<Value extends object> implements Observable<Value> {
  #current: Value;
  readonly #listeners = new Set<(value: Value) => void>();

  constructor(value: Value) {
    this.#current = value;
  }

  get current(): Value {
    return this.#current;
  }

  subscribe(listener: (value: Value) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Keeps the old object where every field is the same. */
  set(value: Value): void {
    if (isSame(this.#current, value)) return;
    this.#current = value;
    for (const listener of [...this.#listeners]) safely(() => listener(value));
  }
}

function isSame<Value extends object>(a: Value, b: Value): boolean {
  const keys = Object.keys(b) as (keyof Value)[];
  return keys.length === Object.keys(a).length && keys.every((key) => Object.is(a[key], b[key]));
}
