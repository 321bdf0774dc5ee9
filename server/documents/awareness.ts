/**
 * Who is there: the awareness states of one document (N6). Nothing of it is stored. A state belongs to the
 * connection that introduced it; y-websocket re-sends the states of others, which changes nothing here.
 */
import type { AwarenessEntry } from '../../shared/protocol/yjs.js';

/** In bytes of its JSON text. */
export const MAX_AWARENESS_STATE = 4 * 1024;
/** Yjs client ids that one connection may introduce; y-websocket needs one, and a second after a new Y.Doc. */
const MAX_STATES_PER_MEMBER = 8;

interface State {
  readonly clock: number;
  readonly state: string;
  readonly owner: object;
}

export class AwarenessRoom {
  readonly #states = new Map<number, State>();
  /** Clocks of states that were removed: an echo of one must not bring it back. */
  readonly #removed = new Map<number, number>();

  /** Takes what `owner` says of itself and returns what the others have to be told. */
  update(owner: object, entries: readonly AwarenessEntry[]): AwarenessEntry[] {
    return entries.filter((entry) => this.#accept(owner, entry, entries.length === 1));
  }

  /** Removes the states of a connection that ended, unless a newer connection holds them. */
  leave(owner: object): AwarenessEntry[] {
    const gone = [...this.#states].filter(([, state]) => state.owner === owner);
    return gone.map(([id, { clock }]) => {
      this.#remove(id, clock);
      return { id, clock, state: 'null' };
    });
  }

  entries(): AwarenessEntry[] {
    return [...this.#states].map(([id, { clock, state }]) => ({ id, clock, state }));
  }

  #accept(owner: object, { id, clock, state }: AwarenessEntry, alone: boolean): boolean {
    if (Buffer.byteLength(state) > MAX_AWARENESS_STATE) return false;
    const current = this.#states.get(id);
    if (current === undefined) return this.#introduce(owner, { id, clock, state });
    const takesOver = alone && current.owner !== owner && !this.#has(owner) && clock >= current.clock;
    if (current.owner !== owner && !takesOver) return false;
    if (!takesOver && (clock < current.clock || (clock === current.clock && state !== 'null'))) return false;
    if (state === 'null') this.#remove(id, clock);
    else this.#states.set(id, { clock, state, owner });
    return true;
  }

  #introduce(owner: object, { id, clock, state }: AwarenessEntry): boolean {
    const removed = this.#removed.get(id);
    if (state === 'null' || (removed !== undefined && clock < removed)) return false;
    if (removed === clock && this.#has(owner)) return false;
    if (this.#countOf(owner) >= MAX_STATES_PER_MEMBER) return false;
    this.#states.set(id, { clock, state, owner });
    return true;
  }

  #remove(id: number, clock: number): void {
    this.#states.delete(id);
    this.#removed.delete(id);
    this.#removed.set(id, clock);
    const oldest = this.#removed.keys().next().value;
    if (this.#removed.size > 1000 && oldest !== undefined) this.#removed.delete(oldest);
  }

  #has(owner: object): boolean {
    return this.#countOf(owner) > 0;
  }

  #countOf(owner: object): number {
    let count = 0;
    for (const state of this.#states.values()) if (state.owner === owner) count++;
    return count;
  }
}
