/** What becomes of a document's row, the same in every store that keeps rows. */
import { checkOf, type Row } from './format.js';
import { historyFromAfter, historyFromPruned } from './history-range.js';
import type { Commit, Snapshot } from './store.js';

export function afterCommit(row: Row, commit: Commit): Row {
  const last = commit.update === null ? row.last : row.last + 1;
  return after(row, commit, { first: row.first, last, epoch: row.epoch }, commit.history?.length ?? 0);
}

/**
 * One that replaces a part takes the place of the last update that it replaces, so that no clock is left out.
 *
 * @throws Error where it replaces what is not stored
 */
export function afterSnapshot(row: Row, snapshot: Snapshot): Row {
  const { replaces, epoch } = snapshot;
  if (replaces === undefined) {
    const clock = row.last + 1;
    const remembered = epoch === undefined ? row.epoch : checkOf(epoch);
    return after(row, snapshot, { first: clock, last: clock, epoch: remembered }, 0);
  }
  const clock = row.first + replaces - 1;
  if (replaces < 1 || clock > row.last) throw new Error('a snapshot of updates that are not stored');
  return { ...row, first: clock };
}

export const afterPruning = (row: Row, upTo: number): Row => ({
  ...row,
  historyFrom: historyFromPruned(row, upTo),
});

/** Not spread: this runs for each change, and that costs more than all the rest. */
function after(
  row: Row,
  { revision, memory }: Commit | Snapshot,
  { first, last, epoch }: Pick<Row, 'first' | 'last' | 'epoch'>,
  entries: number,
): Row {
  return {
    first,
    last,
    revision,
    memory: memory === undefined ? row.memory : checkOf(memory),
    epoch,
    historyFrom: historyFromAfter(row, revision, entries),
  };
}

export const isSameRow = (one: Row, two: Row): boolean =>
  one.first === two.first &&
  one.last === two.last &&
  one.revision === two.revision &&
  one.memory === two.memory &&
  one.epoch === two.epoch &&
  one.historyFrom === two.historyFrom;
