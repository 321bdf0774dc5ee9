/** Which records a change belongs to. */
import * as Y from 'yjs';
import { isCollectionName, type RecordId } from '../../../shared/names.js';
import type { SharedType } from '../union/lost-types.js';
import type { Touched } from './record-images.js';
import { keyOf } from './record-key.js';

/** Those that a change of the document wrote to, each once. */
export class TouchedRecords {
  readonly #byKey = new Map<string, Touched>();

  get all(): Iterable<Touched> {
    return this.#byKey.values();
  }

  note(changed: Iterable<Parameters<typeof recordsOf>>): void {
    for (const [type, keys] of changed) {
      for (const record of recordsOf(type, keys)) {
        const key = keyOf(record);
        const known = this.#byKey.get(key);
        const fields = known === undefined ? record.fields : joinedFields(known.fields, record.fields);
        this.#byKey.set(key, known === undefined ? record : { ...known, fields });
      }
    }
  }
}

/** The records that a change of `type` at `keys` belongs to, and which of their fields. */
function recordsOf(type: SharedType, keys: ReadonlySet<string | null>): Touched[] {
  const path: (string | null)[] = []; // from the innermost key to the id of the record
  let at = type;
  while (at._item !== null) {
    path.push(at._item.parentSub);
    at = at._item.parent as SharedType;
  }
  const collection = Y.findRootTypeKey(at);
  if (!isCollectionName(collection)) return [];
  const touched = (id: string | null | undefined, fields: Touched['fields']): Touched[] =>
    typeof id === 'string' ? [{ collection, id: id as RecordId, fields }] : [];
  const id = path.at(-1);
  if (id === undefined) return [...keys].flatMap((key) => touched(key, null));
  const field = path.at(-2);
  if (field === undefined) return touched(id, keys.has(null) ? null : (keys as ReadonlySet<string>));
  return touched(id, field === null ? null : new Set([field]));
}

const joinedFields = (a: Touched['fields'], b: Touched['fields']): Touched['fields'] =>
  a === null || b === null ? null : new Set([...a, ...b]);
