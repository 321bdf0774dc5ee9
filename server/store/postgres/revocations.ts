/** Tokens that were taken back, as rows that each server asks for every second and says that it has taken (A4). */
import type { SharedRevocations } from '../store.js';
import type { Session } from './session.js';
import { DEAD_AFTER } from './statements.js';

/** From one look to the next, in ms. */
const INTERVAL = 1_000;
/** How long a server that lives may take to take one, in ms. */
const PATIENCE = 5_000;
/** From one look at who has not to the next, in ms. */
const PAUSE = 50;

/** The row of the counter makes them visible in the order of their numbers: nobody passes over one that comes late. */
export const ADD = `
WITH n AS (UPDATE revocation_count SET seq = seq + 1 RETURNING seq)
INSERT INTO revocation (seq, line) SELECT n.seq, $1::text FROM n RETURNING seq`;
const SINCE = 'SELECT seq, line FROM revocation WHERE seq > $1::int8 ORDER BY seq';
const TAKEN = 'UPDATE node SET revoked = $2::int8 WHERE id = $1::int8 AND revoked < $2::int8';
/**
 * Who lives and has not taken it. One that was not heard of, or, with $3, not in time, is fenced: from then on it
 * confirms and commits nothing, and goes on only when it has taken them all. In the order of their ids, so that two
 * who fence the same ones at once do not wait for each other.
 */
const LAGGING = `
WITH late AS (SELECT id FROM node WHERE id <> $1::int8 AND NOT fenced AND revoked < $2::int8
                 AND ($3::bool OR beat <= now() - interval '${DEAD_AFTER}') ORDER BY id FOR UPDATE),
gone AS (UPDATE node SET fenced = true FROM late WHERE node.id = late.id RETURNING node.id)
SELECT id FROM node WHERE id <> $1::int8 AND NOT fenced AND revoked < $2::int8 AND id NOT IN (SELECT id FROM gone)`;

export interface StoredRevocationsOptions {
  /** From one beat of the node to the next, and from one look, in ms. */
  readonly beat?: number;
  /** How long a server that lives may take to take a revocation, in ms. */
  readonly revocationPatience?: number;
}

export class StoredRevocations implements SharedRevocations {
  readonly #session: Session;
  readonly #options: StoredRevocationsOptions;
  #take: ((line: string) => void) | null = null;
  #timer: NodeJS.Timeout | undefined;
  #known = 0;
  /** Goes up where what is known counts no more: what was asked for before is of no use. */
  #era = 0;
  /** What the row of this node says. */
  #told = { node: 0, seq: 0 };

  constructor(session: Session, options: StoredRevocationsOptions) {
    this.#session = session;
    this.#options = options;
  }

  async follow(take: (line: string) => void): Promise<void> {
    this.#take = take;
    await this.look();
    // Where the store fails, it looks before it goes on.
    const look = (): void => void this.look().catch(() => {});
    this.#timer = setInterval(look, this.#options.beat ?? INTERVAL).unref();
  }

  async add(line: string): Promise<void> {
    const { connection, node } = this.#session;
    const [added] = await connection.change({ text: ADD, values: [line] });
    const seq = Number(added?.seq);
    const latest = performance.now() + (this.#options.revocationPatience ?? PATIENCE);
    for (;;) {
      const values = [node.id, seq, performance.now() >= latest];
      if ((await connection.read({ text: LAGGING, values })).length === 0) return;
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
    }
  }

  /**
   * Over new connections: a standby that took over may not have the last ones, nor what this node said of them, and
   * counts others in their place.
   */
  lookAnew(): Promise<void> {
    this.#era += 1;
    this.#known = 0;
    this.#told = { node: 0, seq: 0 };
    return this.look();
  }

  /** Takes what is new, and says so. */
  async look(): Promise<void> {
    if (this.#take === null) return;
    const { connection } = this.#session;
    const { id } = this.#session.node;
    const era = this.#era;
    const rows = await connection.read({ name: 'revoked', text: SINCE, values: [this.#known] });
    if (era !== this.#era) return; // all were asked for meanwhile
    for (const { seq, line } of rows) {
      if (Number(seq) <= this.#known) continue; // another look has taken it meanwhile
      this.#take(String(line));
      this.#known = Number(seq);
    }
    const seq = this.#known;
    if (this.#told.node === id && this.#told.seq >= seq) return;
    await connection.read({ text: TAKEN, values: [id, seq] });
    this.#told = { node: id, seq };
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
