/** What is stored of a device's connections, now and by version 0.1.0. */
import { type Step, Steps } from './steps.js';

/** A time in which it was connected, or may have been. */
export interface Span {
  readonly startedAt: number;
  /** `null` where the server ended first, without a word. */
  readonly at: number | null;
  /** When the device had its first full sync, at the latest. */
  readonly syncedAt: number;
}

export interface State {
  readonly version: 2;
  readonly savedAt: number;
  readonly read: readonly Step[];
  readonly sent: readonly Step[];
  readonly flushed: readonly Step[];
  readonly spans: readonly Span[];
  readonly begins: number | null;
  readonly since: number;
  readonly repeatedUpTo: number;
  readonly lostUpTo: number;
  readonly httpAt: number | null;
  /** Since when answers over HTTP may have left that `sent` does not tell of; not there in what earlier versions saved. */
  readonly answeredSince?: number | null;
  /** When answers were sent that it may name yet; not there in what earlier versions saved. */
  readonly answered?: readonly Step[];
  readonly openedAt: number | null;
  /** Not there in what earlier versions saved. */
  readonly lastOpenedAt?: number | null;
}

/** One record per connection, the last sixteen. */
interface EarlierState {
  readonly version?: undefined;
  readonly ended: readonly EarlierConnection[];
  readonly open: { readonly startedAt: number; readonly from: number } | null;
}

interface EarlierConnection {
  readonly startedAt: number;
  readonly at: number | null;
  readonly isHttp: boolean;
  readonly from: number;
  readonly to: number;
  readonly syncedAt: number;
  readonly repeatedUpTo: number;
  readonly begins: number;
  readonly read: readonly Step[];
}

export type SavedSeenRanges = State | EarlierState;

const FLUSH_TIME = 30_000;

export function upgraded(saved: SavedSeenRanges): State {
  if (saved.version === 2) return withAnswers(saved);
  const { ended, open } = saved;
  const [read, sent, flushed] = [new Steps('down'), new Steps('up'), new Steps('down')];
  for (const each of ended) {
    const { startedAt, at, from, to } = each;
    for (const step of each.read) read.add(...step);
    if (at !== null) read.add(at, from);
    sent.add(startedAt, to);
    const isLong = at !== null && (each.isHttp || at - startedAt >= FLUSH_TIME);
    if (isLong) flushed.add(startedAt + FLUSH_TIME, from);
  }
  const revisions = [
    ...ended.map(({ begins, from }) => Math.min(begins, from)),
    ...(open ? [open.from] : []),
  ];
  const http = ended.filter(({ isHttp }) => isHttp).map(({ startedAt }) => startedAt);
  const upTo = (revisions: readonly number[]) => Math.max(-1, ...revisions);
  return {
    version: 2,
    savedAt: Number.MAX_SAFE_INTEGER,
    read: read.toJSON(),
    sent: sent.toJSON(),
    flushed: flushed.toJSON(),
    spans: ended.map(({ startedAt, at, syncedAt }) => ({ startedAt, at, syncedAt })).sort(byStart),
    begins: revisions.length === 0 ? null : Math.min(...revisions),
    since: 0,
    repeatedUpTo: upTo(ended.map(({ repeatedUpTo }) => repeatedUpTo)),
    lostUpTo: upTo(ended.flatMap(({ at, to }) => (at === null ? [to] : []))),
    httpAt: http.length === 0 ? null : Math.max(...http),
    answeredSince: http.length === 0 ? null : Math.max(...http),
    openedAt: open?.startedAt ?? null,
  };
}

/** Earlier versions did not save whether an answer was still to leave. */
function withAnswers(saved: State): State {
  const { answeredSince, httpAt, savedAt } = saved;
  if (answeredSince !== undefined) return saved;
  return { ...saved, answeredSince: httpAt === null ? null : Math.max(httpAt, savedAt) };
}

const byStart = (a: Span, b: Span): number => a.startedAt - b.startedAt;
