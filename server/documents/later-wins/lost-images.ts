/** What a record would have been with values that came in and were overruled, for the history. */
import { elementId } from '../../../shared/elements.js';
import { isObject, type Json, type JsonRecord } from '../../../shared/json.js';
import type { Path } from '../../../shared/merge/merge.js';
import type { RecordImage } from '../records/record-image.js';
import type { ImageChange } from '../records/record-images.js';
import { keyOf, type RecordKey } from '../records/record-key.js';
import { pathTo, type TypeMarks } from '../records/value-image.js';
import { jsonOf } from '../union/lost-types.js';
import type { Outcome } from './later-wins.js';

/** A value that was overruled, and its place. */
export interface Lost {
  readonly record: RecordKey;
  readonly path: Path;
  readonly value: Json;
}

export function lostIn(outcomes: readonly Pick<Outcome, 'lost'>[]): Lost[] {
  return outcomes.flatMap(({ lost }): Lost[] => {
    if (lost === null || lost.place.isVague) return [];
    return [{ record: lost.place.record, path: lost.place.path, value: jsonOf(lost.value) }];
  });
}

/** One change for each record: from what it was to what it would have been. */
export function lostImages(
  all: readonly Lost[],
  imageOf: (key: RecordKey) => RecordImage | null,
): ImageChange[] {
  const changes = new Map<string, ImageChange>();
  for (const { record, path, value } of all) {
    const before = imageOf(record);
    const known = changes.get(keyOf(record))?.after ?? before;
    const after = known === null ? null : withValue(known, path, value);
    if (after !== null) changes.set(keyOf(record), { ...record, before, after });
  }
  return [...changes.values()];
}

/** `null` where there is no such place. What is not JSON in the value is left out. */
function withValue({ json, types }: RecordImage, path: Path, value: Json): RecordImage | null {
  const pointer: string[] = [''];
  const changed = replaced(json, path, value, (key) => pointer.push(pathTo(pointer.at(-1) ?? '', key)));
  if (changed === undefined) return null;
  return { json: changed as JsonRecord, types: without(types, pointer.at(-1) ?? '') };
}

function replaced(
  json: Json,
  [step, ...rest]: Path,
  value: Json,
  pass: (key: string | number) => void,
): Json | undefined {
  if (step === undefined) return value;
  if (typeof step === 'string') {
    if (!isObject(json)) return undefined;
    pass(step);
    const inner = rest.length === 0 ? value : replaced(json[step] ?? null, rest, value, pass);
    return inner === undefined ? undefined : { ...json, [step]: inner };
  }
  const index = Array.isArray(json) ? json.findIndex((element) => elementId(element) === step.id) : -1;
  if (!Array.isArray(json) || index < 0) return undefined;
  pass(index);
  const inner = replaced(json[index] ?? null, rest, value, pass);
  return inner === undefined ? undefined : json.map((each, at) => (at === index ? inner : each));
}

function without(types: TypeMarks | null, path: string): TypeMarks | null {
  if (types === null) return null;
  const others = Object.entries(types).filter(([at]) => at !== path && !at.startsWith(`${path}/`));
  return others.length > 0 ? Object.fromEntries(others) : null;
}
