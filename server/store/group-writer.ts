import { setTimeout as sleep } from 'node:timers/promises';

/** Something to be written; `size` in bytes counts towards the limit of a batch. */
export interface Job {
  readonly size: number;
  readonly resolve: () => void;
  readonly reject: (cause: unknown) => void;
}

/** A batch is held in memory twice while it is written, and everybody in it waits for all of it. */
const MAX_BATCH = 16 * 1024 * 1024;

/**
 * Group commit: one batch is written at a time, and everything that came meanwhile goes into the next one (P2).
 * After a failure it takes nothing until `resume`.
 */
export class GroupWriter<J extends Job> {
  private queue: J[] = [];
  private inFlight: readonly J[] = [];
  private running: Promise<void> | null = null;
  private failed = false;
  private readonly interval: number;
  private readonly write: (jobs: readonly J[]) => Promise<void>;
  private readonly onFailure: (jobs: readonly J[], cause: unknown) => void;

  /**
   * `onFailure` gets all that was in flight or queued; it has to reject each. A batch begins at the earliest
   * `interval` ms after the one before: an fsync costs as much CPU as several updates, so under load it pays to
   * let some come together. What comes after a pause is written at once.
   */
  constructor(
    write: (jobs: readonly J[]) => Promise<void>,
    onFailure: (jobs: readonly J[], cause: unknown) => void,
    interval = 0,
  ) {
    this.interval = interval;
    this.write = write;
    this.onFailure = onFailure;
  }

  add(job: J): void {
    this.queue.push(job);
    this.running ??= this.run();
  }

  /** Fails what is in flight or queued; what becomes of the batch after all is of no account any more. */
  giveUp(cause: unknown): void {
    if (!this.failed) this.fail(this.inFlight, cause);
  }

  /** What was handed over since the failure, by who had begun before, is written now. */
  resume(): void {
    this.failed = false;
    if (this.queue.length > 0) this.running ??= this.run();
  }

  /** Resolves when nothing is queued or in flight. */
  async idle(): Promise<void> {
    while (this.running !== null) await this.running;
  }

  private async run(): Promise<void> {
    await Promise.resolve(); // what is added in the same tick goes into the first batch
    while (this.queue.length > 0 && !this.failed) {
      const began = performance.now();
      await this.writeNext();
      const rest = this.interval - (performance.now() - began);
      if (rest > 0 && !this.failed) await sleep(rest);
    }
    this.running = null;
  }

  private async writeNext(): Promise<void> {
    const jobs = this.take();
    this.inFlight = jobs;
    try {
      await this.write(jobs);
    } catch (cause) {
      if (this.inFlight === jobs) this.fail(jobs, cause);
      return;
    }
    if (this.inFlight !== jobs) return; // given up
    this.inFlight = [];
    for (const job of jobs) job.resolve();
  }

  private fail(jobs: readonly J[], cause: unknown): void {
    this.failed = true;
    const all = [...jobs, ...this.queue];
    this.queue = [];
    this.inFlight = [];
    this.onFailure(all, cause);
  }

  private take(): J[] {
    let size = 0;
    const end = this.queue.findIndex((job, index) => {
      size += job.size;
      return index > 0 && size > MAX_BATCH;
    });
    return this.queue.splice(0, end === -1 ? this.queue.length : end);
  }
}
