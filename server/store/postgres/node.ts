/** This start of a server, as the others know it: its row, and the beat that says that it lives. */
import { SyncError } from '../../errors.js';
import type { Connection } from './connection.js';
import { BEAT, START, STOP, SUCCESSOR } from './statements.js';

const INTERVAL = 1_000;

export interface NodeOptions {
  /** Where other nodes reach it; empty where it is alone. */
  readonly address: string;
  /** From one beat to the next, in ms. */
  readonly interval?: number;
  /** Its row was fenced: nothing of it is committed any more. */
  readonly onFenced: () => void;
}

export class StoreNode {
  id = 0;
  readonly #options: NodeOptions;
  #beating: NodeJS.Timeout | null = null;
  #isAsking = false;

  constructor(options: NodeOptions) {
    this.#options = options;
  }

  async start(connection: Connection): Promise<void> {
    const [row] = await connection.read({ text: START, values: [this.#options.address] });
    this.id = Number(row?.id);
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
    this.#beating = setInterval(
      () => void this.#beat(connection),
      this.#options.interval ?? INTERVAL,
    ).unref();
  }

  stopBeating(): void {
    if (this.#beating !== null) clearInterval(this.#beating);
    this.#beating = null;
  }

  /** All its users are free at once. */
  async stop(connection: Connection): Promise<void> {
    this.stopBeating();
    await connection.read({ text: STOP, values: [this.id] }).catch(() => {}); // the others wait for its beat
  }

  /** Where it can't be asked, the next beat asks; that it is late is seen by the others. */
  async #beat(connection: Connection): Promise<void> {
    if (this.#isAsking) return;
    this.#isAsking = true;
    try {
      if (!(await this.#beatOnce(connection)) && this.#beating !== null) this.#options.onFenced();
    } catch {
    } finally {
      this.#isAsking = false;
    }
  }

  async #beatOnce(connection: Connection): Promise<boolean> {
    return (await connection.beat({ name: 'beat', text: BEAT, values: [this.id] })).length > 0;
  }
}

const takenBy = (address: string): string =>
  address === ''
    ? 'Another server uses the PostgreSQL of STORE: stop one of them, or give each a CLUSTER_ADDRESS.'
    : `Another server has the CLUSTER_ADDRESS ${address}: give each its own.`;
