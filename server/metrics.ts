/** What the server counts and measures, in the text format of Prometheus (O3). Never a user's id. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { ERRORS } from './errors.js';

/** One value, or one for each value of a label. */
type Reading = number | Readonly<Record<string, number>>;

interface About {
  readonly name: string;
  readonly help: string;
  /** Name of the label, where there is one. */
  readonly label?: string;
  /** Its values that are known before anything was counted: a rate needs the 0 that came before the 1. */
  readonly values?: readonly string[];
}

const PREFIX = 'telemed_';

function head({ name, help }: About, type: string): string[] {
  return [`# HELP ${PREFIX}${name} ${help}`, `# TYPE ${PREFIX}${name} ${type}`];
}

function lines({ name, label }: About, reading: Reading): string[] {
  if (typeof reading === 'number') return [`${PREFIX}${name} ${reading}`];
  return Object.entries(reading).map(([value, number]) => `${PREFIX}${name}{${label}="${value}"} ${number}`);
}

/** Counts up. */
export class Counter {
  readonly #about: About;
  readonly #counts: Record<string, number> = {};

  constructor(about: About) {
    this.#about = about;
    for (const value of about.label === undefined ? [''] : (about.values ?? [])) this.#counts[value] = 0;
  }

  /** @param label one of few values, chosen by us */
  add(label = '', amount = 1): void {
    this.#counts[label] = (this.#counts[label] ?? 0) + amount;
  }

  /** By the values of the label; '' where there is none. */
  get counts(): Readonly<Record<string, number>> {
    return this.#counts;
  }

