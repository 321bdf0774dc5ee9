/** How long a test waits for what has to happen, in ms; a machine that is busy otherwise may need more. */
export const PATIENCE = Number(process.env.TEST_PATIENCE ?? 15_000);

/** By so much what a rule bounds may seem longer where the machine is busy and looks late, in ms. */
export const LATENESS = Math.max(1_000, (PATIENCE - 15_000) / 10);

/** This process does nothing for so long, in ms. */
export const stall = (time: number): void =>
  void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, time);

/** Rejects with the sentence of `what` when the promise takes longer than `ms`. */
export function inTime<T>(promise: Promise<T>, what: () => string, ms = PATIENCE): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what()} took longer than ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Something that changes, and can be waited for: whoever changes it calls `changed`. */
export class Watched {
  readonly #waiting = new Set<() => void>();

  changed(): void {
    for (const check of [...this.#waiting]) check();
  }

  /** Resolves with the first value of `look` that is not null, undefined or false; looks at each change. */
  async until<T>(look: () => T | null | undefined | false, what: () => string, ms = PATIENCE): Promise<T> {
    let stop = (): void => {};
    const found = new Promise<T>((resolve, reject) => {
      const check = (): void => {
        try {
          const value = look();
          if (value !== null && value !== undefined && value !== false) resolve(value);
        } catch (error) {
          reject(error);
        }
      };
      this.#waiting.add(check);
      stop = () => void this.#waiting.delete(check);
      check();
    });
    return inTime(found, what, ms).finally(() => stop());
  }
}
