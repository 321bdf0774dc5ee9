/** What a benchmark opened is closed when it ends, however it ends: by itself, by an error, a signal or its time. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

type CleanUp = () => unknown;

export class Scope {
  readonly #cleanUps: CleanUp[] = [];

  /** Runs at the end; the last one first. */
  atEnd(cleanUp: CleanUp): void {
    this.#cleanUps.push(cleanUp);
  }

  async folder(): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), 'sync-bench-'));
    this.atEnd(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }));
    return folder;
  }

  async end(): Promise<void> {
    for (let last = this.#cleanUps.pop(); last !== undefined; last = this.#cleanUps.pop()) await last();
  }
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Runs a task with a scope, for `longest` ms at most. */
export async function withScope<T>(longest: number, task: (scope: Scope) => Promise<T>): Promise<T> {
  const scope = new Scope();
  const stopped = new Promise<never>((_, reject) => {
    const timer = setTimeout(() => reject(new Error(`Stopped after ${longest / 1000} s.`)), longest);
    scope.atEnd(() => clearTimeout(timer));
    for (const signal of SIGNALS) {
      const stop = () => reject(new Error(`Stopped by ${signal}.`));
      process.once(signal, stop);
      scope.atEnd(() => process.off(signal, stop));
    }
  });
  try {
    return await Promise.race([task(scope), stopped]);
  } finally {
    await scope.end();
  }
}
