import { ClientError } from '../errors.js';
import { ObservableValue } from '../views/observable.js';
import { Backoff } from './backoff.js';
import { type FlushWaiter, FlushWaiters, failureOf } from './flush-waiters.js';
import { EXCHANGE_PAUSE, HttpFallback } from './http-fallback.js';
import { decisionOnEnd, decisionOnFailure, type RetryDecision } from './retry-decision.js';
import { type LinkEnd, type LinkEvents, SocketLink } from './socket-link.js';
import { askToken, Renewals } from './token.js';
import type { ConnectionOptions, ConnectionReport } from './types.js';
import { socketAddress } from './urls.js';

export type { ConnectionOptions, ConnectionReport } from './types.js';

const NOT_CONNECTED = 'Not connected.';
const NO_NETWORK = 'This device is not on a network.';
const BY_HTTP = 'No WebSocket gets through to the server; changes are exchanged over HTTP from time to time.';

/** Hints of the platform within this time are about one event, in ms. */
const BURST = 1_000;
/** States that the report keeps while the next attempt runs. */
const STOPPED: ReadonlySet<string> = new Set(['needs-token', 'refused']);
/** What a socket would be told as well, so that one that is being opened is given up. */
const ENDING: ReadonlySet<string> = new Set(['refused', 'token', 'rewritten']);
/** The pause where the server would refuse the next attempt as well, in ms; a hint or a new token ends it. */
const STOPPED_PAUSE = 300_000;
/** Where the window of pauses begins for a server that has too much to do, in ms. */
const BUSY = 8_000;

