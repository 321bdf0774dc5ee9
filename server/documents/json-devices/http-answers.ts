/** Answers to a device over HTTP (H1, H2): whether one may have left that nothing stored tells of (L4). */
import type { State } from './seen-ranges-saved.js';

export class HttpAnswers {
  /** When the last one was asked for, or left, as far as is known. */
  #lastAt: number | null;
  /** That are being made, or wait for the disk. */
  #underWay = 0;
  /** Whether what is stored says that some may have left since. */
  #isStoredOpen = false;

  constructor(saved: Pick<State, 'httpAt'> | null) {
    this.#lastAt = saved?.httpAt ?? null;
  }

  get lastAt(): number | null {
    return this.#lastAt;
  }

  /** Whether one may still leave. */
  get areUnderWay(): boolean {
    return this.#underWay > 0;
  }

  /** Whether what is stored says that some may have left since, and all have that ever will. */
  get areToClose(): boolean {
    return this.#isStoredOpen && !this.areUnderWay;
  }

  /** From here on, until `end`, one may leave. */
  begin(): void {
    this.#underWay++;
  }

  /** It has left, or never will. */
  end(): void {
    this.#underWay--;
  }

  /**
   * One was asked for, or leaves.
   *
   * @param isNew it shows something that the device was not sent before
   * @returns whether that is to be saved at once: where one was saved as under way, the next ones need not be
   */
  note(isNew: boolean, now: number): boolean {
    this.#lastAt = now;
    return isNew && !this.#isStoredOpen;
  }

  /** To be saved now. */
  toJSON(now: number): Pick<State, 'httpAt' | 'answeredSince'> {
    this.#isStoredOpen = this.areUnderWay;
    return { httpAt: this.#lastAt, answeredSince: this.areUnderWay ? now : null };
  }
}
