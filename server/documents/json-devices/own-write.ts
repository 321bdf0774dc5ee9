/** What a device wrote last of a record, and what became of that. */
import { equalityDeep } from 'lib0/function';
import type { JsonObject, JsonRecord } from '../../../shared/json.js';

/** What a device sent last of a record, and what else it may be looking at since. */
export interface OwnWrite {
  /** `null` for a deletion. */
  readonly sent: JsonObject | null;
  /** By the server's clock as the device's was known then; `null` if the write did not say. */
  readonly madeAt: number | null;
  /** Whether it was; not there in what earlier versions saved. */
  readonly isCertain?: boolean;
  /** When it came; not there in what earlier versions saved. */
  readonly at?: number;
  /** Of the document when the write was applied. */
  readonly revision: number;
  /** The device may be looking at what came after this revision as well, but at nothing older. */
  readonly since: number;
  /** Whether also at the record as it was at `since`: that was on its way to the device. */
  readonly withBase: boolean;
  /** Revisions after `since` that were never sent to it: its own, older than `sent`, or overtaken by that. */
  readonly replaced: readonly number[];
  /** Whether it was sent the record as it was after this write. */
  readonly isShown: boolean;
  /** Whether it may be a write that was sent again: it came from a queue, and changed nothing. */
  readonly isRepeat: boolean;
}

/**
 * Whether the device had read what became of this write by the time that it had read up to this revision. One that
 * brought no revision has that of what stood there: what corrects it may still have been on its way.
 */
export const isReadOver = ({ revision, isShown }: OwnWrite, read: number): boolean =>
  read > revision || (read === revision && !isShown);

/** What became of a write. */
export interface WriteOutcome {
  /** Of the change; `null` if there was none. */
  readonly revision: number | null;
  /** What the record is now. */
  readonly record: JsonRecord | null;
  /** Whether the device is sent the record, since it is not what the device sent. */
  readonly corrected: boolean;
}

/**
 * What it wrote between the beginning of the connection and the full sync is built on what it had before: its clock
 * does not tell to the millisecond when the connection began.
 */
export function aroundBoth(own: OwnWrite | null, queued: OwnWrite | null): OwnWrite | null {
  if (own === null || queued === null || queued.since >= own.since) return own;
  return { ...own, since: queued.since, withBase: own.withBase || queued.withBase };
}

/** The last of them up to this revision was sent to the device after all. */
export function withoutShown({ replaced }: OwnWrite, revision: number): number[] {
  const shown = Math.max(-1, ...replaced.filter((each) => each <= revision));
  return replaced.filter((each) => each !== shown);
}

/** The device may be left with what stood at this revision, without its write. */
export const besides = <Own extends OwnWrite>(own: Own, revision: number): Own => ({
  ...own,
  since: Math.min(own.since, revision),
  withBase: true,
  replaced: withoutShown(own, revision),
});

/**
 * Whether the next write on top of `sent` would carry along something that is not in the record, or lack something that
 * is: also a field that the app does not know yet, since it may send one of that name in another record before.
 */
export function carriesOther(sent: JsonObject | null, record: JsonObject | null): boolean {
  if (sent === null || record === null) return true;
  const isOther = Object.keys(sent).some((name) => !equalityDeep(sent[name], record[name]));
  return isOther || Object.keys(record).some((name) => !(name in sent));
}
