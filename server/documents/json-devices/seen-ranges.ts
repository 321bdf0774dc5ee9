/**
 * What a device may have been looking at, at any time (L4, L5). Two things only grow while time goes by: what it has
 * read for certain, and what it may have received. Where a write was made between connections, over several of them
 * at once, or over HTTP, makes no difference to them; so no connection, however short, can be passed over.
 */
import { HttpAnswers } from './http-answers.js';
import { type SavedSeenRanges, type Span, upgraded } from './seen-ranges-saved.js';
import { type Step, Steps } from './steps.js';

/** A pong is the socket's word: the app has read the message by so many ms later (L4). */
export const APP_LAG = 2_000;

/** What a device may have been looking at when it made a write. */
export interface SeenRange {
  /** It had read everything up to here. */
  readonly from: number;
  /** It had received nothing beyond this. */
  readonly to: number;
  /** When the device's copy had last been made anew by a full sync. */
  readonly syncedAt: number;
  /** Whether everything of the device's own last writes is known. */
  readonly isComplete: boolean;
  /** Up to here the device's own writes may be sent again. */
  readonly repeatedUpTo: number;
}

/** A connection that ends now. */
export interface EndedNow {
  readonly startedAt: number;
  /** From when on nothing came from a queue any more; `null` if it did not last for that. */
  readonly flushedAt: number | null;
  /** From when on it may have had what. */
  readonly sent: readonly Step[];
  /** What it had read at the end; `null` where that is not known better than before. */
  readonly read: number | null;
  /** When its first full sync was received; `null` if that is not known. */
  readonly syncedAt: number | null;
  /** Revision of the last write that came from a queue. */
  readonly replayedUpTo: number;
}

/** So many are kept; two that follow each other become one, which says that it was there in between, too. */
const MAX_SPANS = 32;
/** A device may not have flushed its queue yet when its connection ended: as long as L5 waits for it. */
export const FLUSH_TIME = 30_000;
const NONE = -1;

export class SeenRanges {
  /** By when it had read what for certain: messages and their order prove it, whichever connection they came over. */
  readonly #read: Steps;
  /** From when on it may have had what. */
  readonly #sent: Steps;
  /** From when on everything that it wrote before it had read this has arrived. */
  readonly #flushed: Steps;
  #spans: Span[];
  /** What it was first sent; before it had read anything, it may have been looking at that. */
  #begins: number | null;
  /** Older writes than this can't be told anything about: an earlier version forgot that after `HISTORY_DAYS`. */
  #since: number;
  #repeatedUpTo: number;
  /** Up to here, its connections ended without a word: what crossed its own writes there is not known. */
  #lostUpTo: number;
  readonly http: HttpAnswers;
  /** What was stored left open what it was sent: until that is saved anew, the next load takes more for sent. */
  #isRounded: boolean;
  #openedAt: number | null = null;
  /** When the last one of those that are open now, or were open at once, began. */
  #lastOpenedAt: number | null = null;
  #count = 0;

  /** @param revision the user's revision at load: what did not end may have received all up to it */
  constructor(saved: SavedSeenRanges | null = null, revision = 0) {
    const state = saved === null ? null : upgraded(saved);
    this.#read = new Steps('down', state?.read);
    this.#sent = new Steps('up', state?.sent);
    this.#flushed = new Steps('down', state?.flushed);
    this.#spans = [...(state?.spans ?? [])];
    this.#begins = state?.begins ?? null;
    this.#since = state?.since ?? 0;
    this.#repeatedUpTo = state?.repeatedUpTo ?? NONE;
    this.#lostUpTo = state?.lostUpTo ?? NONE;
    this.http = new HttpAnswers(state);
    const answeredSince = state?.answeredSince ?? null;
    const openedAt = state?.openedAt ?? null;
    this.#isRounded = answeredSince !== null || openedAt !== null;
    if (answeredSince !== null) this.#sent.add(answeredSince, revision);
    if (state === null || openedAt === null) return;
    // What was to be read later than this was saved may have been lost to what came after that.
    this.#read.forgetAfter(state.savedAt);
    this.#endWithoutWord(openedAt, state.lastOpenedAt ?? openedAt, revision);
  }

