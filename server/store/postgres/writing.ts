/** Sends batches, and tells those whose changes were not taken. */
import { SyncError } from '../../errors.js';
import { changesOf, type DocumentChange, questionOf, statementOf } from './batch.js';
import { codeOf } from './failures.js';
import { Moved } from './moved.js';
import type { Owned } from './owned.js';
import type { PostgresJob } from './plan.js';
import type { Session } from './session.js';

export class Writing {
  readonly #session: Session;
  readonly #owned: Owned;

  constructor(session: Session, owned: Owned) {
    this.#session = session;
    this.#owned = owned;
  }

  /** Rejects where nobody can tell what is stored. */
  async write(all: readonly PostgresJob[]): Promise<void> {
    const jobs = all.filter(({ held }) => held.lost === null);
    // Handed over while one before it was written, which was refused: it would leave a gap.
    for (const { held, reject } of all) if (held.lost !== null) reject(held.lost);
    const changes = changesOf(jobs);
    try {
      await this.#send(changes, jobs);
    } catch (cause) {
      if (!isOfItsValues(cause)) throw cause;
      // Nothing of the statement is stored, and one user's values must not keep the others from being saved.
      for (const change of changes) await this.#sendAlone(change, jobs);
    }
  }

  async #sendAlone(change: DocumentChange, jobs: readonly PostgresJob[]): Promise<void> {
    try {
      await this.#send([change], jobs);
    } catch (cause) {
      if (!isOfItsValues(cause)) throw cause;
      this.#refuse(change, jobs, cause);
    }
  }

  async #send(all: readonly DocumentChange[], jobs: readonly PostgresJob[]): Promise<void> {
    const { node } = this.#session;
    const [changes, asked] = [true, false].map((is) => all.filter(({ isChange }) => isChange === is));
    if (changes?.length) await this.#ask(statementOf(node.id, changes), changes, jobs);
    if (asked?.length) await this.#ask(questionOf(node.id, asked), asked, jobs);
  }

  /** The answer names those of whom it holds. */
  async #ask(
    statement: ReturnType<typeof statementOf>,
    changes: readonly DocumentChange[],
    jobs: readonly PostgresJob[],
  ): Promise<void> {
    const { rows } = await this.#session.connection.write(statement);
    const held = new Set(rows.map(({ doc }) => Number(doc)));
    for (const change of changes) {
      if (!held.has(change.held.doc)) this.#refuse(change, jobs, new Moved());
      else if (change.isChange) change.held.version += 1;
    }
  }

  /** What is rejected here is not resolved with the rest of its batch. */
  #refuse({ held }: DocumentChange, jobs: readonly PostgresJob[], cause: unknown): void {
    const error = new SyncError('NOT_SAVED', undefined, { cause });
    for (const job of jobs) {
      if (job.held !== held) continue;
      this.#owned.lose(job.user, held, cause instanceof Moved ? undefined : error);
      job.reject(error);
    }
  }
}

/** "Data exception", "integrity constraint violation": the statement was refused, and would be again. */
const isOfItsValues = (cause: unknown): boolean => /^2[23]/.test(codeOf(cause));
