/** When a node takes a user away from another one whose beat is fresh: seldom, or two of them would do so by turns. */
import type { UserId } from '../../shared/names.js';
import { BoundedMap } from '../bounded-map.js';
import type { Doubt, NodeId } from './placement.js';

/** A node that was asked again and again for so long, and never answered, loses the users that are asked for, in ms. */
export const SILENT_FOR = 10_000;
/** Who has just moved stays for so long, whatever is not reached: two nodes may not reach each other, and both live. */
export const SETTLED_AFTER = 60_000;
/** Failures that lie further apart are two of them. */
const ONE_FAILURE = 60_000;
/** That it was not reached holds for this moment: it is taken from who was asked just now, in vain. */
const JUST_NOW = 1_000;
const MOST = 50_000;

interface Failure {
  readonly why: Extract<Doubt, 'refused' | 'silent'>;
  readonly since: number;
  readonly last: number;
}

/** Whom a user was found with last; `null` for this node. */
interface Found {
  readonly owner: NodeId | null;
  /** When it was found to be another one than before. */
  readonly movedAt: number;
}

/** What one node has seen of the others. Times come from a clock that never jumps. */
export class Takeovers {
  readonly #failures = new BoundedMap<NodeId, Failure>({ most: 1_000 });
  readonly #found = new BoundedMap<UserId, Found>({ most: MOST });
  #failedLast: NodeId | null = null;

  failed(node: NodeId, why: Failure['why'], now: number): void {
    const known = this.#failures.get(node);
    const since = known !== undefined && now - known.last <= ONE_FAILURE ? known.since : now;
    this.#failures.set(node, { why, since, last: now });
    this.#failedLast = node;
  }

  reached(node: NodeId): void {
    this.#failures.delete(node);
  }

  /** The store has told who has the user. */
  found(user: UserId, owner: NodeId | null, now: number): void {
    const known = this.#found.get(user);
    const hasMoved = known !== undefined && known.owner !== owner;
    this.#found.add(user, { owner, movedAt: hasMoved ? now : (known?.movedAt ?? Number.NEGATIVE_INFINITY) });
  }

  /** The node that failed last, where this one may take the user away from it, if it is there at all. */
  suspect(user: UserId, now: number): NodeId | undefined {
    const node = this.#failedLast;
    const known = this.#found.get(user);
    if (node === null || (known !== undefined && known.owner !== node)) return undefined; // it may just have moved there
    return this.mayTake(user, node, now) ? node : undefined;
  }

  /** Whether this node may take the user away from that one. */
  mayTake(user: UserId, node: NodeId, now: number): boolean {
    const failure = this.#failures.get(node);
    if (failure === undefined) return false;
    const movedAt = this.#found.get(user)?.movedAt ?? Number.NEGATIVE_INFINITY;
    if (now - movedAt < SETTLED_AFTER) return false;
    const { why, since, last } = failure;
    return now - last <= JUST_NOW && (why === 'refused' || last - since >= SILENT_FOR);
  }
}
