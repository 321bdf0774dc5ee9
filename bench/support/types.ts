import type { Scope } from './scope.js';

export interface Benchmark {
  readonly name: string;
  readonly line: string;
  /** Name → what it does. */
  readonly options: Readonly<Record<string, string>>;
  /** How long it may take at most, in ms; then it is stopped. */
  longest(options: ReadonlySet<string>): number;
  /** Resolves with the exit code. */
  run(options: ReadonlySet<string>, scope: Scope): Promise<number>;
}
