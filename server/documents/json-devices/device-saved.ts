/** What is stored of a JSON device. */
import type { Json } from '../../../shared/json.js';
import type { SavedClock } from './clock.js';
import type { Learned } from './known-fields.js';
import type { OwnWrite } from './own-write.js';
import type { SavedSeenRanges } from './seen-ranges-saved.js';
import type { SavedUnsure } from './unsure-records.js';

export interface Saved extends SavedClock {
  readonly met: number;
  /** Not there in what earlier versions saved. */
  readonly synced?: number | null;
  readonly largest?: number | undefined;
  /** `null` before the first one. */
  readonly connections: SavedSeenRanges | null;
  readonly fields: Json;
  /** Not there in what earlier versions saved. */
  readonly learned?: readonly Learned[];
  readonly unsettled: readonly (readonly [string, OwnWrite])[];
  /** Not there in what earlier versions saved. */
  readonly unsure?: SavedUnsure;
}

export const NEVER_MET: Saved = { met: 0, clock: [], connections: null, fields: 0, unsettled: [] };
