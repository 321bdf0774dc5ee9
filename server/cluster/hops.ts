/** Leads who comes to this node on to the node that serves its user, and knows who was led here. */
import type { IncomingMessage } from 'node:http';
import type { UserId } from '../../shared/names.js';
import type { Config } from '../config.js';
import type { Log } from '../log.js';
import type { Metrics } from '../metrics.js';
import { CONNECT_TIMEOUT, isReachable } from '../net/reachable.js';
import { type Exchange, forward } from './forward.js';
import { clientOfHop, HOP_HEADER, hopHeader } from './hop-header.js';
import { hostAndPortOf, type Led, type Target } from './hop-target.js';
import type { Doubt, NodeId, Owner, Placement } from './placement.js';
import { askReady, READY } from './ready.js';
import { Splice, splice, type Upgrade } from './splice.js';

/** A user, and the address of the client that comes for it. */
export interface Guest {
  readonly user: UserId;
  readonly address: string;
}

/**
 * Who serves a client: this node; or it was led on, or has gone; or no node could be had. `not mine`: another node led
 * it here, and was wrong.
 */
export type Whither = 'here' | 'led' | 'unreachable' | 'not mine';

export interface HopsOptions {
  readonly config: Pick<Config, 'clusterSecret' | 'upgradeTimeout' | 'pingInterval'>;
  readonly placement: Placement;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Milliseconds from any moment on, that never jump; left out, those of the process. */
  readonly uptime?: () => number;
  /** For tests: whether anything gets to a node and back. */
  readonly reaches?: typeof isReachable;
  readonly log: Log;
}

/** A node that did nothing for so long was stopped: others may have taken over, and devices have come again there. */
const STOPPED_FOR = 10_000;
/** An owner may change while it is asked, and once more; a store that names another one each time is no help. */
const MOST_ASKED = 3;
/** Of so many pings that an owner sends to each client one has to come through. */
const PINGS = 3;
/** A slow line takes what waits for it in less, in ms. */
const SHORTEST_SILENCE = 60_000;
/** The longest time that a Node timer can wait, in ms. */
const LONGEST_TIMER = 2 ** 31 - 1;
/** Between two parts of an answer, or before the first, in ms. */
const ANSWER_SILENCE = 120_000;
/** A look waits no longer for a node that says nothing: the user may be with another one meanwhile. In ms. */
const ANSWER_TIME = CONNECT_TIMEOUT + 500;
/** Who looks again does so within this time, if not many do, in ms. */
const NEXT_LOOK = 1_500;
/** A hop names a client. */
const LOOPBACK = '127.0.0.1';
/** Many wait for one node: what it has said of itself holds for all of them, for so long, in ms. */
const ONE_ANSWER = 500;
/** By these the owner says that it lives. */
const ANSWERED: ReadonlySet<Led> = new Set(['led', 'not mine', 'not let in', 'slow']);

/** What a node says of itself: whether it is ready. */
interface Answer {
  readonly isReady: Promise<boolean>;
  /** When it is given up, about. */
  readonly due: number;
}

export class Hops {
  readonly #options: HopsOptions;
  /** Where hops are counted, once there are any. */
  metrics: Pick<Metrics, 'hops'> | null = null;
  /** The clients of requests that other nodes led here. */
  readonly #clients = new WeakMap<IncomingMessage, string>();
  /** Of clients that were led on, and where. */
  readonly #spliced = new Map<Splice, Owner>();
  /** The owners that the last look did not reach. */
  #unreached: ReadonlySet<NodeId> = new Set();
  /** The nodes that are asked whether they are ready, or were just now. */
  readonly #asked = new Map<NodeId, Answer>();
  #isClosed = false;
  #lookedAt: number;

  constructor(options: HopsOptions) {
    this.#options = options;
    this.#lookedAt = this.#uptime();
  }

  /** Whether another node led this request here, to the node that is known by this address. */
  takes(request: IncomingMessage, node: string): boolean {
    const { config, now } = this.#options;
    const { method = '', url = '', headers } = request;
    const asked = { method, url, node };
    const client = clientOfHop(config.clusterSecret, headers[HOP_HEADER.toLowerCase()], asked, now());
    if (client === null) return false;
    this.#clients.set(request, client);
    this.metrics?.hops.add('in');
    return true;
  }

  /** The address of the client, where another node led it here; `null` for who came by itself. */
  clientOf = (request: IncomingMessage): string | null => this.#clients.get(request) ?? null;