  render(): string[] {
    const reading = this.#about.label === undefined ? (this.#counts[''] ?? 0) : this.#counts;
    return [...head(this.#about, 'counter'), ...lines(this.#about, reading)];
  }
}

/** Sorts durations in seconds into buckets. */
export class Histogram {
  readonly #about: About;
  readonly #bounds: readonly number[];
  readonly #counts: number[];
  #sum = 0;

  constructor(about: About, bounds: readonly number[]) {
    this.#about = about;
    this.#bounds = bounds;
    this.#counts = Array<number>(bounds.length + 1).fill(0);
  }

  observe(value: number): void {
    const found = this.#bounds.findIndex((bound) => value <= bound);
    const index = found < 0 ? this.#bounds.length : found;
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    this.#sum += value;
  }

  /** How many were in each bucket so far. */
  get counts(): readonly number[] {
    return [...this.#counts];
  }

  /** The bound of the bucket that this share of what was observed since `before` is in; 0 for nothing. */
  quantile(share: number, before: readonly number[]): number {
    const since = this.#counts.map((count, index) => count - (before[index] ?? 0));
    let left = since.reduce((sum, count) => sum + count, 0) * share;
    if (left === 0) return 0;
    const index = since.findIndex((count) => {
      left -= count;
      return left <= 0;
    });
    return this.#bounds[index] ?? this.#bounds.at(-1) ?? 0;
  }

  render(): string[] {
    const name = `${PREFIX}${this.#about.name}`;
    let total = 0;
    const buckets = this.#counts.map((count, index) => {
      total += count;
      return `${name}_bucket{le="${this.#bounds[index] ?? '+Inf'}"} ${total}`;
    });
    return [
      ...head(this.#about, 'histogram'),
      ...buckets,
      `${name}_sum ${this.#sum}`,
      `${name}_count ${total}`,
    ];
  }
}

const LATENCIES = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const NANOSECONDS = 1e9;
const PROTOCOLS = ['yjs', 'json'];

/** The one table of what is counted, and what is read when somebody asks. */
export class Metrics {
  readonly messagesIn = new Counter({
    name: 'messages_received_total',
    help: 'Messages of WebSocket clients.',
    label: 'protocol',
    values: PROTOCOLS,
  });
  readonly messagesOut = new Counter({
    name: 'messages_sent_total',
    help: 'Messages to WebSocket clients.',
    label: 'protocol',
    values: PROTOCOLS,
  });
  readonly bytesIn = new Counter({
    name: 'received_bytes_total',
    help: 'Bytes of the messages of WebSocket clients.',
    label: 'protocol',
    values: PROTOCOLS,
  });
  readonly bytesOut = new Counter({
    name: 'sent_bytes_total',
    help: 'Bytes of the messages to WebSocket clients.',
    label: 'protocol',
    values: PROTOCOLS,
  });
  readonly requests = new Counter({
    name: 'http_requests_total',
    help: 'Requests to /api by the status of their answer.',
    label: 'status',
  });
  readonly refused = new Counter({
    name: 'refused_total',
    help: 'Messages, requests and upgrades that were refused, by error code.',
    label: 'code',
    values: Object.keys(ERRORS),
  });
  readonly pauses = new Counter({
    name: 'rate_pauses_total',
    help: 'Times that a connection over its rate was not read for a while.',
    label: 'protocol',
    values: PROTOCOLS,
  });
  readonly hops = new Counter({
    name: 'hops_total',
    help: 'In a cluster, connections and requests that came from another node, and that were led on to one.',
    label: 'direction',
    values: ['in', 'out'],
  });
  readonly usersLost = new Counter({
    name: 'users_lost_total',
    help: 'In a cluster, users that this node had, and that another one has taken.',
  });
  readonly rewritten = new Counter({
    name: 'documents_rewritten_total',
    help: 'Documents whose content was written anew, since their past had outgrown it.',
  });
  readonly checked = new Counter({
    name: 'documents_checked_total',
    help: 'Stored documents that were looked at in the background, by whether they are whole.',
    label: 'result',
    values: ['whole', 'damaged'],
  });
  readonly pruned = new Counter({
    name: 'histories_pruned_total',
    help: 'Times that history which is too old was removed of a user, by whether it is gone.',
    label: 'result',
    values: ['done', 'failed'],
  });
  readonly commits = new Counter({
    name: 'commits_total',
    help: 'Commits by what became of them.',
    label: 'result',
    values: ['saved', 'failed'],
  });
  readonly commitTime = new Histogram(
    { name: 'commit_seconds', help: 'Time from a commit to its fsync.' },
    LATENCIES,
  );
  readonly #gauges: { readonly about: About; readonly read: () => Reading }[] = [];
  readonly #lag = monitorEventLoopDelay({ resolution: 20 });

  constructor() {
    this.#lag.enable();
    this.gauge(
      { name: 'start_time_seconds', help: 'When the process began, in seconds since 1970.' },
      () => performance.timeOrigin / 1_000,
    );
    this.gauge({ name: 'resident_memory_bytes', help: 'Memory of the process.' }, () =>
      process.memoryUsage.rss(),
    );
    this.gauge(
      { name: 'event_loop_lag_seconds', help: 'Delay of timers since the last look.', label: 'quantile' },
      () => this.#readLag(),
    );
  }

  /** Something that is read when somebody asks. */
  gauge(about: About, read: () => Reading): void {
    this.#gauges.push({ about, read });
  }

  render(): string {
    const { messagesIn, messagesOut, bytesIn, bytesOut, requests, refused, pauses } = this;
    const { hops, usersLost, checked, rewritten, pruned, commits, commitTime } = this;
    const gauges = this.#gauges.flatMap(({ about, read }) => [
      ...head(about, 'gauge'),
      ...lines(about, read()),
    ]);
    const counted = [
      messagesIn,
      messagesOut,
      bytesIn,
      bytesOut,
      requests,
      refused,
      pauses,
      hops,
      usersLost,
      checked,
      rewritten,
      pruned,
      commits,
      commitTime,
    ];
    return `${[...gauges, ...counted.flatMap((each) => each.render())].join('\n')}\n`;
  }

  close(): void {
    this.#lag.disable();
  }

  #readLag(): Reading {
    const seconds = (nanoseconds: number) => (Number.isFinite(nanoseconds) ? nanoseconds / NANOSECONDS : 0);
    const [half, most, all] = [this.#lag.percentile(50), this.#lag.percentile(99), this.#lag.max];
    this.#lag.reset();
    return { '0.5': seconds(half), '0.99': seconds(most), '1': seconds(all) };
  }
}
