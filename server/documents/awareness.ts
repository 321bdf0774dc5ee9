/**
 * The awareness states of one document (N6): who is there. Nothing of it is stored. A state belongs to the
 * connection that introduced it; y-websocket re-sends the states of others, which changes nothing here.
 */
import type { DeviceId } from '../../shared/names.js';
import { type AwarenessEntry, MAX_AWARENESS_STATE } from '../protocol/yjs.js';

/** Yjs client ids that one connection may introduce; y-websocket needs one, and a second after a new Y.Doc. */
const MAX_STATES_PER_MEMBER = 8;

/** Others would have to count beyond what is exact; y-websocket counts from 0. */
const MAX_CLOCK = 2 ** 32;

interface State {
  readonly clock: number;
  readonly state: string;
  readonly owner: Owner;
}

/** A connection. */
export interface Owner {
  readonly device: DeviceId;
  /** The person it acts for, where that is known. */
  readonly actor: string | null;
}

export class AwarenessStates {
  readonly #isOpen: boolean;
  /** Most connections say nothing of who is there: then there is nothing to be kept of them. */
  #states: Map<number, State> | null = null;
  /** Clocks of states that were removed: an echo of one must not bring it back. */
  #removed: Map<number, number> | null = null;

  /** @param isOpen whether states are passed on: not in the shared document, where users would see each other (D8) */
  constructor(isOpen = true) {
    this.#isOpen = isOpen;
  }

  /** Takes what `owner` says of itself and returns what the others have to be told. */
  update(owner: Owner, entries: readonly AwarenessEntry[]): AwarenessEntry[] {
    if (!this.#isOpen) return [];
    return entries.filter((entry) => this.#accept(owner, entry, entries.length === 1));
  }

  /** Removes the states of a connection that ended, unless a newer connection holds them. */
  leave(owner: Owner): AwarenessEntry[] {
    const gone = [...(this.#states ?? [])].filter(([, state]) => state.owner === owner);
    return gone.map(([id, { clock }]) => {
      this.#remove(id, clock);
      return { id, clock, state: 'null' };
    });
  }

  entries(): AwarenessEntry[] {
    return [...(this.#states ?? [])].map(([id, { clock, state }]) => ({ id, clock, state }));
  }

  #accept(owner: Owner, { id, clock, state }: AwarenessEntry, alone: boolean): boolean {
    if (Buffer.byteLength(state) > MAX_AWARENESS_STATE || clock > MAX_CLOCK) return false;
    const current = this.#states?.get(id);
    if (current === undefined) return this.#introduce(owner, { id, clock, state });
    const isOwn = current.owner === owner;
    const takesOver =
      !isOwn && alone && isReconnect(owner, current.owner) && !this.#has(owner) && clock >= current.clock;
    if (!isOwn && !takesOver) return false;
    if (!takesOver && (clock < current.clock || (clock === current.clock && state !== 'null'))) return false;
    if (state === 'null') this.#remove(id, clock);
    else this.#set(id, { clock, state, owner });
    return true;
  }

  #set(id: number, state: State): void {
    this.#states ??= new Map();
    this.#states.set(id, state);
  }

  #introduce(owner: Owner, { id, clock, state }: AwarenessEntry): boolean {
    const removed = this.#removed?.get(id);
    if (state === 'null' || (removed !== undefined && clock < removed)) return false;
    if (removed === clock && this.#has(owner)) return false;
    if (this.#countOf(owner) >= MAX_STATES_PER_MEMBER) return false;
    this.#set(id, { clock, state, owner });
    return true;
  }

  #remove(id: number, clock: number): void {
    this.#states?.delete(id);
    this.#removed ??= new Map();
    this.#removed.delete(id);
    this.#removed.set(id, clock);
    const oldest = this.#removed.keys().next().value;
    if (this.#removed.size > 1000 && oldest !== undefined) this.#removed.delete(oldest);
  }

  #has(owner: Owner): boolean {
    return this.#countOf(owner) > 0;
  }

  #countOf(owner: Owner): number {
    let count = 0;
    for (const state of this.#states?.values() ?? []) if (state.owner === owner) count++;
    return count;
  }
}

/** Another connection of the same device: it came back before the server noticed that it had gone. */
const isReconnect = (next: Owner, before: Owner): boolean =>
  next.device === before.device && next.actor === before.actor;
