/** What differs between two states of a record, in the words of the drawing and of captions. */
import type { SyncRecord } from '../../client/index.js';
import { inWords } from '../appointments.js';
import { TEXT } from '../samples.js';

export interface Change {
  /** Null for the record as a whole. */
  readonly field: string | null;
  /** What a dot says: `room 7`. */
  readonly label: string;
  /** What a caption names: `room`. */
  readonly name: string;
}

export type Fields = readonly string[];

const DELETED: Change = { field: null, label: 'deleted', name: 'deleted' };
const BACK: Change = { field: null, label: 'brought back', name: 'brought back' };

export function changesBetween(
  before: SyncRecord | null,
  after: SyncRecord | null,
  fields: Fields,
): readonly Change[] {
  if (before === null || after === null) return before === after ? [] : [after === null ? DELETED : BACK];
  return fields.flatMap((field) => changesOf(field, before[field], after[field]));
}

function changesOf(field: string, before: unknown, after: unknown): readonly Change[] {
  if (inWords(before) === inWords(after)) return [];
  if (Array.isArray(before) && Array.isArray(after)) return elements(field, before, after);
  if (field === TEXT) return [words(field, inWords(before), inWords(after))];
  return [{ field, label: `${field} ${shortened(inWords(after))}`, name: field }];
}

function elements(field: string, before: readonly unknown[], after: readonly unknown[]): Change[] {
  const added = after.filter((each) => !before.includes(each)).map(inWords);
  const removed = before.filter((each) => !after.includes(each)).map(inWords);
  return [
    ...added.map((each) => ({ field, label: `+ ${each}`, name: each })),
    ...removed.map((each) => ({ field, label: `− ${each}`, name: `without ${each}` })),
  ];
}

/** What stands between what both begin and end with. */
function words(field: string, before: string, after: string): Change {
  const most = Math.min(before.length, after.length);
  let start = 0;
  while (start < most && before[start] === after[start]) start += 1;
  let end = 0;
  while (end < most - start && before.at(-1 - end) === after.at(-1 - end)) end += 1;
  const inserted = after.slice(start, after.length - end).replace(/^[\s.,]+|[\s.,]+$/g, '');
  const quoted = `“${shortened(inserted)}”`;
  return { field, label: quoted, name: quoted };
}

const LONGEST = 30;
const shortened = (text: string): string => (text.length > LONGEST ? `${text.slice(0, LONGEST - 1)}…` : text);
