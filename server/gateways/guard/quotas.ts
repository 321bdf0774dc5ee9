/** What every way in shares: slots of users and addresses, and rates. Asked before anything is loaded. */
import type { IncomingMessage } from 'node:http';
import { SHARED_DOCUMENT, type UserId } from '../../../shared/names.js';
import type { Config } from '../../config.js';
import type { ErrorCode } from '../../errors.js';
import type { Log } from '../../log.js';
import { clientAddress, isUntrustedProxy, networkOf } from '../../net/client-address.js';
import { once, RateLimiter, RateLimiters, type Rates, Slots } from '../../net/token-bucket.js';

/** A user and an address that slots and rates are counted for, as far as the request itself tells. */
export interface Caller {
  /** `null` where none, or a wrong one, is named, and for the shared document where no person is known. */
  readonly user: UserId | null;
  readonly address: string;
}

export interface Refusal {
  readonly code: ErrorCode;
  /** In seconds. */
  readonly retryAfter: number;
}

/** The address of a client, where that is known in another way than by its connection. */
type AddressOf = (request: IncomingMessage) => string | null;

/** In messages: an upgrade loads a document, and is answered with what its device lacks. */
const UPGRADE_COST = 5;
/** A client that finds all slots taken should wait a little. */
const NO_SLOT_LEFT: Refusal = { code: 'TOO_MANY_SOCKETS', retryAfter: 10 };

const UNLIMITED = { rate: Number.POSITIVE_INFINITY, burst: Number.POSITIVE_INFINITY };
const NO_LIMIT = new RateLimiter({ messages: UNLIMITED, bytes: UNLIMITED }, () => 0);

export class Quotas {
  readonly #config: Config;
  readonly #rates: Rates;
  readonly #log: Log;
  readonly #now: () => number;
  readonly #ofUsers: Slots;
  readonly #ofAddresses: Slots;
  readonly #limiters: RateLimiters;
  readonly #perUser: RateLimiters;
  readonly #toldBy: AddressOf | undefined;
  #isWarned = false;

  /** @param toldBy tells the client of a request that another node led here */
  constructor(config: Config, log: Log, now: () => number, toldBy?: AddressOf) {
    this.#toldBy = toldBy;
    this.#config = config;
    this.#rates = ratesOf(config);
    this.#log = log;
    this.#now = now;
    this.#ofUsers = new Slots(config.maxSocketsPerUser);
    this.#ofAddresses = new Slots(config.maxSocketsPerAddress);
    this.#limiters = new RateLimiters(this.#rates, now);
    this.#perUser = new RateLimiters(ratesOf(config, config.userRate), now);
  }

  /** Where a request comes from; a proxy that is not trusted is told of once. */
  addressOf(request: IncomingMessage): string {
    const told = this.#toldBy?.(request) ?? null;
    if (told !== null) return told;
    const { trustProxy } = this.#config;
    if (!this.#isWarned && isUntrustedProxy(request, trustProxy)) {
      this.#isWarned = true;
      this.#log('proxyNotTrusted', { address: request.socket.remoteAddress ?? '' });
    }
    return clientAddress(request, trustProxy);
  }

  /** Why no WebSocket may open from this address now; asked before anything is known of the user. */
  refuseAddress(address: string): Refusal | null {
    return this.#ofAddresses.isFull(networkOf(address)) ? NO_SLOT_LEFT : null;
  }

  /** What this returns gives it back. */
  takeAddressSlot(address: string): () => void {
    return this.#ofAddresses.take(networkOf(address));
  }

  /** Why this user may open no WebSocket now. */
  refuseUser(caller: Caller): Refusal | null {
    const isFull = caller.user !== null && this.#ofUsers.isFull(caller.user);
    return isFull ? NO_SLOT_LEFT : this.#refuse(caller);
  }

  /** Takes what an upgrade costs, and a slot of the user, which what this returns gives back; `null` for nobody's. */
  takeUserSlot(caller: Caller): (() => void) | null {
    this.sharedOf(caller).take(UPGRADE_COST, 0);
    return caller.user === null ? null : this.#ofUsers.take(caller.user);
  }

  /** Why a request is not answered now. */
  refuseRequest({ user, address }: Caller): Refusal | null {
    const ofAddress = this.refuseAddress(address) ?? this.#refuse({ user: null, address });
    return ofAddress ?? this.#refuse({ user, address });
  }

  /**
   * Takes the slot of a request, what it costs, and the bytes of its body until what it returns is called: all bodies
   * of an address together are held to what one sender may send at once.
   */
  takeRequestSlot({ user, address }: Caller, cost: number, body: number): () => void {
    const bodies = this.sharedOf({ user: null, address });
    this.sharedOf({ user, address }).take(cost, body);
    bodies.take(0, body);
    const giveSlot = this.takeAddressSlot(address);
    return once(() => {
      bodies.take(0, -body);
      giveSlot();
    });
  }

  /** What one connection may send. */
  newLimiter(): RateLimiter {
    return new RateLimiter(this.#rates, this.#now);
  }

  /** What a user may send over all connections together. */
  rateOf(user: string): RateLimiter {
    // To the shared document come many people: each connection has its own limit, and all of them none (D8).
    if (user === SHARED_DOCUMENT) return NO_LIMIT;
    return this.#perUser.of(user);
  }

  /** What a user at an address may ask for, however many connections and requests it makes. */
  sharedOf({ user, address }: Caller): RateLimiter {
    return this.#limiters.of(`${user ?? ''} ${networkOf(address)}`);
  }

  /** To be called every few seconds. */
  sweep(): void {
    this.#limiters.sweep();
    this.#perUser.sweep();
  }

  #refuse(caller: Caller): Refusal | null {
    const wait = this.sharedOf(caller).waitForOne;
    return wait === 0 ? null : { code: 'TOO_MANY_REQUESTS', retryAfter: Math.ceil(wait / 1_000) };
  }
}

function ratesOf({ messageRate, messageBurst, byteRate, byteBurst }: Config, times = 1): Rates {
  return {
    messages: { rate: messageRate * times, burst: messageBurst * times },
    bytes: { rate: byteRate * times, burst: byteBurst * times },
  };
}
