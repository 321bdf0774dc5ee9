/** One task in a worker of its own, with a limit of memory and of time. */
import { Worker } from 'node:worker_threads';

export class WorkerTask<Outcome> {
  readonly #worker: Worker;

  /** @param memory that it may use, in bytes */
  constructor(file: 'intake/dry-run-worker' | 'epochs/rewriting-worker', task: unknown, memory: number) {
    this.#worker = startWorker(file, task, memory);
  }

  /** What the worker answers; `null` where it fails, or takes longer than so many ms. It has ended by then. */
  async outcome(timeout: number): Promise<Outcome | null> {
    const outcome = await this.#answer(timeout);
    await this.#worker.terminate();
    return outcome;
  }

  end(): void {
    void this.#worker.terminate();
  }

  #answer(timeout: number): Promise<Outcome | null> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(null), timeout);
      const end = (outcome: Outcome | null) => {
        clearTimeout(timer);
        resolve(outcome);
      };
      this.#worker.once('message', end);
      this.#worker.once('error', () => end(null));
      this.#worker.once('exit', () => end(null));
    });
  }
}

function startWorker(file: string, task: unknown, memory: number): Worker {
  const resourceLimits = {
    maxOldGenerationSizeMb: Math.ceil(memory / 2 ** 20),
    maxYoungGenerationSizeMb: 16,
  };
  const options = { workerData: task, resourceLimits, env: {}, stdout: true, stderr: true };
  const isBuilt = import.meta.url.endsWith('.js');
  const url = new URL(`./${file}.${isBuilt ? 'js' : 'ts'}`, import.meta.url);
  if (isBuilt) return new Worker(url, options);
  // From the sources, which Node can't load by itself.
  const load = `import('tsx/esm/api').then(({ register }) => (register(), import(${JSON.stringify(url.href)})))`;
  return new Worker(load, { ...options, eval: true });
}