  /** The last full sync of those that were open at once made its copy anew, if it arrived. */
  #endWithoutWord(startedAt: number, lastStartedAt: number, revision: number): void {
    this.#sent.add(startedAt, revision);
    this.#addSpan({ startedAt, at: null, syncedAt: lastStartedAt + APP_LAG });
    this.#repeatedUpTo = Math.max(this.#repeatedUpTo, revision);
    this.#lostUpTo = Math.max(this.#lostUpTo, revision);
  }

  get isConnected(): boolean {
    return this.#count > 0;
  }

  /** Whether it once was connected long enough for a queue to be flushed. */
  get hasFlushed(): boolean {
    return this.#flushed.last !== undefined;
  }

  /** When the last connection began, or an answer over HTTP went out; -1: neither is known. */
  get renewedAt(): number {
    return Math.max(this.#lastOpenedAt ?? NONE, this.http.lastAt ?? NONE);
  }

  /** The oldest revision that a write made since may have to be compared with, as things are at this time. */
  neededAt(time: number, since: number): number {
    return this.#flushed.at(time) ?? this.#read.at(since) ?? this.#begins ?? Number.POSITIVE_INFINITY;
  }

  /** The newest revision that it may have received by now; -1 if none. */
  get lastSeen(): number {
    return this.#sent.last?.[1] ?? NONE;
  }

  get #lastRead(): number {
    return this.#read.last?.[1] ?? NONE;
  }

  /** The newest revision that it may have received by then, over whatever is noted; -1 if none. */
  sentBy(time: number): number {
    return this.#sent.at(time) ?? NONE;
  }

  /** What it has read by now; `null`: nothing for certain. */
  readAt(now: number): number | null {
    return this.#read.at(now) ?? this.#begins;
  }

  /** @param revision what the first full sync will show at least */
  begin(now: number, revision: number): void {
    this.#count++;
    this.#begins ??= revision;
    this.#openedAt ??= now;
    this.#lastOpenedAt = now;
  }

  /** By `at`, it will have read everything up to this revision. */
  noteRead(at: number, revision: number): void {
    this.#read.add(at, revision);
  }

  end(ended: EndedNow, now: number): void {
    this.#count--;
    if (this.#count === 0) this.#openedAt = null;
    this.note(ended, now);
  }

  /** What was sent over a connection until now. */
  note({ startedAt, flushedAt, sent, read, syncedAt, replayedUpTo }: EndedNow, now: number): void {
    const [first] = sent;
    if (first === undefined) return;
    this.#begins ??= first[1];
    for (const [at, revision] of sent) this.#sent.add(at, revision);
    this.#addSpan({ startedAt, at: now, syncedAt: syncedAt ?? now });
    if (flushedAt !== null) {
      this.#flushed.add(flushedAt, read ?? this.#begins);
      this.#repeatedUpTo = NONE;
    } else this.#repeatedUpTo = Math.max(this.#repeatedUpTo, replayedUpTo);
  }

  /** It will be answered over HTTP, with this revision or a later one. Returns whether that has to be durable before. */
  asked(revision: number, now: number): boolean {
    this.#begins ??= revision;
    const [isNew, isRead] = [revision > this.lastSeen, revision <= this.#lastRead];
    return this.http.note(revision, { isNew, isRead }, now);
  }

  /** The answer leaves. Returns the same, for one that was not told of before. */
  answered(revision: number, how: { isNamed: boolean; isWhole: boolean }, now: number): boolean {
    const isToMark = this.asked(revision, now);
    this.http.sent(revision, { isNew: revision > this.lastSeen, ...how }, now);
    this.#sent.add(now, revision);
    return isToMark;
  }

  /** Whether what is stored leaves open what it was sent, and that is known by now. */
  get isToClose(): boolean {
    return this.#isRounded || this.http.areToClose;
  }

  /** The device said over HTTP what it has, from an answer that was sent at this time. Returns whether that is news. */
  confirm(revision: number, sentAt: number): boolean {
    if (this.#lastRead >= revision) return false;
    this.#begins ??= revision;
    this.#sent.add(sentAt, revision);
    this.#read.add(sentAt, revision);
    this.#flushed.add(sentAt + FLUSH_TIME, revision);
    this.#addSpan({ startedAt: sentAt, at: sentAt, syncedAt: sentAt });
    return true;
  }

  /**
   * What the device may have been looking at when it made a write offline.
   *
   * @param madeAt by the server's clock; `null` where that is not known: then it was made after the last time at
   *   which everything had been flushed
   */
  seenBefore(madeAt: number | null, now: number): SeenRange | null {
    const [begins, first] = [this.#begins, this.#sent.first];
    const time = madeAt ?? now;
    if (begins === null || first === undefined || time < first[0] || time < this.#since) return null;
    const known = madeAt === null ? this.#flushed.at(now) : this.#read.at(madeAt);
    const from = known ?? begins;
    const to = Math.max(from, this.#sent.at(time) ?? from);
    const spans = this.#spans.filter(({ startedAt }) => startedAt <= time);
    return {
      from,
      to,
      syncedAt: Math.max(0, ...spans.map(({ syncedAt }) => syncedAt)),
      isComplete: from >= this.#lostUpTo || !spans.some(({ at }) => at === null),
      repeatedUpTo: this.#repeatedUpTo,
    };
  }

  /** Whether it certainly had no connection at that time. */
  isOfflineAt(time: number): boolean {
    const spans = this.#spans.filter(({ startedAt }) => startedAt <= time);
    // One that ended without a word was over when the next one began.
    return spans.every(({ at }, index) => (at === null ? index < spans.length - 1 : at <= time));
  }

  #addSpan(span: Span): void {
    // A connection is noted when a newer one begins, and once more at its end.
    this.#spans = [...this.#spans.filter(({ startedAt }) => startedAt !== span.startedAt), span];
    this.#spans.sort((a, b) => a.startedAt - b.startedAt);
    if (this.#spans.length <= MAX_SPANS) return;
    const [first, second, ...rest] = this.#spans as [Span, Span, ...Span[]];
    const at = first.at === null || second.at === null ? null : Math.max(first.at, second.at);
    const syncedAt = Math.max(first.syncedAt, second.syncedAt);
    this.#spans = [{ startedAt: first.startedAt, at, syncedAt }, ...rest];
  }

  /** To be saved now. */
  toJSON(now: number): SavedSeenRanges {
    this.#isRounded = false;
    return {
      version: 2,
      savedAt: now,
      read: this.#read.toJSON(),
      sent: this.#sent.toJSON(),
      flushed: this.#flushed.toJSON(),
      spans: this.#spans,
      begins: this.#begins,
      since: this.#since,
      repeatedUpTo: this.#repeatedUpTo,
      lostUpTo: this.#lostUpTo,
      ...this.http.toJSON(now, this.#lastRead),
      openedAt: this.#openedAt,
      lastOpenedAt: this.#openedAt === null ? null : this.#lastOpenedAt,
    };
  }
}
