/** What `updateData` makes of a record: of the one that it finds, or of what its form has changed (C14). */
import * as Y from 'yjs';
import { elementId } from '../../shared/elements.js';
import type { JsonObject, JsonRecord } from '../../shared/json.js';
import { mergeWrite, type Path } from '../../shared/merge/merge.js';
import { readValue } from '../../shared/records.js';
import { isMarkup, isSharedText } from '../../shared/rich-text.js';

export interface RecordChange {
  readonly fields: JsonObject;
  /** The fields that are to go. */
  readonly removed: readonly string[];
  /** The record as it was when the form was opened; null: what is named is written over what there is. */
  readonly base: JsonObject | null;
  /** Whether it stands where somebody else has changed the same; left out: it does. */
  readonly wins?: ((path: Path) => boolean) | undefined;
}

export function changedRecord(
  record: JsonRecord,
  change: RecordChange,
  map: Y.Map<unknown> | null,
): JsonRecord {
  const { base } = change;
  if (base === null) return applied(record, change) as JsonRecord;
  const merged = mergeWrite({
    seen: [withoutId(base)],
    incoming: withoutId(applied(base, change)),
    current: withoutId(record),
    deletion: null,
    madeAt: 0,
    changedAt: (path) => (change.wins?.(path) === false ? 1 : 0),
    knows: () => true,
    isText: (path) => isSharedText(valueAt(map, path)),
    isMarkup: (path) => isMarkup(valueAt(map, path)),
  });
  return { ...merged, id: record.id };
}

function applied(record: JsonObject, { fields, removed }: RecordChange): JsonObject {
  const next = { ...record, ...fields };
  for (const field of removed) delete next[field];
  return next;
}

function withoutId({ id: _, ...fields }: JsonObject): JsonObject {
  return fields;
}

export function valueAt(map: Y.Map<unknown> | null, path: Path): unknown {
  let value: unknown = map;
  for (const step of path) {
    if (typeof step === 'string') value = value instanceof Y.Map ? value.get(step) : undefined;
    else if (value instanceof Y.Array)
      value = value.toArray().find((element) => elementId(readValue(element)) === step.id);
    else return undefined;
  }
  return value;
}
