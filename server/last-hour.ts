/** How the server did in the last hour, for the admin page: one point each ten seconds, the oldest go. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Metrics } from './metrics.js';

export interface Point {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly native: number;
  readonly json: number;
  /** A second. */
  readonly edits: number;
  /** Of all commits since the point before, in ms: half took less, and 99 of 100. */
  readonly commitHalf: number;
  readonly commitMost: number;
  /** Bytes. */
  readonly memory: number;
  readonly heap: number;
  /** 99 of 100 turns of the event loop came with less delay, in ms. */
  readonly delay: number;
}

interface Sources {
  readonly metrics: Pick<Metrics, 'commits' | 'commitTime'>;
  readonly connections: () => Readonly<Record<'yjs' | 'json', number>>;
  readonly now: () => number;
}

/** In ms. */
export const POINT_EVERY = 10_000;
const MOST_POINTS = 360;
/** Of the measuring timer, which is part of what it measures, in ms. */
const RESOLUTION = 20;
const NANOSECONDS_PER_MS = 1e6;

export class LastHour {
  readonly #sources: Sources;
  readonly #points: Point[] = [];
  readonly #delay = monitorEventLoopDelay({ resolution: RESOLUTION });
  readonly #timer: NodeJS.Timeout;
  readonly #listeners = new Set<(point: Point | null) => void>();
  #times: readonly number[];
  #saved: number;
  #at: number | null = null;

  constructor(sources: Sources) {
    this.#sources = sources;
    this.#times = sources.metrics.commitTime.counts;
    this.#saved = savedBy(sources);
    this.#delay.enable();
    this.#timer = setInterval(() => this.look(), POINT_EVERY).unref();
  }

  /** Oldest first. */
  get points(): readonly Point[] {
    return this.#points;
  }

  /** Calls with each new point, and with `null` at the end; returns what ends it. */
  onPoint(listener: (point: Point | null) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  look(): void {
    const point = this.#read();
    this.#points.push(point);
    if (this.#points.length > MOST_POINTS) this.#points.shift();
    for (const listener of this.#listeners) listener(point);
  }

  close(): void {
    clearInterval(this.#timer);
    for (const listener of [...this.#listeners]) listener(null);
    this.#delay.disable();
  }

  #read(): Point {
    const { metrics, connections, now } = this.#sources;
    const { yjs, json } = connections();
    const [at, saved, before] = [now(), savedBy(this.#sources), this.#times];
    const seconds = Math.max(at - (this.#at ?? at - POINT_EVERY), 1) / 1_000;
    const edits = (saved - this.#saved) / seconds;
    const delay = Math.max(0, this.#delay.percentile(99) / NANOSECONDS_PER_MS - RESOLUTION) || 0;
    this.#delay.reset();
    [this.#at, this.#saved, this.#times] = [at, saved, metrics.commitTime.counts];
    const { rss: memory, heapUsed: heap } = process.memoryUsage();
    const quantile = (share: number) => metrics.commitTime.quantile(share, before) * 1_000;
    return {
      at,
      native: yjs,
      json,
      edits,
      commitHalf: quantile(0.5),
      commitMost: quantile(0.99),
      memory,
      heap,
      delay,
    };
  }
}

const savedBy = ({ metrics }: Sources): number => metrics.commits.counts.saved ?? 0;
