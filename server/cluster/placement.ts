/** Which node serves a user, as a store that several servers share tells. */
import type { UserId } from '../../shared/names.js';

export type NodeId = string & { readonly __brand: 'NodeId' };

/** Another node that serves a user. */
export interface Owner {
  readonly here: false;
  readonly node: NodeId;
  /** Its `CLUSTER_ADDRESS`. */
  readonly address: string;
}

export type Place = { readonly here: true } | Owner;

/**
 * Why a node was doubted: nobody listens at its address; it did not answer; it said that it does not serve the user,
 * does not let this node in, or has begun, and was not ready in time: then it lives; or it was lost after it had taken
 * the client.
 */
export type Doubt = 'refused' | 'silent' | 'not mine' | 'not let in' | 'slow' | 'lost';

export interface Placement {
  /** Rejects where the store can't tell. A user whom nobody serves is here: who asks loads the document next. */
  whereIs(user: UserId): Promise<Place>;
  /** The owner that was told of was not to be had. */
  doubt(user: UserId, node: NodeId, why: Doubt): void;
  /** It was. */
  reached(node: NodeId): void;
  /** Which of these were not heard of for so long that their users go to who asks. Rejects where the store can't tell. */
  gone(nodes: readonly NodeId[]): Promise<readonly NodeId[]>;
}
