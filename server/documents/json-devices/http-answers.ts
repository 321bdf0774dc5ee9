/** Answers to a device over HTTP (H1, H2): when which was sent, and whether one may have that nothing stored tells of (L4). */
import { BoundedMap } from '../../bounded-map.js';
import type { State } from './seen-ranges-saved.js';

const MAX_ANSWERS = 16;

/** An answer that shows a revision. */
interface Sent {
  readonly at: number;
  /** It showed something that the device had not been sent before. */
  readonly isNew: boolean;
  /** It had the records: the device may have made its copy anew of it. */
  readonly isWhole: boolean;
}

type Shows = Omit<Sent, 'at'>;
type Saved = Pick<State, 'httpAt' | 'answeredSince' | 'answered'>;

export class HttpAnswers {
  /** When the last one was asked for, or left, as far as is known. */
  #lastAt: number | null;
  /** That are being made, or wait for the disk. */
  #underWay = 0;
  /** Whether what is stored says that some may have left since. */
  #isStoredOpen = false;
  /** By their revisions: of each the last one before the device named it, since any may be lost. */
  readonly #sent = new BoundedMap<number, Sent>({ most: MAX_ANSWERS });
  /** Revisions of which what is stored says when they were sent. */
  #stored: ReadonlySet<number>;

  constructor(saved: Saved | null) {
    this.#lastAt = saved?.httpAt ?? null;
    // Where one may have left since, it may have been one of these once more.
    const answered = (saved?.answeredSince === null && saved.answered) || [];
    for (const [at, revision] of answered) this.#sent.add(revision, { at, isNew: true, isWhole: true });
    this.#stored = new Set(this.#sent.keys());
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

  /** Whether it was handed to the store that one is: of the next ones, nothing need be saved for that. */
  get areMarked(): boolean {
    return this.#isStoredOpen;
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
   * @param isRead the device has named it, or something later
   * @returns whether it has to be durable before that one is under way
   */
  note(revision: number, { isNew, isRead }: { isNew: boolean; isRead: boolean }, now: number): boolean {
    this.#lastAt = now;
    const isOnceMore = !isRead && this.#stored.has(revision);
    return isNew || isOnceMore;
  }

  /**
   * One leaves.
   *
   * @param isNamed the device has named it: what it has is from one before
   */
  sent(revision: number, { isNamed, ...shows }: Shows & { readonly isNamed: boolean }, now: number): void {
    const before = this.#sent.get(revision);
    const isFirst = before === undefined || (shows.isWhole && !before.isWhole);
    if (!isNamed || isFirst) this.#sent.add(revision, { at: now, ...shows });
  }

  /** When the one was sent that the device has, at the latest; `undefined`: not known. */
  sentAt(revision: number): number | undefined {
    return this.#sent.get(revision)?.at;
  }

  /** The same, where that one had the records. */
  wholeSentAt(revision: number): number | undefined {
    const sent = this.#sent.get(revision);
    return sent?.isWhole === true ? sent.at : undefined;
  }

  /**
   * To be saved now. One that showed nothing new is not: a device that asks without a tag would cost a write each time.
   *
   * @param read up to here, the device has read everything
   */
  toJSON(now: number, read: number): Saved {
    const stored = [...this.#sent].filter(([revision, { isNew }]) => isNew && revision > read);
    this.#stored = new Set(stored.map(([revision]) => revision));
    this.#isStoredOpen = this.areUnderWay;
    return {
      httpAt: this.#lastAt,
      answeredSince: this.areUnderWay ? now : null,
      answered: stored.map(([revision, { at }]) => [at, revision]),
    };
  }
}
