/** What a look at an update has found, before it is applied to the replica that looked. */
import type { Dependency } from '../../protocol/missing.js';
import type { PlainEdit } from './plain-edit.js';

export type Admission =
  /** It brings nothing at all. */
  { readonly kind: 'empty' } | { readonly kind: 'missing'; readonly dependency: Dependency } | Admitted;

/** An update that can be applied: by this replica, and as long as nothing else is. */
export interface Admitted {
  /** What is expensive is tried in a worker first. */
  readonly kind: 'cheap' | 'expensive';
  readonly update: Uint8Array;
  /** It repeats, in part or as a whole, what the document has. */
  readonly overlaps: boolean;
  /** It may meet what its author had not seen. */
  readonly isContested: boolean;
  /** Nothing of it is known yet, and nothing in it is for Yjs to set right: it is stored and sent on as it came. */
  readonly isAllNew: boolean;
  /** Where it writes plain values over plain values, and nothing else. */
  readonly plain: PlainEdit | null;
}

/** An update of which that much is known at once. */
export const plainly = (update: Uint8Array, plain: PlainEdit): Admitted => ({
  kind: 'cheap',
  update,
  overlaps: false,
  isContested: false,
  isAllNew: true,
  plain,
});

/** A part of an update that was tried: cheap, and without what the document had. */
export const partOf = ({ isContested }: Admitted, part: Uint8Array): Admitted => ({
  kind: 'cheap',
  update: part,
  overlaps: false,
  isContested,
  isAllNew: false,
  plain: null,
});