/** Keeps a source in step with the server: over a socket, or over HTTP while no socket gets through. */
export class Connection {
  readonly #options: ConnectionOptions;
  readonly #report: ObservableValue<ConnectionReport>;
  readonly #backoff: Backoff;
  readonly #waiters: FlushWaiters;
  readonly #fallback: HttpFallback;
  readonly #renewals: Renewals;
  #running = false;
  #endHints = (): void => {};
  /** The attempt for which the app is asked for a token. */
  #attempt: object | null = null;
  #link: SocketLink | null = null;
  #cancelRetry: (() => void) | null = null;
  /** Attempts that failed in a row. */
  #failures = 0;
  #lacksBase = false;
  /** The server refused one of the pending changes: exchanges over HTTP find out which. */
  #isSearching = false;
  /** HTTP did not find the refused change: the next socket sends the changes one by one. */
  #isCareful = false;
  #hintedAt = Number.NEGATIVE_INFINITY;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#report = new ObservableValue<ConnectionReport>({
      connection: 'offline',
      reason: NOT_CONNECTED,
      error: null,
    });
    this.#report.subscribe(options.onChange);
    this.#backoff = new Backoff(options.platform.random);
    this.#waiters = new FlushWaiters(options.platform.clock);
    this.#renewals = new Renewals(options.platform.clock);
    this.#isSearching = options.searchesRefused ?? false;
    this.#fallback = new HttpFallback(options, {
      exchanged: () => this.#exchanged(),
      confirmed: () => this.#renewals.worked(),
      failed: (error, brought) => this.#exchangeFailed(decisionOnFailure(error), brought),
    });
  }

  /** Starts to connect; where it has started, but pauses or was refused, it tries at once (C10). */
  start(): void {
    if (this.#running) {
      this.retryNow();
      return;
    }
    this.#running = true;
    this.#endHints = this.#options.platform.connectivity.subscribe((hint) => this.#hint(hint));
    this.#startOver();
  }

  /** Closes the connection, and tries no more until `start`. */
  stop(): void {
    if (!this.#running) return;
    this.#running = false;
    this.#endHints();
    this.#idle();
    this.#fallback.stop();
    this.#waiters.rejectAll(new ClientError('OFFLINE', NOT_CONNECTED));
    this.#tell({ connection: 'offline', reason: NOT_CONNECTED, error: null });
  }

  /** Tries at once unless it is trying or connected: there is a new token, or the user asked for it. */
  retryNow(): void {
    if (!this.#running || this.#attempt !== null) return;
    if (this.#link !== null && !this.#link.session.isDenied) return;
    this.#startOver();
  }

  /**
   * Resolves when the server has everything that is pending now, and has answered since. Rejects with a
   * `ClientError` (`OFFLINE`, `NEEDS_TOKEN`, `REFUSED`) where that fails.
   */
  flush(): Promise<void> {
    if (!this.#running) return Promise.reject(new ClientError('OFFLINE', NOT_CONNECTED));
    if (this.#link?.session.isDenied) return Promise.reject(failureOf(this.#report.current));
    return this.#waiters.add((waiter) => {
      this.#link?.session.round(waiter.resolve);
      if (this.#isOnline) return;
      if (this.#hasSockets) this.retryNow();
      this.#exchangeFor(waiter);
    });
  }

  get #hasSockets(): boolean {
    return this.#options.platform.WebSocket !== undefined;
  }

  get #isOnline(): boolean {
    return this.#link?.session.isOnline ?? false;
  }

  get #isStopped(): boolean {
    return STOPPED.has(this.#report.current.connection);
  }

  #tell(change: Partial<ConnectionReport>): void {
    this.#report.set({ ...this.#report.current, ...change });
  }

  #idle(): void {
    this.#attempt = null;
    this.#cancelRetry?.();
    this.#cancelRetry = null;
    this.#link?.close();
    this.#link = null;
  }

  #startOver(): void {
    this.#backoff.reset();
    this.#renewals.reset();
    this.#tell({ connection: 'connecting', reason: null });
    this.#connect();
  }

  #connect(): void {
    this.#idle();
    if (!this.#isStopped) this.#tell({ connection: 'connecting' });
    if (!this.#running) return;
    if (this.#hasSockets && !this.#isSearching) void this.#dial();
    else this.#fallback.now().catch(() => {});
  }

  async #dial(): Promise<void> {
    const attempt = {};
    this.#attempt = attempt;
    try {
      const token = await askToken(this.#options.getToken, this.#options.platform.clock);
      if (this.#attempt !== attempt) return;
      this.#attempt = null;
      this.#open(token);
    } catch (error) {
      if (this.#attempt === attempt) this.#failed(decisionOnFailure(error));
    }
  }

  #open(token: string | null): void {
    const { source, presence, platform } = this.#options;
    const { WebSocket, clock } = platform;
    if (WebSocket === undefined) return;
    const challenge = platform.newId();
    const link = new SocketLink({
      source,
      presence,
      WebSocket,
      clock,
      address: socketAddress(this.#options, token, challenge),
      challenge,
      whole: this.#lacksBase,
      careful: this.#isCareful,
      events: this.#events(),
    });
    this.#link = link;
    for (const { resolve } of this.#waiters.all) link.session.round(resolve);
    link.open();
  }

  #events(): LinkEvents {
    return {
      online: () => this.#wentOnline(),
      confirmed: () => this.#progressed(),
      denied: (reason) => this.#denied(reason),
      ended: (end) => this.#ended(end),
    };
  }

  /** The server confirmed something: pauses begin small again, also on a line that breaks after each part (C11). */
  #progressed(): void {
    this.#failures = 0;
    this.#renewals.worked();
    this.#backoff.reset();
    if (this.#isOnline) this.#tellSynced();
  }

  #wentOnline(): void {
    this.#failures = 0;
    this.#lacksBase = false;
    this.#isCareful = false;
    this.#renewals.worked();
    this.#backoff.reset();
    const error = this.#link?.session.isDenied ? this.#report.current.error : null;
    this.#tell({ connection: 'online', reason: null, error, hasReceived: true });
    this.#tellSynced();
  }

  #denied(reason: string): void {
    const error = new ClientError('REFUSED', reason);
    this.#tell({ error });
    this.#waiters.rejectAll(error);
  }

  #tellSynced(): void {
    const { source, platform, onSynced } = this.#options;
    const isDenied = this.#link?.session.isDenied ?? false;
    if (isDenied || source.pendingAfter(0).length > 0) return;
    onSynced?.();
    this.#tell({ lastSyncedAt: platform.clock.now() });
  }

  /** An attempt failed, or the connection was lost. */
  #failed(decision: RetryDecision): void {
    this.#failures = this.#isOnline ? 0 : this.#failures + 1;
    this.#idle();
    this.#lacksBase ||= decision.lacksBase ?? false;
    if (decision.next === 'rewritten' && this.#options.onRewritten?.()) return;
    if (decision.next === 'refused') this.#refused(decision);
    else if (decision.next === 'token') this.#wantsToken(decision.reason);
    else if (decision.next === 'now') this.#startOver();
    else this.#pause(decision);
    this.#settleWaiters();
  }

  #refused({ reason, error }: RetryDecision): void {
    this.#tell({ connection: 'refused', reason, error: error ?? this.#report.current.error });
    // After an erasure the app decides whether to begin again; nothing is tried by itself.
    if (error?.code !== 'ERASED') this.#retryAfter(STOPPED_PAUSE);
  }

  #wantsToken(reason: string): void {
    if (this.#options.getToken === undefined) {
      this.#tell({ connection: 'needs-token', reason });
      this.#retryAfter(STOPPED_PAUSE);
      return;
    }
    const when = this.#renewals.next();
    if (when === 'now') {
      this.#connect();
      return;
    }
    if (when === 'later') this.#tell({ connection: 'needs-token', reason });
    else if (!this.#isStopped) this.#tell({ connection: 'connecting', reason: null });
    this.#retryAfter(this.#backoff.next());
  }

  #pause({ next, reason, error, isOfChange = false, pause = 0 }: RetryDecision): void {
    if (next === 'slowest' || next === 'rewritten') this.#backoff.slow();
    if (next === 'busy') this.#backoff.atLeast(BUSY);
    const needsToken = this.#report.current.connection === 'needs-token';
    if (!needsToken) this.#tell({ connection: 'offline', reason });
    if (error !== null) this.#tell({ error });
    this.#retryAfter(pause + this.#backoff.next());
    if (!this.#running || !this.#hasSockets) return;
    this.#isSearching = isOfChange;
    if (isOfChange) void this.#searchOverHttp();
    else if (this.#failures >= 2) this.#fallback.ifDue();
  }

  #ended({ suspect = null, ...end }: LinkEnd): void {
    const decision = decisionOnEnd(end);
    this.#failed(decision);
    if (suspect === null || decision.isOfChange !== true) return;
    this.#isSearching = false;
    const { number, serverHas } = suspect;
    const refusal = { code: 'REFUSED', reason: decision.reason };
    this.#options.source.setAside(number, refusal, serverHas).catch(() => {}); // it stays pending
  }

  /** Which change the server refuses, an exchange over HTTP finds out: it is set aside there (C11). */
  async #searchOverHttp(): Promise<void> {
    await this.#options.source.settled().catch(() => {});
    if (this.#running && this.#isSearching) this.#fallback.now().catch(() => {});
  }

  #retryAfter(ms: number): void {
    this.#cancelRetry?.();
    if (!this.#running) return;
    this.#cancelRetry = this.#options.platform.clock.after(ms, () => {
      this.#cancelRetry = null;
      this.#connect();
    });
  }

  #hint(hint: 'online' | 'offline' | 'foreground'): void {
    if (hint === 'offline') this.#tellNetwork(NO_NETWORK);
    else this.#tryAtOnce();
  }

  #tryAtOnce(): void {
    if (this.#report.current.reason === NO_NETWORK) this.#tellNetwork(null);
    const now = this.#options.platform.clock.now();
    const link = this.#link;
    if ((this.#cancelRetry === null && link === null) || Math.abs(now - this.#hintedAt) < BURST) return;
    this.#hintedAt = now;
    // When the network changes, the old socket may stay open and deliver nothing: the server is asked for an answer.
    if (link !== null && !link.session.isDenied) link.probe();
    else {
      this.#backoff.reset();
      this.#connect();
    }
  }

  #tellNetwork(reason: string | null): void {
    const { connection } = this.#report.current;
    if (connection === 'offline' || connection === 'connecting') this.#tell({ reason });
  }

  #exchanged(): void {
    this.#tellSynced();
    this.#tell({ hasReceived: true });
    if (this.#isOnline) return;
    if (this.#isSearching) {
      this.#isSearching = false;
      this.#startOver();
      return;
    }
    this.#tell({ connection: this.#link === null ? 'offline' : 'connecting', reason: BY_HTTP, error: null });
    if (!this.#hasSockets) this.#retryAfter(EXCHANGE_PAUSE);
  }

  #exchangeFailed(decision: RetryDecision, brought: boolean): void {
    const { next, error } = decision;
    if (this.#isOnline || error?.code === 'CLOSED') return;
    const wasSearching = this.#isSearching;
    this.#isSearching = false;
    if (brought) this.#backoff.reset();
    if (!this.#hasSockets || ENDING.has(next)) this.#failed(decision);
    else if (next === 'slowest') this.#backoff.slow();
    else if (brought && this.#cancelRetry !== null) this.#retryAfter(this.#backoff.next());
    else if (decision.error !== null) this.#tell({ error: decision.error }); // such as a `fetch` that the platform lacks
    // The next socket gets a fresh token; so does HTTP, since sockets may fail for another reason.
    if (next === 'token' && this.#attempt !== null) this.#fallback.now().catch(() => {});
    if (wasSearching && !ENDING.has(next)) this.#searchOverSocket();
  }

  /** HTTP did not find the change that the server refuses: the next socket sends them one by one (C11). */
  #searchOverSocket(): void {
    const isNew = !this.#isCareful && this.#options.source.pendingAfter(0).length > 0;
    this.#isCareful ||= isNew;
    if (isNew) this.#backoff.reset();
    if (this.#attempt !== null || this.#link !== null) return;
    if (this.#cancelRetry === null) this.#connect();
    else if (isNew) this.#retryAfter(this.#backoff.next());
  }

  #exchangeFor(waiter: FlushWaiter): void {
    waiter.exchange = 'under way';
    this.#fallback.now().then(waiter.resolve, () => {
      waiter.exchange = 'failed';
      this.#settleWaiters();
    });
  }

  /** Rejects calls of `flush` whose exchange has failed while no socket is open or tried. */
  #settleWaiters(): void {
    if (this.#attempt !== null || this.#link !== null) return;
    for (const waiter of this.#waiters.all) {
      if (waiter.exchange === 'failed') waiter.reject(failureOf(this.#report.current));
      else if (waiter.exchange === 'none') this.#exchangeFor(waiter);
    }
  }
}
