/** The connections of a store and the row of its node, from one failure to the next. */
import { SyncError } from '../../errors.js';
import type { KeyRing } from '../encryption/key-ring.js';
import type { Retrying } from '../try-until.js';
import { Address } from './address.js';
import { Connection } from './connection.js';
import { wipeLeftovers } from './erasure.js';
import { mustNotBeMoved } from './moves.js';
import { StoreNode, type Told } from './node.js';
import { migrate } from './schema.js';

/** `onRetry`: the tables can't be changed for this version yet. */
export interface SessionOptions extends Pick<Retrying, 'onRetry'> {
  readonly url: string;
  /** Where other nodes reach this one; empty where it is alone. */
  readonly address?: string;
  /** A file that the url names can't be used any more, for this reason: what it held before counts. */
  readonly onStale?: (why: unknown) => void;
  /** Of the software, for the operator. */
  readonly version?: string;
  /** The master keys to start with, where those with these ids are in use; `null` where nothing is encrypted. */
  readonly ring: (used: readonly string[]) => KeyRing | null;
  /** From one beat of the node to the next, in ms. */
  readonly beat?: number;
  /** How long PostgreSQL may take, in ms. */
  readonly timeout: number;
  /** What the node tells the others of itself. */
  readonly tells: () => Told;
  /** Milliseconds since 1970, by the clock of this machine. */
  readonly now?: () => number;
  /** That clock and the one of the database differ by more than 5 s; called once until they do not. */
  readonly onClock?: (ahead: number) => void;
  /** For tests: whether anything gets to PostgreSQL and back. */
  readonly reaches?: () => Promise<boolean | null>;
  /** As of a node. */
  readonly onBeat: (answered: Promise<void>) => void;
  /** Nobody can tell what becomes of what is under way. */
  readonly onLost: (cause: Error) => void;
}

const WIPE_INTERVAL = 60_000;

export class Session {
  readonly node: StoreNode;
  readonly #options: SessionOptions;
  readonly #known: Address;
  #connection: Connection | null = null;
  #wiping: NodeJS.Timeout | undefined;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#known = new Address(options.url, options.onStale);
    this.node = new StoreNode({
      ...options,
      address: options.address ?? '',
      version: options.version ?? '',
      tells: options.tells,
      keys: options.ring,
      ...(options.beat !== undefined && { interval: options.beat }),
      onFenced: () => options.onLost(new Error('this server counts as one that is gone')),
      reaches: () => this.#reaches(),
      onReached: () => options.onLost(new Error('for a while nothing got to PostgreSQL and back')),
    });
  }

  /** @throws SyncError `STORE_UNAVAILABLE` */
  get connection(): Connection {
    if (this.#connection === null) throw new SyncError('STORE_UNAVAILABLE');
    return this.#connection;
  }

  /** Rejects with a sentence where this server can't work with what is stored. */
  begin(): Promise<void> {
    return this.#connect(async (connection) => {
      await migrate(connection.writer, this.#options.onRetry);
      await mustNotBeMoved((text, values) => connection.read({ text, values }));
      await this.node.start(connection);
    });
  }

  /** Returns whether the node is the one that it was: else all its users may have been taken. */
  async reopen(): Promise<boolean> {
    this.node.stopBeating();
    await this.#connection?.close();
    // A connection that is asked for while nothing gets there would come late.
    if ((await this.#reaches()) === false)
      throw new SyncError('STORE_UNAVAILABLE', 'Nothing gets to the PostgreSQL of STORE and back.');
    let isSame = true;
    await this.#connect(async (connection) => {
      await mustNotBeMoved((text, values) => connection.read({ text, values }));
      isSame = await this.node.goOn(connection);
    });
    return isSame;
  }

  async close(): Promise<void> {
    clearInterval(this.#wiping);
    if (this.#connection === null) return;
    await this.node.stop(this.#connection);
    await this.#connection.close();
  }

  async #reaches(): Promise<boolean | null> {
    const { reaches = () => this.connection.isReached() } = this.#options;
    return await reaches();
  }

  async #connect(prepare: (connection: Connection) => Promise<void>): Promise<void> {
    const { url, timeout, onLost } = this.#options;
    const connection = await Connection.open({ url, timeout, known: this.#known }, onLost);
    try {
      await prepare(connection);
    } catch (error) {
      await connection.close();
      throw error;
    }
    this.#connection = connection;
    this.node.beatOver(connection);
    let isWiping = false;
    const wipe = async (): Promise<void> => {
      if (isWiping) return;
      isWiping = true;
      await wipeLeftovers(connection).catch(() => {}); // the next time does
      isWiping = false;
    };
    void wipe();
    clearInterval(this.#wiping);
    this.#wiping = setInterval(() => void wipe(), WIPE_INTERVAL).unref();
  }
}