  /** Whether a user is served here; rejects where the store can't tell. */
  async serves(user: UserId): Promise<boolean> {
    return (await this.#options.placement.whereIs(user)).here;
  }

  async socket(guest: Guest, upgrade: Upgrade): Promise<Whither> {
    const { request, stream } = upgrade;
    const { method = '', url = '' } = request;
    const { pingInterval } = this.#options.config;
    const silence = Math.min(LONGEST_TIMER, Math.max(SHORTEST_SILENCE, PINGS * pingInterval));
    return this.#lead(guest, request, async (owner) => {
      const led = await splice(this.#target(owner, guest, { method, url, silence }), upgrade);
      if (!(led instanceof Splice)) return led;
      if (this.#isClosed) led.leave();
      else if (!stream.closed) {
        this.#spliced.set(led, owner);
        stream.once('close', () => this.#spliced.delete(led));
      }
      return 'led';
    });
  }

  /** Who was led on has to come again. */
  close(): void {
    this.#isClosed = true;
    for (const splice of this.#spliced.keys()) splice.leave();
  }

  /**
   * Cuts off whom it led to nodes that hang, or whose machines are gone or out of reach; and all, where it was stopped
   * itself: what waits in its sockets may be older than what their devices have sent since, over another node. To be
   * called every few seconds.
   */
  async look(): Promise<void> {
    const now = this.#uptime();
    if (now - this.#lookedAt > STOPPED_FOR) this.#cutAll();
    this.#lookedAt = now;
    if (this.#spliced.size === 0) return;
    const owners = [...new Map([...this.#spliced.values()].map((owner) => [owner.node, owner])).values()];
    const gone = this.#options.placement.gone(owners.map(({ node }) => node)).catch(() => []);
    const lost = new Set([...(await this.#parted(owners)), ...(await gone)]);
    for (const [splice, { node }] of this.#spliced) if (lost.has(node)) splice.leave();
  }

  /**
   * Those that neither this look nor the one before has reached. Where a network is parted, sockets try again at ever
   * longer times, and would lie still for as long again once it is mended: clients come anew, and find what is there.
   */
  async #parted(owners: readonly Owner[]): Promise<NodeId[]> {
    const { reaches = isReachable } = this.#options;
    const reached = await Promise.all(owners.map(({ address }) => reaches(hostAndPortOf(address))));
    const unreached = owners.filter((_, n) => reached[n] === false).map(({ node }) => node);
    const parted = unreached.filter((node) => this.#unreached.has(node));
    this.#unreached = new Set(unreached);
    return parted;
  }

  /**
   * Whether a guest who could not be led on would be served by now: here, or by a node that says it is ready. `null`
   * where this node does not reach the store.
   *
   * @param onReached the store was reached; to ask the node may take some seconds
   */
  async mayCome({ user, address }: Guest, onReached = () => {}): Promise<boolean | null> {
    let inVain: NodeId | null = null;
    for (let asked = 0; asked < 2; asked++) {
      const place = await this.#options.placement.whereIs(user).catch(() => null);
      if (place === null) return null;
      onReached();
      if (place.here) return true;
      if (place.node === inVain) break;
      if (await this.#isReady(place, { user, address })) return true;
      inVain = place.node; // where it is silent for long enough it has lost the user now; it may have so before
    }
    return false;
  }

  /**
   * Waits longer for an answer that is due before the next look: once a node is given up, the user can be taken from it
   * only for a moment.
   */
  async #isReady(owner: Owner, guest: Guest): Promise<boolean> {
    const { isReady, due } = this.#ask(owner, guest);
    if (due - this.#uptime() <= ANSWER_TIME + NEXT_LOOK) return isReady;
    const late = new Promise<false>((resolve) => setTimeout(resolve, ANSWER_TIME, false).unref());
    return Promise.race([isReady, late]);
  }

  /** Whether a node says that it is ready, for no client. */
  async isReady(node: Owner): Promise<boolean> {
    const target = this.#target(node, { address: LOOPBACK }, { method: 'GET', url: READY, silence: 0 });
    return (await askReady(target)) === 'ready';
  }

  #ask(owner: Owner, guest: Guest): Answer {
    const { node } = owner;
    const known = this.#asked.get(node);
    if (known !== undefined) return known;
    const target = this.#target(owner, guest, { method: 'GET', url: READY, silence: 0 });
    const isReady = askReady(target).then((said) => {
      const { placement } = this.#options;
      if (said === 'silent' || said === 'refused') placement.doubt(guest.user, node, said);
      else placement.reached(node);
      setTimeout(() => this.#asked.delete(node), ONE_ANSWER).unref();
      return said === 'ready';
    });
    const answer = { isReady, due: this.#uptime() + target.timeout };
    this.#asked.set(node, answer);
    return answer;
  }

  #uptime(): number {
    return this.#options.uptime?.() ?? performance.now();
  }

  #cutAll(): void {
    for (const splice of this.#spliced.keys()) splice.cut();
  }

  /** One that is here, and was led here, may send its body from then on. */
  async request(guest: Guest, exchange: Exchange): Promise<Whither> {
    const { request, response, url } = exchange;
    const { method = '' } = request;
    const whither = await this.#lead(guest, request, (owner) =>
      forward(this.#target(owner, guest, { method, url, silence: ANSWER_SILENCE }), exchange),
    );
    if (whither === 'here' && this.#clients.has(request)) response.writeContinue();
    return whither;
  }

  async #lead(
    { user }: Guest,
    request: IncomingMessage,
    attempt: (owner: Owner) => Promise<Led>,
  ): Promise<Whither> {
    const { placement } = this.#options;
    let inVain: NodeId | null = null;
    for (let asked = 0; asked < MOST_ASKED; asked++) {
      const place = await placement.whereIs(user).catch(() => null);
      if (place?.here) return 'here';
      if (place === null || place.node === inVain) break;
      if (this.#clients.has(request)) return 'not mine';
      const led = await attempt(place);
      if (led === 'gone') return 'led';
      if (ANSWERED.has(led)) placement.reached(place.node);
      if (led === 'led') {
        this.metrics?.hops.add('out');
        return led;
      }
      this.#doubt(user, place, led);
      if (led === 'lost') break;
      if (led !== 'refused' && led !== 'not mine') inVain = place.node;
    }
    return 'unreachable';
  }

  #doubt(user: UserId, { node, address }: Owner, why: Doubt): void {
    const { placement, log } = this.#options;
    if (why !== 'not mine') log('nodeNotReached', { node: address, why });
    placement.doubt(user, node, why);
  }

  #target(
    owner: Owner,
    { address }: Pick<Guest, 'address'>,
    { method, url, silence }: { readonly method: string; readonly url: string; readonly silence: number },
  ): Target {
    const { config, now } = this.#options;
    const hop = { method, url, address, node: owner.address, time: now() };
    return {
      at: hostAndPortOf(owner.address),
      header: hopHeader(config.clusterSecret, hop),
      timeout: config.upgradeTimeout,
      silence,
    };
  }
}
