/** This start of a server, as the others know it: its row, and the beat that says that it lives. */
import { SyncError } from '../../errors.js';
import type { KeyRing } from '../encryption/key-ring.js';
import type { NodeState } from '../store.js';
import { Beats } from './beat.js';
import type { Connection } from './connection.js';
import { checkMasterKeys, toldKeys, usedKeys } from './master-keys.js';
import { mustNotBeMoved } from './moves.js';
import { TAKE_TURN } from './schema.js';
import { BEAT, NODES, START, STOP, SUCCESSOR } from './statements.js';

const INTERVAL = 1_000;
/** One alone may have been too short. */
const LOOKS_IN_VAIN = 2;

/** How many users a node has, and how many of them it took from another since it was started. */
export type Told = Pick<NodeState, 'users' | 'taken'>;

export interface NodeOptions {
  /** Where other nodes reach it; empty where it is alone. */
  readonly address: string;
  /** Of the software; empty where that does not matter. */
  readonly version: string;
  /** Those to start with, where the ones with these ids are in use; `null` where nothing is encrypted. */
  readonly keys: (used: readonly string[]) => KeyRing | null;
  /** From one beat to the next, in ms. */
  readonly interval?: number;
  /** What it tells of itself. */
  readonly tells: () => Told;
  /** Fulfilled once a beat is answered, this one or a later one, or none is sent any more. */
  readonly onBeat: (answered: Promise<void>) => void;
  /** Its row was fenced: nothing of it is committed any more. */
  readonly onFenced: () => void;
  /** Whether anything gets to the machine of the database and back; `null`, or rejects, where nobody can tell. */
  readonly reaches: () => Promise<boolean | null>;
  /** Nothing did for a while, and now it does. */
  readonly onReached: () => void;
  /** As those of `Beats`. */
  readonly now?: () => number;
  readonly onClock?: (ahead: number) => void;
}

export class StoreNode {
  id = 0;
  readonly beats: Beats;
  readonly #options: NodeOptions;
  #beating: NodeJS.Timeout | null = null;
  #isAsking = false;
  /** Fulfils what was handed over for the beats since the last one that was answered; `null` where there are none. */
  #answered: (() => void) | null = null;
  #isLooking = false;
  /** The last looks at the way to the database that found none. */
  #looksInVain = 0;

  constructor(options: NodeOptions) {
    this.#options = options;
    this.beats = new Beats(options);
  }

  get address(): string {
    return this.#options.address;
  }

  /** In turns with those of other nodes, so that each sees what keys the ones before have. */
  start(connection: Connection): Promise<void> {
    const { address, version, keys } = this.#options;
    return connection.inTurn(TAKE_TURN, async (ask) => {
      const ring = keys(await usedKeys(ask));
      await checkMasterKeys(ask, ring, address);
      const values = [address, version, toldKeys(ring)];
      const [row] = await this.beats.asked(() => ask(START, values));
      await mustNotBeMoved(ask);
      this.id = Number(row?.id);
    });
  }

  /**
   * Goes on over a new connection, by a row of its own where it was fenced.
   *
   * @returns whether it is the node that it was
   * @throws SyncError with a sentence, where another server has taken its place
   */
  async goOn(connection: Connection): Promise<boolean> {
    if (await this.#beatOnce(connection)) return true;
    const { address } = this.#options;
    const successors = await connection.read({ text: SUCCESSOR, values: [address, this.id] });
    if (successors.length > 0) throw new SyncError('STORE_UNAVAILABLE', takenBy(address));
    await this.start(connection);
    return false;
  }

  beatOver(connection: Connection): void {
    this.stopBeating();
    this.#looksInVain = 0;
    this.#beating = setInterval(
      () => void this.#beat(connection),
      this.#options.interval ?? INTERVAL,
    ).unref();
  }

  stopBeating(): void {
    if (this.#beating !== null) clearInterval(this.#beating);
    this.#beating = null;
    this.#endWait();
  }

  /** All its users are free at once. */
  async stop(connection: Connection): Promise<void> {
    this.stopBeating();
    await connection.read({ text: STOP, values: [this.id] }).catch(() => {}); // the others wait for its beat
  }

  /** Where it can't be asked, the next beat asks. */
  async #beat(connection: Connection): Promise<void> {
    if (this.#isAsking) return this.#lookForWay();
    this.#isAsking = true;
    this.#beginWait();
    // The beat before was given up with its connection, so that this one gets a new one; the others are still old.
    const isAnew = this.#isCutOff;
    try {
      const isSame = await this.#beatOnce(connection);
      this.#endWait();
      if (!isSame && this.#beating !== null) this.#options.onFenced();
      else if (isAnew) this.#reached();
      else this.#looksInVain = 0; // what waits in the other connections gets there, too
    } catch {
    } finally {
      this.#isAsking = false;
    }
  }

  /** A node that nobody asks for anything hears by its beats alone that it is cut off, and others may have its users. */
  #beginWait(): void {
    if (this.#answered !== null) return;
    this.#options.onBeat(
      new Promise((resolve) => {
        this.#answered = resolve;
      }),
    );
  }

  #endWait(): void {
    this.#answered?.();
    this.#answered = null;
  }

  /** The last beat has no answer yet. */
  async #lookForWay(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    const found = await this.#options.reaches().catch(() => null);
    this.#isLooking = false;
    if (found === true) this.#reached();
    else if (found === false) this.#looksInVain += 1;
  }

  get #isCutOff(): boolean {
    return this.#looksInVain >= LOOKS_IN_VAIN;
  }

  /** What was sent while nothing got there is sent again at ever longer times, and would lie still for as long again. */
  #reached(): void {
    if (this.#isCutOff && this.#beating !== null) this.#options.onReached();
    this.#looksInVain = 0;
  }

  async #beatOnce(connection: Connection): Promise<boolean> {
    const { users, taken } = this.#options.tells();
    const values = [this.id, users, taken];
    const rows = await this.beats.asked(() => connection.beat({ name: 'beat', text: BEAT, values }));
    return rows.length > 0;
  }

  /** All that were not stopped, this one with what it told last. */
  async all(connection: Connection): Promise<readonly NodeState[]> {
    const rows = await connection.read({ text: NODES, values: [] });
    return rows.map(({ id, address, version, users, taken, started, silent }) => ({
      node: String(id),
      address: String(address),
      version: String(version),
      startedAt: Math.round(Number(started) * 1_000),
      silentFor: Math.max(0, Math.round(Number(silent) * 1_000)),
      users: Number(users),
      taken: Number(taken),
      here: Number(id) === this.id,
    }));
  }
}

const takenBy = (address: string): string =>
  address === ''
    ? 'Another server uses the PostgreSQL of STORE: stop one of them, or give each a CLUSTER_ADDRESS.'
    : `Another server has the CLUSTER_ADDRESS ${address}: give each its own.`;
